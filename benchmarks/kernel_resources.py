"""Lists what the compiled CUDA kernels take of a multiprocessor, from their machine code.

`python -m benchmarks.kernel_resources build/cuda/csrc/core/cuda/libfastconv_cuda.a` prints a
Markdown table, a row per kernel with the least and the greatest number of its variants: a thread's
registers; and the instructions in all of its code that access local memory (where registers spill),
multiply on tensor cores, load from shared, and from global memory (copies to shared memory, too).

The last column is about the shortest loop with the most work for tensor cores, or all code where no
loop has any: the clocks that reading its operands from shared memory takes at least, over those
that its products take at least, on compute capability 9.0: 128 bytes, and 4096 operations with
16-bit operands or half as many with TF32, per clock and multiprocessor. Above 1, shared memory sets
the limit. Needs cuobjdump of the CUDA toolkit, and no GPU.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from types import SimpleNamespace
from typing import NamedTuple

from benchmarks import report

_COLUMNS = {
    "local memory": ("LDL", "STL"),
    "tensor cores": ("HMMA", "HGMMA"),
    "shared loads": ("LDS",),
    "global loads": ("LDG", "UTMALDG", "UBLKCP"),
}
_KERNEL = re.compile(r"Function\s*:?\s+(\w*EntryINS0_(\d+)(\w+))")
_REGISTERS = re.compile(r"REG:(\d+)")
_INSTRUCTION = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)\s*([^;]*);")
_PRODUCT = re.compile(r"HG?MMA\.(?:(\d+)x(\d+)x|16(8))(\d+)")
_WARPS_OF_GROUP = 4  # share an HGMMA


class Instruction(NamedTuple):
    """Address, name and operands of an instruction."""

    address: int
    name: str
    operands: str


def tensor_clocks(instruction):
    """Returns the clocks of tensor cores that an instruction of a warp takes at least."""
    match = _PRODUCT.match(instruction.name)
    if not match:
        return 0
    rows, columns, depth = int(match[1] or 16), int(match[2] or match[3]), int(match[4])
    operations = 2 * rows * columns * depth / (_WARPS_OF_GROUP if match[1] else 1)
    return operations / (2048 if "TF32" in instruction.name else 4096)


def shared_clocks(instruction):
    """Returns the clocks of shared memory that an instruction of a warp takes at least."""
    name, operands = instruction.name, instruction.operands
    if match := re.match(r"LDSM.*88(?:\.(\d))?$", name):
        return int(match[1] or 1)  # matrices of 8x8 elements of 16 bits
    if name.startswith("LDS"):
        return 32 * (int(name[4:]) if name[4:].isdigit() else 32) / 8 / 128
    if name.startswith("HGMMA"):
        rows, columns, _, depth = _PRODUCT.match(name).groups()
        # The first operand is in registers or, like the second, where a descriptor says.
        read = int(columns) + ("gdesc" in operands.split(",")[1]) * int(rows)
        return read * int(depth) * (4 if "TF32" in name else 2) / 128 / _WARPS_OF_GROUP
    return 0


def shared_per_tensor_clock(code: list[Instruction]) -> float | None:
    """Returns the last column of a kernel, None where it does not use tensor cores."""
    loops = [code]
    for jump in code:
        start = re.search(r"0x([0-9a-f]+)", jump.operands) if jump.name == "BRA" else None
        if start and int(start[1], 16) <= jump.address:
            loops.append([i for i in code if int(start[1], 16) <= i.address <= jump.address])
    inner = max(loops[1:], key=lambda loop: (sum(map(tensor_clocks, loop)), -len(loop)), default=[])
    hot = inner if any(map(tensor_clocks, inner)) else code
    clocks = sum(map(tensor_clocks, hot))
    return sum(map(shared_clocks, hot)) / clocks if clocks else None


def read(lines: list[str]) -> dict[str, dict[str, SimpleNamespace]]:
    """Reads what cuobjdump prints with `-res-usage` and `-sass`: each kernel's registers and code.

    They are by the name of its struct, and by its own, which several object files can have.
    """
    kernels, kernel = {}, None
    for line in lines:
        if match := _KERNEL.search(line):
            variants = kernels.setdefault(match[3][: int(match[2])], {})
            kernel = variants.setdefault(match[1], SimpleNamespace(registers=0, code={}))
        elif match := _REGISTERS.search(line):
            kernel.registers = int(match[1])
        elif match := _INSTRUCTION.search(line):
            address = int(match[1], 16)
            kernel.code[address] = Instruction(address, match[2], match[3])
    return kernels


def markdown(kernels) -> str:
    """Returns the table of what `read` has returned."""
    rows = []
    for name, variants in sorted(kernels.items()):
        registers = [kernel.registers for kernel in variants.values()]
        codes = [list(kernel.code.values()) for kernel in variants.values()]
        counts = [
            [sum(i.name.startswith(names) for i in code) for code in codes]
            for names in _COLUMNS.values()
        ]
        ratios = [ratio for ratio in map(shared_per_tensor_clock, codes) if ratio is not None]
        ranges = [_range(values, "d") for values in (registers, *counts)]
        rows.append([f"`{name}`", str(len(codes)), *ranges, _range(ratios, ".2f")])
    return report.table(
        ["kernel", "variants", "registers", *_COLUMNS, "shared / tensor clocks"], rows
    )


def _range(values, form):
    ends = [format(pick(values), form) for pick in (min, max)] if values else [""]
    return " to ".join(dict.fromkeys(ends))


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kernel_resources",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("library", help="object file or library with machine code")
    parser.add_argument("--architecture", default="sm_90a", help="default: %(default)s")
    options = parser.parse_args(arguments)
    if not shutil.which("cuobjdump"):
        parser.exit(2, f"{parser.prog}: error: cuobjdump of the CUDA toolkit is not on the PATH.\n")
    lines = []
    for listing in ("-res-usage", "-sass"):
        command = ["cuobjdump", listing, "-arch", options.architecture, options.library]
        result = subprocess.run(command, capture_output=True, check=False, text=True)
        lines += result.stdout.splitlines()
    if not (kernels := read(lines)):
        refusal = f"no {options.architecture} code is in it. Received: {options.library}"
        parser.exit(2, f"{parser.prog}: error: {refusal}\n")
    print(markdown(kernels), end="")


if __name__ == "__main__":
    main()
