"""Pictures of what a model gets right and wrong, and of what its layers see."""

import math
import textwrap

import matplotlib as mpl
import numpy as np

from fastconv import plots

SAMPLE_ROWS, SAMPLE_COLUMNS = 4, 5
MAX_MAPS = 64  # more in one picture are too small to see

_MAX_COUNTED_CLASSES = 30  # more leave no room for a number in each cell
_CHANNEL_NAMES = {1: ("grey",), 3: ("red", "green", "blue")}


def confusion(metrics):
    """Draws a confusion matrix: true classes in rows, predicted ones in columns.

    Colours show the share of the true class's images, numbers count them.

    Args:
        metrics: `fastconv.evaluation.Metrics`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    counts, names = metrics.confusion, metrics.class_names
    side = max(3.2, 0.36 * len(names)) + 0.07 * max(map(len, names))
    figure = plots.new_figure(side + 1.2, side)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 2 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"{counts.trace()} of {counts.sum()} images right ({metrics.accuracy:.1%})")
    if len(names) <= _MAX_COUNTED_CLASSES:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(
                    column, row, count, ha="center", va="center", color=color, fontsize="small"
                )
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the true class")
    return figure


def samples(images, predicted, true):
    """Draws images titled "predicted (true)", green where that is right, red and framed where not.

    Args:
        images: sequence of at most 20 arrays `(height, width, channels)` in [0, 1].
        predicted: sequence of strings, the predicted classes.
        true: sequence of strings, the true classes.

    Returns:
        A `matplotlib.figure.Figure` of 4x5 images.
    """
    figure = plots.new_figure(2.1 * SAMPLE_COLUMNS, 2.5 * SAMPLE_ROWS)
    figure.suptitle("Predicted class (true class): right in green, wrong in red")
    grid = _empty_grid(figure, SAMPLE_ROWS, SAMPLE_COLUMNS)
    for axes, image, guess, truth in zip(grid, images, predicted, true, strict=False):
        right = guess == truth
        color = plots.GREEN if right else plots.RED
        _draw_image(axes, image)
        title = textwrap.wrap(f"{guess} ({truth})", width=22)
        axes.set_title("\n".join(title), color=color, fontweight="bold", fontsize="medium")
        if not right:
            _frame(axes, color)
    return figure


def maps(activations, max_maps=MAX_MAPS):
    """Draws the activation maps of one stage, each on its own scale, which its title names.

    Args:
        activations: `fastconv.evaluation.ActivationMaps`.
        max_maps: int, draws only so many, the first ones. Defaults to `64`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    height, width, channels = activations.maps.shape
    drawn = activations.maps[..., :max_maps]
    shown = f"the first {max_maps} of {channels}" if channels > max_maps else str(channels)
    return _tiles(
        f"{activations.layer}, {activations.stage}\n{shown} maps of {height}x{width},\n"
        "each from its least (dark) to its greatest value (bright)",
        [
            (f"{index}: {tile.min():.2g} to {tile.max():.2g}", tile)
            for index, tile in enumerate(np.moveaxis(drawn, 2, 0))
        ],
        cmap="viridis",
    )


def filters(layer, kernel):
    """Draws the filters of a layer that sees an image, in that image's colours.

    Middle grey is zero, and all filters share one scale.

    Args:
        layer: string, the layer's name.
        kernel: array `(rows, columns, channels, filters)` of 1 or 3 channels.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    rows, columns, channels, count = kernel.shape
    colors = 0.5 + 0.5 * kernel / max(np.abs(kernel).max(), np.finfo("float32").tiny)
    return _tiles(
        f"{layer}: {count} filters of {rows}x{columns}x{channels}, middle grey is zero",
        [(str(index), _as_shown(tile)) for index, tile in enumerate(np.moveaxis(colors, 3, 0))],
        cmap="gray",
        vmin=0,
        vmax=1,
    )


def channels(image):
    """Draws an image and each of its channels.

    Args:
        image: array `(height, width, channels)` in [0, 1], of 1 or 3 channels.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    names = _CHANNEL_NAMES[image.shape[2]]
    panels = [("image", image)] if len(names) > 1 else []
    panels += [(name, image[..., index, np.newaxis]) for index, name in enumerate(names)]
    figure = plots.new_figure(2.8 * len(panels), 3.1 * image.shape[0] / image.shape[1] + 0.2)
    grid = _empty_grid(figure, 1, len(panels))
    for axes, (name, panel) in zip(grid, panels, strict=True):
        if name in ("image", "grey"):
            _draw_image(axes, panel)
        else:
            tint = mpl.colors.LinearSegmentedColormap.from_list(name, ["black", name, "white"])
            axes.imshow(panel[..., 0], cmap=tint, vmin=0, vmax=1)
        axes.set_title(name)
    return figure


def _tiles(title, tiles, **style):
    """Returns a figure of titled pictures side by side, of pairs of a title and an array.

    All are in one axes: one for each would take a second per picture to lay out.
    """
    columns = 4 * math.ceil(math.sqrt(len(tiles)) / 4)  # most layers have a multiple of 8
    rows = math.ceil(len(tiles) / columns)
    height, width = tiles[0][1].shape[:2]
    pitch_x, pitch_y = 1.1, height / width + 0.25  # a tile is 1 wide; its title needs 0.2
    above = 0.2 * (1 + len(title.splitlines()))  # inches: a line, or the margins, take 0.2
    figure = plots.new_figure(1.2 * pitch_x * columns, 1.2 * pitch_y * rows + above)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_title(title)
    for index, (name, tile) in enumerate(tiles):
        row, column = divmod(index, columns)
        left, bottom = column * pitch_x, (row + 1) * pitch_y
        top = bottom - height / width
        axes.imshow(tile, extent=(left, left + 1, bottom, top), **style)
        axes.text(left + 0.5, top - 0.04, name, ha="center", va="bottom", fontsize="x-small")
    axes.set(xlim=(0, columns * pitch_x - 0.1), ylim=(rows * pitch_y, 0))
    axes.set(aspect="equal", anchor="S")
    return figure


def _empty_grid(figure, rows, columns):
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    return grid


def _draw_image(axes, image):
    axes.imshow(_as_shown(image), cmap="gray", vmin=0, vmax=1)


def _as_shown(image):
    """Returns an image as matplotlib takes it: without an axis for a single channel."""
    return image[..., 0] if image.shape[2] == 1 else image


def _frame(axes, color):
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=3)
