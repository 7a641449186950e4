"""Runs the examples of the docstrings and of the documentation.

Docstrings: interactive sessions. Pages: blocks of `python` (also sessions) and `bash`, in the order
of the page and in one folder, as somebody who follows it would. A block whose title begins with
`Not tested:` is not run; the reason that follows is there for the reader, too. Both find images and
a trained model beside them, which `example_files.py` makes.
"""

import ast
import contextlib
import doctest
import importlib
import io
import pathlib
import re
import shlex
import shutil
import subprocess

import example_files
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import REPOSITORY
from sybil import Document
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract import DocTestStringParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

import fastconv
from fastconv import cli

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NAMES = {"fastconv": fastconv, "keras": keras, "np": np, "tf": tf}  # as if imported

PAGES = sorted(
    [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")]
)
LANGUAGES = {"python", "bash", "text"}
FENCE = re.compile(
    r'[ ]*(?P<language>\w*)(?:[ ]+title="(?P<title>[^"]*)")?(?P<rest>[^\n]*)$\n', re.MULTILINE
)
NOT_TESTED = re.compile("Not tested: .+")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The files that examples find, to be copied."""
    return example_files.write(tmp_path_factory.mktemp("examples"))


@pytest.fixture(autouse=True)
def folder(request, tmp_path, monkeypatch):
    """Makes a folder with those files the current one."""
    if "prepared" in request.fixturenames:
        shutil.copytree(request.getfixturevalue("prepared"), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def modules():
    package = pathlib.Path(fastconv.__file__).parent
    paths = sorted(path.relative_to(package.parent) for path in package.rglob("*.py"))
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return [importlib.import_module(name) for name in names]


def docstring_examples():
    """The examples of every module, class and function, by name."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for module in modules() for test in finder.find(module)]
    return {test.name: test for test in found if test.examples}


DOCSTRINGS = docstring_examples()


def names_with_examples(node, name):
    """The names of a syntax tree's definitions, its own included, that have an example."""
    found = {name} if ">>> " in (ast.get_docstring(node) or "") else set()
    for child in node.body:
        if isinstance(child, (ast.ClassDef, ast.FunctionDef)):
            found |= names_with_examples(child, f"{name}.{child.name}")
    return found


def test_finds_every_docstring_with_an_example():
    """What is wrapped or built otherwise could hide from doctest: the sources tell."""
    expected = set()
    for module in modules():
        source = pathlib.Path(module.__file__).read_text(encoding="utf-8")
        expected |= names_with_examples(ast.parse(source), module.__name__)
    assert set(DOCSTRINGS) == expected
    assert len(expected) >= 20


@pytest.mark.parametrize("name", DOCSTRINGS)
def test_docstring(name, prepared):
    test = DOCSTRINGS[name]
    test.globs = dict(NAMES)
    report = io.StringIO()
    doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=report.write)
    assert not report.getvalue(), report.getvalue()


def blocks(document):
    """Yields the blocks of a page that are to be run."""
    for region in RawFencedCodeBlockLexer(FENCE)(document):
        language, title, source = (region.lexemes[key] for key in ("language", "title", "source"))
        if NOT_TESTED.fullmatch(title or "") or language not in ("python", "bash"):
            continue
        if language == "python" and source.startswith(">>>"):
            for session in DocTestStringParser(DocTestEvaluator(OPTIONS))(source, document.path):
                session.adjust(region, source)
                yield session
            continue
        region.parsed = source
        region.evaluator = PythonEvaluator() if language == "python" else run_commands
        yield region


def run_commands(example):
    """Runs the commands of a block: fastconv's in this process, which saves TensorFlow's start."""
    for command in example.parsed.replace("\\\n", " ").splitlines():
        words = shlex.split(command, comments=True)
        if words[:1] == ["fastconv"]:
            run_fastconv(words[1:])
        elif words:
            subprocess.run(["bash", "-c", command], check=True)


def run_fastconv(words):
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            code = cli.main(words)
        except SystemExit as exit_:  # of argparse
            code = exit_.code
    assert not code, f"fastconv {shlex.join(words)} exits with {code}: {errors.getvalue()}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_page(page, prepared):
    document = Document.parse(str(page), blocks)
    document.namespace.update(NAMES)
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_blocks_are_marked_in_one_way(page):
    """Each names its language, so that none is left out by mistake; other titles do not exist."""
    document = Document.parse(str(page))
    for region in RawFencedCodeBlockLexer(FENCE)(document):
        line = document.line_column(region.start)
        lexemes = region.lexemes
        assert lexemes["language"] in LANGUAGES, f"{line}: language {lexemes['language']!r}"
        assert not lexemes["rest"], f"{line}: {lexemes['rest']!r} after the language"
        if lexemes["title"] is not None:
            assert NOT_TESTED.fullmatch(lexemes["title"]), f"{line}: {lexemes['title']!r}"
