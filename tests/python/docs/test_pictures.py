"""Every picture of the documentation is shown by a page, and is small enough to keep."""

import re

from helpers import REPOSITORY

DOCS = REPOSITORY / "docs"
MAX_BYTES = 100_000
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")


def test_pictures_are_shown_and_small():
    shown = {
        (page.parent / target).resolve()
        for page in DOCS.rglob("*.md")
        for target in PICTURE.findall(page.read_text(encoding="utf-8"))
    }
    pictures = {path.resolve() for path in (DOCS / "pictures").iterdir()}
    assert pictures == shown
    large = [path.name for path in pictures if path.stat().st_size > MAX_BYTES]
    assert not large
