"""`fastconv info`."""

import os

from fastconv import config
from fastconv.about import info


def add_parser(commands):
    """Adds the command's parser."""
    parser = commands.add_parser(
        "info",
        help="print versions, instruction set and where the libraries lie",
        description="Prints versions, instruction set and where the libraries lie.",
        epilog="example: FASTCONV_MAX_ISA=avx2 fastconv info",
    )
    parser.set_defaults(run=_run)


def _run(options):
    del options  # takes none
    facts = info()
    cap = os.environ.get(config.MAX_ISA)
    rows = {
        "fastconv": facts["fastconv"],
        "python": facts["python"],
        "tensorflow": f"{facts['tensorflow']} (built for {facts['built_for_tensorflow']})",
        "keras": facts["keras"],
        "compiler": facts["compiler"],
        "instruction sets built": ", ".join(facts["isas"]),
        "instruction set detected": facts["detected_isa"],
        "instruction set in use": facts["isa"]
        + (f" (capped by {config.MAX_ISA}={cap})" if cap else ""),
        "native kernels": "on" if facts["native"] else "off (FASTCONV_NATIVE=off)",
        "CUDA build": "yes" if facts["cuda"] else "no",
        "libraries": facts["library"],
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name.ljust(width)}  {value}")
