"""Pictures of the measurements."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator

from benchmarks import harness

# Colours that people with colour blindness can tell apart.
_COLORS = {
    "stock": "#8c8c8c",
    "stock plain": "#8c8c8c",
    "stock XLA": "#c8c8c8",
    "stock XLA, grouped": "#f0e442",
    "stock, one program": "#d55e00",
    "PyTorch": "#e69f00",
    "fastconv": "#0072b2",
    "fastconv plain": "#0072b2",
    "fastconv XLA": "#56b4e9",
    "fastconv, one program": "#009e73",
}
_LINES = ("-", "--", ":", "-.")


def speed_ups(results, path, what):
    """Draws bars per setting: how many times as fast as the better stock variant every one is."""
    by_policy = {}
    for row in results["systems"]:
        by_policy.setdefault(row["dtype_policy"], []).append(row)
    most = max(map(len, by_policy.values()))
    figure = Figure(figsize=(1.5 * most + 3.5, 4.2 * len(by_policy)), layout="constrained")
    grid = figure.subplots(len(by_policy), 1, squeeze=False)[:, 0]
    for axes, (policy, rows) in zip(grid, by_policy.items(), strict=True):
        _draw_speed_ups(axes, rows)
        axes.set_title(f"Speed of a {what}, {policy} (higher is better)")
        axes.spines[["top", "right"]].set_visible(False)
    _finish(figure, *grid[-1].get_legend_handles_labels(), path)


def _draw_speed_ups(axes, rows):
    names = [name for name in _COLORS if name in rows[0]["seconds_per_step"]]
    labels = [f"{row['system']}\nbatch {row['batch']}" for row in rows] + ["geometric\nmean"]
    width = 0.8 / len(names)
    top = 0
    for index, name in enumerate(names):
        ratios = [
            harness.Ratio.of(
                row["seconds_per_step"][row["stock_better"]], row["seconds_per_step"][name]
            )
            for row in rows
        ]
        medians = [ratio.median for ratio in ratios]
        medians.append(harness.geometric_mean(medians))
        places = np.arange(len(labels)) + (index - (len(names) - 1) / 2) * width
        axes.bar(places, medians, width, label=name, color=_COLORS[name])
        intervals = [[r.median - r.low for r in ratios], [r.high - r.median for r in ratios]]
        top = max(top, *medians)
        heights = [*(ratio.high for ratio in ratios), medians[-1]]
        for place, height, median in zip(places, heights, medians, strict=True):
            axes.annotate(
                f"{median:.2f}",
                (place, min(height, 1.15 * top)),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )
        axes.errorbar(
            places[:-1], medians[:-1], intervals, fmt="none", ecolor="black", elinewidth=0.8
        )
    # One disturbed round must not set the scale.
    axes.set_ylim(0, 1.25 * top)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.axvline(len(rows) - 0.5, color="black", linewidth=0.5, linestyle=":")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("speed, better of stock = 1")


def rooflines(layers, passes, path):
    """Draws bars per layer and pass: GFLOP/s of both builds, and the roofline as a mark."""
    figure = Figure(figsize=(4 * len(passes) + 2, 0.36 * len(layers) + 1.8), layout="constrained")
    grid = figure.subplots(1, len(passes), sharey=True, squeeze=False)[0]
    places = np.arange(len(layers))
    for axes, name in zip(grid, passes, strict=True):
        roofs = [layer["passes"][name]["roof"] / 1e9 for layer in layers]
        for offset, build in ((-0.2, "stock"), (0.2, "fastconv")):
            measured = [layer["passes"][name] for layer in layers]
            speeds = [entry["flops_per_second"][build] / 1e9 for entry in measured]
            axes.barh(places + offset, speeds, 0.4, label=build, color=_COLORS[build])
            for place, speed, roof, entry in zip(places, speeds, roofs, measured, strict=True):
                axes.annotate(
                    f"{entry['share_of_roof'][build]:.0%}",
                    # Beside the roofline's mark rather than under it.
                    (max(speed, roof), place + offset),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                )
        axes.scatter(
            roofs,
            places,
            marker="|",
            s=200,
            color="#d55e00",
            label="roofline",
            zorder=3,
        )
        axes.margins(x=0.12, y=0.02)
        axes.set_title(name)
        axes.set_xlabel("GFLOP/s, and share of the roofline")
        axes.grid(axis="x", linewidth=0.3)
        axes.set_axisbelow(True)
    labels = [f"{layer['convolution']}, {layer['dtype']}" for layer in layers]
    grid[0].set_yticks(places, labels, fontsize=9)
    grid[0].invert_yaxis()
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, dpi=130)


def memory(results, path):
    """Draws bars per system: the memory of a step."""
    labels = [f"{row['system']}\nbatch {row['batch']}\n{row['dtype_policy']}" for row in results]
    figure = Figure(figsize=(1.5 * len(labels) + 4, 4.2), layout="constrained")
    axes = figure.subplots()
    for offset, build in ((-0.2, "stock"), (0.2, "fastconv")):
        sizes = [row["step"][build] / 2**20 for row in results]
        places = np.arange(len(labels)) + offset
        bars = axes.bar(places, sizes, 0.4, label=build, color=_COLORS[build])
        notes = [
            f"{size:.0f}\n{row['share']:.0%}" if build == "fastconv" else f"{size:.0f}"
            for size, row in zip(sizes, results, strict=True)
        ]
        axes.bar_label(bars, notes, fontsize=8, padding=2)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("MiB above weights, and share of stock's")
    axes.set_title("Peak memory of a training step (lower is better)")
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    _finish(figure, *axes.get_legend_handles_labels(), path)


def batches(results, path):
    """Draws lines per system: time per image by batch size, for both builds and all threads."""
    figure = Figure(figsize=(6.5, 4 * len(results) + 0.5), layout="constrained")
    grid = figure.subplots(len(results), 1, squeeze=False)[:, 0]
    for axes, row in zip(grid, results, strict=True):
        for index, (threads, builds) in enumerate(row["summaries"].items()):
            for build, by_batch in builds.items():
                sizes = [int(batch) for batch in by_batch]
                medians, low, high = (
                    [1e3 * summary[name] for summary in by_batch.values()]
                    for name in ("median", "lower_quartile", "upper_quartile")
                )
                axes.plot(
                    sizes,
                    medians,
                    _LINES[index % len(_LINES)],
                    marker=".",
                    color=_COLORS[build],
                    label=f"{build}, threads: {threads}",
                )
                axes.fill_between(sizes, low, high, color=_COLORS[build], alpha=0.2, linewidth=0)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_formatter("")
        axes.set_xticks(sizes, sizes)
        axes.set_xlabel("batch")
        axes.set_ylabel("ms per image")
        axes.set_title(
            f"{row['system']}, {row['dtype_policy']}: time of a training step per image "
            "(lower is better)"
        )
        axes.grid(which="both", linewidth=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


def _finish(figure, handles, labels, path):
    columns = int(figure.get_figwidth() / 1.9)  # an entry's width in inches
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    figure.savefig(path, dpi=130)
