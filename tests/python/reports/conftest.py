"""Runs and pages that the tests share: they take seconds to make."""

import pytest
from image_folders import write_dataset
from run_folders import write_run

from fastconv.reports import report

CLASSES = ("<b>cat", "dog & co")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Images, a run of each build, and a page about the evaluated one and about both."""
    folder = tmp_path_factory.mktemp("report")
    data = write_dataset(folder / "photos", classes=CLASSES)
    runs = folder / "runs"
    write_run(runs / "fast", data, CLASSES)
    write_run(runs / "stock", data, CLASSES, backend="stock")
    assert report(runs / "fast", data=data) == [runs / "fast" / "report.html"]
    both = folder / "both.html"
    assert report([runs / "fast", runs / "stock"], both) == [both]
    return folder
