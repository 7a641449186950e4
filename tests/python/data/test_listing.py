import numpy as np
import pytest
from image_folders import write_dataset, write_image

from fastconv.data import DataError, list_images, list_split


def names(split):
    """`(class, file name)` of every image."""
    return [
        (split.class_names[label], f"{file.parent.name}/{file.name}")
        for file, label in zip(split.files, split.labels, strict=True)
    ]


def test_labels_follow_the_alphabet(tmp_path):
    listing = list_images(write_dataset(tmp_path, classes=("b", "C", "a")), validation_split=0)
    assert listing.class_names == ("C", "a", "b")
    assert listing.validation is None
    assert names(listing.test) == [
        (name, f"{name}/{k}.png") for name in ("C", "a", "b") for k in range(2)
    ]
    assert listing.train.labels.dtype == np.int32
    assert listing.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_labels_follow_the_order_of_the_classes_asked_for(tmp_path):
    root = write_dataset(tmp_path, classes=("ant", "bee", "cow", "dog"))
    listing = list_images(root, classes=("dog", "bee"), validation_split=0)
    assert listing.class_names == ("dog", "bee")
    assert names(listing.test) == [
        (name, f"{name}/{k}.png") for name in ("dog", "bee") for k in range(2)
    ]
    assert list_split(root, "test", classes=("dog", "bee")).counts == {"dog": 2, "bee": 2}


def test_a_limit_takes_the_first_classes(tmp_path):
    root = write_dataset(tmp_path, classes=("cow", "ant", "bee", "dog"))
    listing = list_images(root, limit_classes=3)
    assert listing.class_names == ("ant", "bee", "cow")
    assert listing.test.class_names == ("ant", "bee", "cow")


def test_chosen_classes_may_be_all_that_the_splits_share(tmp_path):
    root = write_dataset(tmp_path)
    write_image(root / "train" / "emu" / "0.png", seed=1)
    assert list_images(root, classes=("dog", "cat")).class_names == ("dog", "cat")
    with pytest.raises(DataError, match=r"only in train/: emu"):
        list_images(root)
    with pytest.raises(DataError, match=r"no class 'emu' in test/"):
        list_images(root, classes=("cat", "emu"))


def test_validation_images_are_set_apart_of_every_class(tmp_path):
    root = write_dataset(tmp_path, classes=("a", "b", "c"), train=20)
    for path in sorted((root / "train" / "c").iterdir())[:13]:
        path.unlink()
    whole = names(list_images(root, validation_split=0).train)
    listing = list_images(root, validation_split=0.3, seed=5)
    assert listing.validation.counts == {"a": 6, "b": 6, "c": 2}
    assert listing.train.counts == {"a": 14, "b": 14, "c": 5}
    train, validation = names(listing.train), names(listing.validation)
    assert not set(train) & set(validation)
    assert sorted(train + validation) == sorted(whole)
    assert names(list_images(root, validation_split=0.3, seed=5).validation) == validation
    assert names(list_images(root, validation_split=0.3, seed=6).validation) != validation
    # Classes do not lose the same file numbers.
    chosen = [{file[2:] for name, file in validation if name == letter} for letter in "ab"]
    assert chosen[0] != chosen[1]


def test_small_classes_keep_an_image_on_either_side(tmp_path):
    root = write_dataset(tmp_path, train=2)
    for share in (0.01, 0.99):
        listing = list_images(root, validation_split=share)
        assert listing.train.counts == listing.validation.counts == {"cat": 1, "dog": 1}
    for path in (root / "train" / "dog").glob("1.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"at least two images.*Received: 1 of class 'dog'"):
        list_images(root, validation_split=0.5)


def test_class_folders_without_splits_are_all_for_training(tmp_path):
    root = write_dataset(tmp_path, classes=("cat", "dog")) / "train"
    listing = list_images(root, validation_split=0)
    assert listing.test is None
    assert listing.train.counts == {"cat": 3, "dog": 3}
    for split in ("train", "test"):
        assert list_split(root, split).counts == {"cat": 3, "dog": 3}


def test_a_training_split_alone_is_enough_to_train(tmp_path):
    root = write_dataset(tmp_path)
    (root / "test").rename(tmp_path / "elsewhere")
    assert list_images(root).test is None
    with pytest.raises(DataError, match=r"has no test/.*Received: "):
        list_split(root, "test")


def test_a_test_split_alone_is_enough_to_evaluate(tmp_path):
    root = write_dataset(tmp_path)
    (root / "train").rename(tmp_path / "elsewhere")
    assert list_split(root, "test").counts == {"cat": 2, "dog": 2}
    with pytest.raises(DataError, match=r"has no train/"):
        list_images(root)


def test_a_class_may_be_called_train(tmp_path):
    for name in ("car", "train"):
        write_image(tmp_path / name / "0.png", seed=0)
    assert list_images(tmp_path, validation_split=0).train.counts == {"car": 1, "train": 1}


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_images_are_grey_where_all_are(tmp_path, mode):
    for name in ("a", "b"):
        write_image(tmp_path / name / "0.png", seed=0, mode="L")
    write_image(tmp_path / "b" / "1.png", seed=0, mode=mode)
    split = list_split(tmp_path)
    assert split.channels == {"L": 1, "RGB": 3}[mode]
    assert split.image_size is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": ("cat", "emu")}, r"no class 'emu' in train/, which has cat, dog"),
        ({"classes": ("cat", "cat")}, r"named twice"),
        ({"classes": ("cat",)}, r"train/ has 1 of those chosen"),
        ({"classes": ()}, r"train/ has 0 of those chosen"),
        ({"limit_classes": 1}, r"train/ has 1 of those chosen"),
        ({"limit_classes": 3}, r"There are 2 classes in train/.*Received: limit_classes=3"),
        ({"limit_classes": 2, "classes": ("cat", "dog")}, r"not both"),
        ({"validation_split": 1.0}, r"Received: validation_split=1\.0"),
        ({"validation_split": -0.1}, r"Received: validation_split=-0\.1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path, arguments, message):
    with pytest.raises(DataError, match=message):
        list_images(write_dataset(tmp_path), **arguments)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"at least two class folders, the folder has 0"):
        list_images(tmp_path)


def test_splits_have_one_of_two_names(tmp_path):
    with pytest.raises(DataError, match=r"one of train, test.*Received: split='validation'"):
        list_split(write_dataset(tmp_path), "validation")
