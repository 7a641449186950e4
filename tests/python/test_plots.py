"""Tests of what all pictures share."""

import io

from PIL import Image

from fastconv import plots


def test_a_figure_becomes_a_png_of_its_size():
    figure = plots.new_figure(2, 1)
    figure.subplots().plot([0, 1], color=plots.BLUE)
    with Image.open(io.BytesIO(plots.png(figure))) as picture:
        assert picture.format == "PNG"
        assert picture.size == (240, 120)
        assert (0, 0x72, 0xB2) in [color for _, color in picture.convert("RGB").getcolors(1 << 16)]
