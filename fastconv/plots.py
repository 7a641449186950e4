"""What all pictures share: a figure without a window, its bytes, and colours."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette, whose colours colour-blind readers tell apart.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
RED = "#CC3311"  # of Paul Tol's vibrant scheme: right and wrong must not look alike

_DPI = 120


def new_figure(width, height):
    """Returns an empty figure that needs no display.

    Args:
        width: float, inches.
        height: float, inches.

    Returns:
        A `matplotlib.figure.Figure` whose layout keeps titles and axes apart.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure):
    """Returns a figure as the bytes of a PNG file.

    Args:
        figure: `matplotlib.figure.Figure`.

    Returns:
        Bytes.

    Example:

    >>> from fastconv import plots
    >>> figure = plots.new_figure(4, 3)
    >>> plots.png(figure)[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
