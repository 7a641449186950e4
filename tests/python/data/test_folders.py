import numpy as np
import pytest
from helpers import REPOSITORY
from image_folders import write_dataset, write_image
from PIL import Image

from fastconv.data import DataError, draw_synthetic, load_folders, write_folders

CIFAR10 = REPOSITORY.parent / "shared" / "data" / "cifar10"


def test_labels_are_alphabetical_positions_of_the_class_folders(tmp_path):
    dataset = load_folders(write_dataset(tmp_path, classes=("b", "C", "a")), image_size=(9, 7))
    assert dataset.class_names == ("C", "a", "b")
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert dataset.test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert not dataset.synthetic
    for row, name in enumerate(dataset.class_names):
        pixels = np.asarray(Image.open(tmp_path / "test" / name / "1.png"))
        np.testing.assert_allclose(dataset.test.images[2 * row + 1], pixels / 255, rtol=1e-6)


def test_one_hot_rows_have_their_one_at_the_label(tmp_path):
    dataset = load_folders(write_dataset(tmp_path))
    rows = dataset.test.one_hot(2)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, [[1, 0], [1, 0], [0, 1], [0, 1]])


def test_images_are_resized_and_rescaled(tmp_path):
    root = write_dataset(tmp_path)
    Image.new("RGB", (20, 10), (255, 51, 0)).save(root / "test" / "dog" / "9.png")
    dataset = load_folders(root, image_size=(6, 4))
    assert dataset.image_shape == (6, 4, 3)
    assert dataset.train.images.dtype == np.float32
    plain = dataset.test.images[-1]
    np.testing.assert_allclose(plain, np.broadcast_to([1, 0.2, 0], (6, 4, 3)), rtol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_other_colour_modes_become_rgb(tmp_path, mode):
    root = write_dataset(tmp_path)
    path = write_image(root / "test" / "dog" / "9.png", seed=5, mode=mode)
    pixels = np.asarray(Image.open(path))
    expected = np.stack([pixels] * 3, axis=2) if mode == "L" else pixels[..., :3]
    dataset = load_folders(root, image_size=(9, 7))
    np.testing.assert_allclose(dataset.test.images[-1], expected / 255, rtol=1e-6)


def test_hidden_and_foreign_files_are_left_out(tmp_path):
    root = write_dataset(tmp_path)
    write_image(root / "train" / "cat" / ".hidden.png", seed=1)
    (root / "train" / "cat" / "folder.png").mkdir()
    write_image(root / "train" / ".cache" / "0.png", seed=1)
    (root / "train" / "cat" / "notes.txt").write_text("not an image")
    (root / "SOURCE.md").write_text("not a split")
    dataset = load_folders(root)
    assert dataset.class_names == ("cat", "dog")
    assert len(dataset.train) == 6


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"does not exist.*Received: .*nowhere"):
        load_folders(tmp_path / "nowhere")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_split_is_named(tmp_path, split):
    root = write_dataset(tmp_path)
    (root / split).rename(root / "elsewhere")
    with pytest.raises(DataError, match=rf"has no {split}/"):
        load_folders(root)


def test_one_class_is_too_few(tmp_path):
    with pytest.raises(DataError, match=r"at least two class folders, train/ has 1"):
        load_folders(write_dataset(tmp_path, classes=("cat",)))


def test_a_class_without_images_is_named(tmp_path):
    root = write_dataset(tmp_path)
    for path in (root / "test" / "dog").iterdir():
        path.rename(path.with_suffix(".txt"))
    with pytest.raises(DataError, match=r"Class 'dog' has no images in test/"):
        load_folders(root)


def test_classes_that_differ_between_the_splits_are_named(tmp_path):
    root = write_dataset(tmp_path)
    write_image(root / "train" / "emu" / "0.png", seed=1)
    write_image(root / "test" / "fox" / "0.png", seed=1)
    with pytest.raises(DataError, match=r"only in train/: emu; only in test/: fox"):
        load_folders(root)


def _no_image(path):
    path.write_text("this is text")


def _empty(path):
    path.write_bytes(b"")


def _truncated(path):
    content = write_image(path, seed=1, size=(64, 64)).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _damaged(path):
    content = bytearray(write_image(path, seed=1, size=(64, 64)).read_bytes())
    content[200:220] = bytes(20)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("spoil", [_no_image, _empty, _truncated, _damaged])
def test_an_unreadable_image_is_named(tmp_path, spoil):
    root = write_dataset(tmp_path)
    spoil(root / "train" / "dog" / "7.png")
    with pytest.raises(DataError, match=r"cannot be read.*Received: .*train/dog/7\.png"):
        load_folders(root)


@pytest.mark.skipif(
    not CIFAR10.is_dir(), reason="there is no shared/data/cifar10 next to the sources"
)
def test_cifar10_has_the_channel_means_of_its_source():
    dataset = load_folders(CIFAR10)
    assert len(dataset.train) == 5000
    assert len(dataset.test) == 1000
    assert len(dataset.class_names) == 10
    # All of CIFAR-10 has the means 125.3, 123.0 and 113.9; a tenth of it deviates by little: the
    # means of images spread by about 30, so that of 5,000 by 30 / sqrt(5000) = 0.4.
    means = 255 * dataset.train.images.mean(axis=(0, 1, 2), dtype="float64")
    np.testing.assert_allclose(means, [125.3, 123.0, 113.9], atol=5 * 0.4)


def test_written_folders_load_as_the_same_images(tmp_path):
    dataset = draw_synthetic(train_per_class=2, test_per_class=1, image_size=(16, 20))
    loaded = load_folders(write_folders(dataset, tmp_path / "shapes"), image_size=(16, 20))
    assert loaded.class_names == dataset.class_names
    for split in ("train", "test"):
        written, read = getattr(dataset, split), getattr(loaded, split)
        np.testing.assert_array_equal(read.labels, written.labels)
        np.testing.assert_allclose(read.images, written.images, atol=0.5 / 255 + 1e-6)
