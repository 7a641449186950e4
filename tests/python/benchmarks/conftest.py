"""Makes the source folder's `benchmarks` importable."""

import pytest
from helpers import REPOSITORY


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY))
