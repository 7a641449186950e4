import errno
import json
import os
import shutil

import pytest
from image_folders import write_image

from fastconv.data import DataError, list_images, prepare
from fastconv.data import preparation as module
from fastconv.errors import InputError

CLASSES = ("apple_pie", "baby_back_ribs", "cup_cakes")


@pytest.fixture
def source(tmp_path):
    """Ten images of each of three classes."""
    for label, name in enumerate(CLASSES):
        for k in range(10):
            write_image(tmp_path / "images" / name / f"{k}.png", seed=100 * label + k)
    return tmp_path / "images"


def write_lists(folder, train, test, extension=""):
    """Writes both lists, of the numbers of the images of every class, and returns their paths."""
    paths = []
    for split, numbers in (("train", train), ("test", test)):
        paths.append(folder / f"{split}.json")
        paths[-1].write_text(
            json.dumps({name: [f"{name}/{k}{extension}" for k in numbers] for name in CLASSES})
        )
    return {"train_list": paths[0], "test_list": paths[1]}


def tree(folder):
    """Every file below a folder with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def images(output):
    return {name: content for name, content in tree(output).items() if name.endswith(".png")}


def test_a_share_of_every_class_becomes_the_test_split(source, tmp_path):
    before = tree(source)
    made = prepare(source, tmp_path / "out", test_fraction=0.3, seed=1)
    assert made.counts == {"train": dict.fromkeys(CLASSES, 7), "test": dict.fromkeys(CLASSES, 3)}
    assert (made.kinds["hard link"], made.left_out) == (30, 0)
    listing = list_images(tmp_path / "out", validation_split=0)
    assert listing.test.counts == made.counts["test"]
    # Every image is in one place, whole.
    found = {name.split("/", 1)[1]: content for name, content in images(tmp_path / "out").items()}
    assert found == before
    assert len(images(tmp_path / "out")) == 30
    assert tree(source) == before


def test_the_seed_chooses(source, tmp_path):
    outputs = []
    for number, seed in enumerate((1, 1, 2)):
        prepare(source, tmp_path / str(number), test_fraction=0.3, seed=seed)
        outputs.append(set(images(tmp_path / str(number))))
    assert outputs[0] == outputs[1] != outputs[2]


@pytest.mark.parametrize("extension", ["", ".png"])
def test_lists_say_where_images_go(source, tmp_path, extension):
    lists = write_lists(tmp_path, range(6), range(6, 9), extension)
    made = prepare(source, tmp_path / "out", **lists)
    assert set(images(tmp_path / "out")) == {
        f"{split}/{name}/{k}.png"
        for split, numbers in (("train", range(6)), ("test", range(6, 9)))
        for name in CLASSES
        for k in numbers
    }
    assert made.left_out == 3


@pytest.mark.parametrize("link", [True, False])
def test_a_second_call_changes_nothing(source, tmp_path, link):
    output = tmp_path / "out"
    first = prepare(source, output, test_fraction=0.3, link=link)
    files = {path: path.lstat() for path in output.rglob("*")}
    again = prepare(source, output, test_fraction=0.3, link=link)
    assert again == first
    # Nothing new, nothing written anew.
    assert {path: path.lstat().st_ino for path in output.rglob("*")} == {
        path: status.st_ino for path, status in files.items()
    }
    assert {path: path.lstat().st_mtime_ns for path in output.rglob("*.png")} == {
        path: status.st_mtime_ns for path, status in files.items() if path.suffix == ".png"
    }


@pytest.mark.parametrize("link", [True, False])
def test_a_second_call_completes_what_was_interrupted(source, tmp_path, monkeypatch, link):
    name = "link" if link else "copy2"
    place = getattr(os if link else shutil, name)
    calls = []

    def interrupt(*arguments):
        calls.append(arguments)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return place(*arguments)

    output = tmp_path / "out"
    monkeypatch.setattr(os if link else shutil, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, output, test_fraction=0.3, link=link)
    assert len(images(output)) == 11
    made = prepare(source, output, test_fraction=0.3, link=link)
    assert len(calls) == 12 + 30 - 11
    whole = prepare(source, tmp_path / "whole", test_fraction=0.3, link=link)
    assert made.counts == whole.counts
    assert tree(output) == tree(tmp_path / "whole")
    assert not list(output.rglob(".*"))


def test_hard_links_share_the_file_and_copies_do_not(source, tmp_path):
    for link, kind in ((True, "hard link"), (False, "copy")):
        output = tmp_path / kind
        made = prepare(source, output, test_fraction=0.5, link=link)
        assert {name: count for name, count in made.kinds.items() if count} == {kind: 30}
        for path in output.rglob("*.png"):
            assert not path.is_symlink()
            assert path.samefile(source / path.parent.name / path.name) is link


def test_links_are_symbolic_where_hard_ones_cannot_be(source, tmp_path, monkeypatch):
    def other_file_system(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_file_system)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        made = prepare("images", "out", test_fraction=0.5)
        assert made.kinds == {"hard link": 0, "symbolic link": 30, "copy": 0}
    for path in (tmp_path / "out").rglob("*.png"):
        assert path.is_symlink()
        assert path.samefile(source / path.parent.name / path.name)


def test_a_full_disk_is_no_reason_for_symbolic_links(source, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(InputError, match=r"No space.*Received: .*\.png"):
        prepare(source, tmp_path / "out", test_fraction=0.5)
    assert not images(tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test_fraction": 0.4}, r"test_fraction was 0\.3 and is 0\.4"),
        ({"test_fraction": 0.3, "seed": 1}, r"seed was 0 and is 1"),
        ({"test_fraction": 0.3, "link": False}, r"link was True and is False"),
    ],
)
def test_other_arguments_need_another_folder(source, tmp_path, arguments, message):
    prepare(source, tmp_path / "out", test_fraction=0.3)
    before = tree(tmp_path / "out")
    with pytest.raises(DataError, match=rf"another way: {message}.*Received: .*out"):
        prepare(source, tmp_path / "out", **arguments)
    assert tree(tmp_path / "out") == before


def test_new_images_need_another_folder(source, tmp_path):
    prepare(source, tmp_path / "out", test_fraction=0.3)
    write_image(source / CLASSES[0] / "new.png", seed=7)
    with pytest.raises(DataError, match="images of the source, or the lists, are others"):
        prepare(source, tmp_path / "out", test_fraction=0.3)


def test_other_files_are_left_alone(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"`prepare` has not made it.*Received: .*out"):
        prepare(source, tmp_path / "out", test_fraction=0.3)
    assert tree(tmp_path / "out") == {"notes.txt": b"mine"}


@pytest.mark.parametrize("link", [True, False])
def test_an_image_that_was_replaced_is_named(source, tmp_path, link):
    prepare(source, tmp_path / "out", test_fraction=0.3, link=link)
    path = next((tmp_path / "out" / "test").rglob("*.png"))
    path.unlink()
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match=rf"Another file.*Received: .*{path.name}"):
        prepare(source, tmp_path / "out", test_fraction=0.3, link=link)
    assert path.read_bytes() == b"mine"


def test_a_damaged_record_is_named(source, tmp_path):
    prepare(source, tmp_path / "out", test_fraction=0.3)
    (tmp_path / "out" / module.RECORD).write_text("{")
    with pytest.raises(DataError, match=r"damaged.*Received: .*prepare\.json"):
        prepare(source, tmp_path / "out", test_fraction=0.3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot be read \(No such file"),
        ("no JSON", r"no JSON file"),
        ([1], r"A list maps class names"),
        ({"apple_pie": "apple_pie/0"}, r"A list maps class names"),
        ({"apple_pie": [], "cup_cakes": ["cup_cakes/0"]}, r"at least one image a class"),
        ({"apple_pie": ["apple_pie/0"]}, r"at least two classes"),
        ({"apple_pie": ["apple_pie/99"], "b": ["b/0"]}, r"'apple_pie/99', .*no such image in "),
        ({"apple_pie": ["../images/apple_pie/0"], "b": ["b/0"]}, r"no such image"),
        ({"apple_pie": ["cup_cakes/1"], "b": ["b/0"]}, r"under class 'apple_pie'"),
        ({"apple_pie": ["apple_pie/0", "apple_pie/0"], "b": ["b/0"]}, r"'apple_pie/0' twice"),
        ({name: [f"{name}/0"] for name in CLASSES[:2]}, r"only one has \['cup_cakes'\]"),
    ],
)
def test_broken_lists_are_named(source, tmp_path, content, message):
    lists = write_lists(tmp_path, range(6), range(6, 9))
    lists["train_list"].unlink()
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        lists["train_list"].write_text(text)
    with pytest.raises(DataError, match=rf"{message}.*Received: .*train\.json"):
        prepare(source, tmp_path / "out", **lists)
    assert not (tmp_path / "out").exists()


def test_an_image_in_both_lists_is_named(source, tmp_path):
    lists = write_lists(tmp_path, range(6), range(5, 9))
    with pytest.raises(DataError, match=r"'apple_pie/5' and so does .*train\.json.*test\.json"):
        prepare(source, tmp_path / "out", **lists)


def test_names_that_two_images_have_are_refused(source, tmp_path):
    write_image(source / "apple_pie" / "0.jpg", seed=1)
    lists = write_lists(tmp_path, range(6), range(6, 9))
    with pytest.raises(DataError, match=r"'apple_pie/0', but there is several images of this name"):
        prepare(source, tmp_path / "out", **lists)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"train_list": "a"},
        {"test_list": "a"},
        {"test_fraction": 0.1, "train_list": "a"},
        {"test_fraction": 0.1, "train_list": "a", "test_list": "b"},
    ],
)
def test_either_a_share_or_both_lists_are_needed(source, tmp_path, arguments):
    with pytest.raises(DataError, match=r"either a test fraction or both"):
        prepare(source, tmp_path / "out", **arguments)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_shares_out_of_range_are_refused(source, tmp_path, share):
    with pytest.raises(DataError, match=rf"between 0 and 1.*Received: {share}"):
        prepare(source, tmp_path / "out", test_fraction=share)


@pytest.mark.parametrize("output", ["images", "images/split", "."])
def test_the_output_is_apart_from_the_source(source, output):
    with pytest.raises(DataError, match=r"neither inside the source nor around it"):
        prepare(source, source.parent / output, test_fraction=0.3)


def test_an_output_that_is_a_file_is_refused(source, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DataError, match=r"a file, not a folder.*Received: .*out"):
        prepare(source, tmp_path / "out", test_fraction=0.3)


def test_sources_that_cannot_be_split_are_refused(source, tmp_path):
    prepare(source, tmp_path / "out", test_fraction=0.3)
    with pytest.raises(DataError, match=r"split already: it holds test and train images"):
        prepare(tmp_path / "out", tmp_path / "again", test_fraction=0.3)
    with pytest.raises(DataError, match=r"does not exist"):
        prepare(tmp_path / "nowhere", tmp_path / "again", test_fraction=0.3)
    for name in CLASSES[1:]:
        shutil.rmtree(source / name)
    with pytest.raises(DataError, match=r"at least two class folders, the folder has 1"):
        prepare(source, tmp_path / "again", test_fraction=0.3)
    (source / "empty").mkdir()
    with pytest.raises(DataError, match=r"Class 'empty' has no images"):
        prepare(source, tmp_path / "again", test_fraction=0.3)
