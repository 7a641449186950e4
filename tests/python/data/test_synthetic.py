import numpy as np
import pytest

from fastconv.data import SYNTHETIC_CLASS_NAMES, DataError, draw_synthetic

CLASSES = len(SYNTHETIC_CLASS_NAMES)


def test_the_same_seed_draws_the_same_images():
    first, second = (draw_synthetic(3, 2, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first.train.images, second.train.images)
    np.testing.assert_array_equal(first.test.images, second.test.images)


def test_another_seed_draws_other_images():
    first, second = (draw_synthetic(2, 1, seed=seed).train.images for seed in (0, 1))
    assert (np.abs(first - second).max(axis=(1, 2, 3)) > 0.1).all()


def test_a_larger_data_set_begins_with_the_smaller_one():
    small, large = (
        draw_synthetic(count, count).train.images.reshape(CLASSES, count, 32, 32, 3)
        for count in (2, 4)
    )
    np.testing.assert_array_equal(small, large[:, :2])


def test_classes_are_balanced_and_images_in_range():
    dataset = draw_synthetic(4, 3, image_size=(20, 28))
    assert dataset.synthetic
    assert dataset.class_names == SYNTHETIC_CLASS_NAMES
    assert dataset.image_shape == (20, 28, 3)
    for split, count in ((dataset.train, 4), (dataset.test, 3)):
        assert np.bincount(split.labels).tolist() == [count] * CLASSES
        assert split.images.dtype == np.float32
        assert split.images.min() >= 0
        assert split.images.max() <= 1


def test_no_two_images_are_equal():
    dataset = draw_synthetic(6, 6)
    images = np.concatenate([dataset.train.images, dataset.test.images])
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_every_image_shows_a_dark_mark_on_a_light_ground():
    images = draw_synthetic(10, 1).train.images
    grey = np.sort(images.mean(axis=3).reshape(len(images), -1), axis=1)
    darkest, lightest = grey[:, :20].mean(axis=1), grey[:, -20:].mean(axis=1)
    assert (lightest - darkest > 0.2).all()


@pytest.mark.parametrize("counts", [(0, 1), (1, 0)])
def test_counts_below_one_are_refused(counts):
    with pytest.raises(DataError, match=r"at least one.*Received: train_per_class="):
        draw_synthetic(*counts)


def test_images_too_small_for_a_mark_are_refused():
    with pytest.raises(DataError, match=r"Received: image_size=\(15, 32\)"):
        draw_synthetic(1, 1, image_size=(15, 32))
