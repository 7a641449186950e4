"""Markdown of the measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def document(record: Mapping, description: str, tables: str) -> str:
    """Returns a part's report: what it measures, on what, and its tables."""
    title, _, purpose = description.strip().partition("\n")
    return (
        f"# {record['benchmark']}: {title[0].lower()}{title[1:].rstrip('.')}\n\n"
        f"{purpose.strip()}\n\n"
        f"{_machine(record['machine'])}\n\n"
        f"```\n{record['command']}\n```\n\n"
        f"{tables.strip()}\n\n"
        f"![{record['benchmark']}]({record['benchmark']}.png)\n"
    )


def _machine(machine: Mapping) -> str:
    native = "" if machine["native"] else "; native kernels switched off"
    gpu = machine["gpu"]
    device = (
        f"{gpu['name']} (compute capability {gpu['compute_capability']}, CUDA {gpu['cuda']}, "
        f"cuDNN {gpu['cudnn']}, TF32 {'on' if gpu['tf32'] else 'off'}) with "
        if gpu
        else ""
    )
    return (
        f"{device}{machine['cpu']}, {machine['cores']} cores, instruction set {machine['isa']}; "
        f"TensorFlow {machine['tensorflow']}, Keras {machine['keras']}, "
        f"fastconv {machine['fastconv']} at {machine['commit']}{native}."
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def label(setting: Mapping) -> str:
    """Returns the name of a setting of a whole system, for a table's first column."""
    return f"{setting['system']}, {setting['batch']}, {setting['dtype_policy']}"


def milliseconds(summary: Mapping) -> str:
    """Returns a median with its quartiles, from seconds."""
    median, lower, upper = (
        _digits(1e3 * summary[name]) for name in ("median", "lower_quartile", "upper_quartile")
    )
    return f"{median} ({lower} to {upper})"


def ratio(fields: Mapping) -> str:
    """Returns a ratio with its interval, and whether it is certain."""
    verdict = f", {fields['verdict']}" if fields["verdict"] else ""
    return f"{fields['median']:.2f} ({fields['low']:.2f} to {fields['high']:.2f}{verdict})"


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
