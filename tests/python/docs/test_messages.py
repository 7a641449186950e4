"""The messages that the documentation explains are those that the sources have."""

import ast
import re

from helpers import REPOSITORY

PAGE = REPOSITORY / "docs" / "troubleshooting.md"
HEADING = re.compile(r"^### (`+) ?(.+?) ?\1(?:$| )", re.MULTILINE)
ANY = "…"  # what differs


def python_messages():
    """Yields every string of the package; what an f-string inserts is ANY."""
    for path in (REPOSITORY / "fastconv").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(
                    part.value if isinstance(part, ast.Constant) else ANY for part in node.values
                )


def build_messages():
    """Yields the CMake files with strings joined that are written in parts."""
    for path in (REPOSITORY / "cmake").glob("*.cmake"):
        text = path.read_text(encoding="utf-8")
        yield re.sub(r"\$\{\w+\}", ANY, re.sub(r'"\s+"', "", text))


def test_troubleshooting_quotes_messages_that_exist():
    quotes = [quote for _, quote in HEADING.findall(PAGE.read_text(encoding="utf-8"))]
    known = [*python_messages(), *build_messages()]
    for quote in quotes:
        # A quote may leave out more than one insertion, and what follows it.
        parts = [re.escape(part) for part in quote.split(ANY)]
        pattern = re.compile(".*?".join(parts))
        assert any(map(pattern.search, known)), quote
    assert len(quotes) >= 15
