"""Rules that the sources follow, checked on the sources themselves."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "csrc" / "core"
KERNELS = CORE / "cpu" / "kernels"
FOLDERS = ("benchmarks", "cmake", "csrc", "fastconv", "tests")

CPP_SUFFIXES = (".cc", ".cu", ".h")
CMAKE_SUFFIXES = (".cmake", ".txt")
SOURCE_SUFFIXES = (*CPP_SUFFIXES, ".py", ".pyi", ".cmake")
MAX_LINES = 600

# The floors of the package, from the ground up: a module imports from the floors below its own.
PACKAGE = ROOT / "fastconv"
FLOORS = (
    ("errors", "plots", "tables", "version"),
    ("config", "files", "native"),
    ("about", "data", "optimizers", "placement", "steps"),
    ("ops",),
    ("layers",),
    ("explanation", "models"),
    ("conversion", "evaluation"),
    ("train",),
    ("demo", "reports"),
    ("cli",),
)

# What core must know nothing of.
FRAMEWORK_INCLUDE = re.compile(
    r"^(tensorflow|xla|tsl|absl|Eigen|unsupported|pybind11|Python\.h|numpy)(/|$|\.h$)"
)
# Headers without templates or inline functions that a kernel could instantiate for everyone.
KERNEL_SYSTEM_INCLUDES = {"cstddef", "cstdint", "cstring", "immintrin.h"}
KERNEL_CORE_INCLUDES = re.compile(r"^core/(cpu/kernels/\w+|dtype|problem|shape|cpu_features)\.h$")


def source_files(*suffixes, under=ROOT):
    """The project's own files with one of the suffixes, in `under` and below."""
    folders = [ROOT / name for name in FOLDERS] if under == ROOT else [under]
    paths = [path for folder in folders for path in folder.rglob("*")]
    if under == ROOT:
        paths += ROOT.iterdir()
    found = sorted(path for path in paths if path.suffix in suffixes and path.is_file())
    assert found, f"no {suffixes} under {under}: the rule would check nothing"
    return found


def includes(path):
    """What a C++ file includes, with the line numbers."""
    lines = path.read_text().splitlines()
    matches = (re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line) for line in lines)
    return [(number, match[1]) for number, match in enumerate(matches, 1) if match]


def where(path, line):
    return f"{path.relative_to(ROOT)}:{line}"


def test_core_includes_no_framework():
    found = [
        f"{where(path, line)} includes {name}"
        for path in source_files(*CPP_SUFFIXES, under=CORE)
        for line, name in includes(path)
        if FRAMEWORK_INCLUDE.match(name)
    ]
    assert not found, "\n".join(found)


def test_core_includes_only_core():
    """A quoted include of core names a file of core, so that no other floor slips in."""
    found = []
    for path in source_files(*CPP_SUFFIXES, under=CORE):
        quoted = re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(), re.MULTILINE)
        found += [
            f"{path.relative_to(ROOT)} includes {name}"
            for name in quoted
            if not (name.startswith("core/") and (ROOT / "csrc" / name).is_file())
        ]
    assert not found, "\n".join(found)


def test_cpp_tests_include_no_framework():
    found = [
        f"{where(path, line)} includes {name}"
        for path in source_files(*CPP_SUFFIXES, under=ROOT / "tests" / "cpp")
        for line, name in includes(path)
        if FRAMEWORK_INCLUDE.match(name)
    ]
    assert not found, "\n".join(found)


def test_kernels_include_no_standard_library_template():
    found = [
        f"{where(path, line)} includes {name}"
        for path in source_files(*CPP_SUFFIXES, under=KERNELS)
        for line, name in includes(path)
        if name not in KERNEL_SYSTEM_INCLUDES and not KERNEL_CORE_INCLUDES.match(name)
    ]
    assert not found, "\n".join(found)


def imported(path):
    """The modules and packages of fastconv that a Python file imports, with the line numbers."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "fastconv":
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module.removeprefix("fastconv.")] if "fastconv." in node.module else []
        elif isinstance(node, ast.Import):
            names = [a.name.removeprefix("fastconv.") for a in node.names if "fastconv." in a.name]
        else:
            continue
        yield from ((node.lineno, name.partition(".")[0]) for name in names)


def test_python_modules_import_from_the_floors_below():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    found = []
    for path in source_files(".py", under=PACKAGE):
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if own == "__init__":  # which imports what users need
            continue
        found += [
            f"{where(path, line)} imports fastconv.{name}"
            for line, name in imported(path)
            if name != own and floor[name] >= floor[own]
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "name",
    [
        "tensorflow/core/framework/op_kernel.h",
        "xla/ffi/api/ffi.h",
        "tsl/platform/status.h",
        "absl/status/status.h",
        "pybind11/pybind11.h",
        "Python.h",
    ],
)
def test_framework_rule_recognises(name):
    assert FRAMEWORK_INCLUDE.match(name)


def test_instruction_sets_are_flags_of_kernel_sources_only():
    """No global -march, and -m<isa> flags in cmake/isa_flags.cmake alone."""
    found = []
    for path in [*source_files(*CMAKE_SUFFIXES), ROOT / "pyproject.toml"]:
        for line, text in enumerate(path.read_text().splitlines(), 1):
            code = text.split("#")[0]
            arch = re.search(r"-m(arch|cpu|tune)=", code)
            isa = re.search(r"-m(avx|fma|f16c|sse|bmi|native)", code)
            if arch or (isa and path.name != "isa_flags.cmake"):
                found.append(f"{where(path, line)}: {text.strip()}")
    assert not found, "\n".join(found)


def test_files_stay_readable():
    found = []
    for path in source_files(*SOURCE_SUFFIXES):
        count = len(path.read_text().splitlines())
        if count > MAX_LINES:
            found.append(f"{path.relative_to(ROOT)} has {count} lines")
    assert not found, "\n".join(found)


def test_version_is_written_once():
    """fastconv/version.py holds it; CMake, the package and `fastconv.__version__` read it there."""
    version_file = "fastconv/version.py"
    declared = re.search(r'^__version__ = "([^"]+)"$', (ROOT / version_file).read_text(), re.M)
    assert declared, f"{version_file} declares no version"
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", declared[1])

    pyproject = (ROOT / "pyproject.toml").read_text()
    assert not re.search(r"^version\s*=", pyproject, re.M)
    assert re.search(r'^dynamic = \[.*"version".*\]$', pyproject, re.M)
    assert version_file in pyproject
    assert version_file in (ROOT / "CMakeLists.txt").read_text()
    package = (ROOT / "fastconv/__init__.py").read_text()
    assert re.search(r"^from fastconv\.version import __version__", package, re.M)


def test_changelog_has_the_version_or_leads_up_to_it():
    """The newest entry is either unreleased or the version of the sources."""
    version = re.search(r'__version__ = "(.+)"', (ROOT / "fastconv/version.py").read_text())[1]
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings, "CHANGELOG.md has no entries"
    assert headings[0] in ("Unreleased", version)
    assert headings.count(version) <= 1
