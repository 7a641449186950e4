import gzip
import re
import struct

import numpy as np
import pytest
from helpers import REPOSITORY

from fastconv.data import DataError, list_images, list_split, load_images

MNIST = REPOSITORY.parent / "shared" / "data" / "mnist"


def idx(values):
    """The bytes of an idx file."""
    header = struct.pack(f">BBBB{values.ndim}i", 0, 0, 8, values.ndim, *values.shape)
    return header + values.astype("uint8").tobytes()


def write_idx(root, compressed=False, separator="-"):
    """Writes a data set of three classes, the labels 1, 4 and 7, and returns its arrays."""
    root.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for seed, (prefix, count) in enumerate((("train", 12), ("t10k", 6))):
        images = np.random.default_rng(seed).integers(0, 256, (count, 5, 4))
        labels = np.array([1, 4, 7] * (count // 3))
        arrays[prefix] = (images, labels)
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx(values)
            path = root / f"{prefix}-{name.replace('-', separator)}-ubyte"
            if compressed:
                path = path.with_name(path.name + ".gz")
                content = gzip.compress(content)
            path.write_bytes(content)
    return arrays


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("separator", ["-", "."])
def test_images_and_labels_are_those_of_the_files(tmp_path, compressed, separator):
    arrays = write_idx(tmp_path, compressed, separator)
    listing = list_images(tmp_path, validation_split=0)
    assert listing.class_names == ("1", "4", "7")
    for split, prefix in ((listing.train, "train"), (listing.test, "t10k")):
        images, labels = arrays[prefix]
        order = np.argsort(labels, kind="stable")
        assert split.channels == 1
        assert split.image_size == (5, 4)
        np.testing.assert_array_equal(
            load_images(split.files, (5, 4), channels=1)[..., 0], images[order]
        )
        names = np.array(split.class_names)[split.labels]
        np.testing.assert_array_equal(names.astype(int), labels[order])
        assert str(split.files[1]).endswith(
            f"{prefix}-images{separator}idx3-ubyte" + ".gz" * compressed + "[3]"
        )


def test_classes_are_chosen_by_their_digit(tmp_path):
    write_idx(tmp_path)
    listing = list_images(tmp_path, classes=("7", "1"), validation_split=0.25)
    assert listing.train.counts == {"7": 3, "1": 3}
    assert listing.validation.counts == {"7": 1, "1": 1}
    assert listing.test.counts == {"7": 2, "1": 2}


def test_test_files_alone_can_be_evaluated(tmp_path):
    write_idx(tmp_path)
    for path in tmp_path.glob("train-*"):
        path.unlink()
    assert list_split(tmp_path, "test").counts == {"1": 2, "4": 2, "7": 2}
    with pytest.raises(DataError, match=r"has no train/.*Received: "):
        list_images(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"text", "no idx file of unsigned bytes with 3 dimensions"),
        ("train-images-idx3-ubyte", idx(np.zeros((12, 5, 4)))[:-1], "must hold 240 values"),
        ("train-images-idx3-ubyte", idx(np.zeros((12, 5, 4))) + b"0", "but holds 241"),
        ("train-labels-idx1-ubyte", idx(np.zeros((12, 2))), "with 1 dimensions"),
        ("train-labels-idx1-ubyte", idx(np.zeros(11)), "12 images and 11 labels"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, message):
    write_idx(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{message}.*Received: .*{re.escape(name)}"):
        list_images(tmp_path)


def test_a_truncated_archive_is_named(tmp_path):
    write_idx(tmp_path, compressed=True)
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"cannot be read.*Received: .*t10k-labels-idx1-ubyte\.gz"):
        list_images(tmp_path)


def test_missing_labels_are_named(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.*missing"):
        list_images(tmp_path)


@pytest.mark.skipif(not MNIST.is_dir(), reason="there is no shared/data/mnist next to the sources")
def test_mnist_test_split_has_its_published_counts():
    counts = list_split(MNIST, "test").counts
    assert list(counts.values()) == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
