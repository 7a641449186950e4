"""Tests of folders and files to write to."""

import errno
import os

import pytest

from fastconv.errors import InputError
from fastconv.files import folder_to_fill, written_aside


def _write_half(path, error):
    with written_aside(path) as aside:
        aside.write_text("half")
        raise error


def _fill_half(path, names, error):
    with folder_to_fill(path) as folder:
        for name in names:
            (folder / name).write_text("")
        raise error


def test_the_file_appears_when_it_is_done(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with written_aside(path) as aside:
        aside.write_text("new")
        assert not path.exists()
        assert aside.name == path.name
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_older_file_stays_where_writing_ends_early(tmp_path, error):
    path = tmp_path / "b.txt"
    path.write_text("old")
    with pytest.raises(error):
        _write_half(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_input_error(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(InputError, match=r"No space left.*Received: .*b\.txt"):
        _write_half(tmp_path / "b.txt", full)
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_where_there_are_none(tmp_path):
    for _ in range(2):
        with folder_to_fill(tmp_path / "a" / "b") as folder:
            assert folder == tmp_path / "a" / "b"
        assert folder.is_dir()
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"cannot be made \(File exists\).*Received: .*file"),
        folder_to_fill(tmp_path / "file"),
    ):
        pytest.fail("there is no folder to fill")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_only_folders_that_were_made_for_nothing_go_again(tmp_path, error):
    (tmp_path / "old").mkdir()
    for path, names in (("old", ()), ("old/a/b", ()), ("new/c", ("file",))):
        with pytest.raises(error):
            _fill_half(tmp_path / path, names, error)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["new", "new/c", "new/c/file", "old"]


def test_a_folder_in_the_way_is_an_input_error(tmp_path):
    (tmp_path / "b").write_text("")
    with (
        pytest.raises(InputError, match=r"Received: .*c\.txt"),
        written_aside(tmp_path / "b/c.txt"),
    ):
        pytest.fail("there is no place to write to")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_replaced(tmp_path, make):
    path = tmp_path / "b"
    make(path)
    with pytest.raises(InputError, match=r"in the place of the file.*Received: "):
        _write_half(path, KeyboardInterrupt)
    assert not path.is_file()
    assert list(tmp_path.iterdir()) == [path]
