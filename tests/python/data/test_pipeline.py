import pathlib
import time
from itertools import chain

import keras
import numpy as np
import pytest
from image_folders import write_dataset, write_image

from fastconv.data import (
    Augmentation,
    DataError,
    IdxImage,
    ImagePipeline,
    ImageSplit,
    list_split,
    load_images,
    pipeline,
)

COUNT = 23
SHIFTS = Augmentation(horizontal_shift=0.3, vertical_shift=0.3, brightness=(0.5, 1.5))


def numbered(count=COUNT, classes=3):
    """A split whose image `k` has all its pixels at `10 * k` and the label `k % classes`."""
    return ImageSplit(
        class_names=tuple("abcdefg"[:classes]),
        files=tuple(
            IdxImage(pathlib.Path("images"), k, np.full((4, 6), 10 * k, "uint8"))
            for k in range(count)
        ),
        labels=np.arange(count, dtype="int32") % classes,
    )


def numbers(batches):
    """The numbers of the images of each batch of a `numbered` split."""
    return [np.rint(images[:, 0, 0, 0] * 25.5).astype(int).tolist() for images, _ in batches]


def epoch(batches, *arguments):
    return list(batches.epoch(*arguments).as_numpy_iterator())


def assert_equal(first, second):
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


@pytest.fixture(params=[True, False], ids=["cached", "read"])
def cache(request):
    """Whether images are kept in memory or read for every batch."""
    return request.param


def test_batches_hold_the_images_in_their_order(cache):
    batches = ImagePipeline(numbered(), (4, 6), batch_size=5, cache=cache)
    assert (batches.steps, batches.cached, batches.channels) == (5, cache, 1)
    found = epoch(batches)
    assert numbers(found) == [list(range(k, min(k + 5, COUNT))) for k in range(0, COUNT, 5)]
    images, labels = found[-1]
    assert images.dtype == labels.dtype == np.float32
    assert images.shape == (3, 4, 6, 1)
    expected = np.array([200, 210, 220], "float32") / np.float32(255)
    np.testing.assert_array_equal(
        images, np.broadcast_to(expected[:, None, None, None], (3, 4, 6, 1))
    )
    np.testing.assert_array_equal(labels, np.eye(3)[[2, 0, 1]])


def test_files_are_decoded_and_resized(tmp_path, cache):
    split = list_split(write_dataset(tmp_path), "train")
    (found,) = epoch(ImagePipeline(split, (6, 4), cache=cache))
    expected = load_images(split.files, (6, 4)).astype("float32") / np.float32(255)
    np.testing.assert_array_equal(found[0], expected)
    (grey,) = epoch(ImagePipeline(split, (6, 4), channels=1, cache=cache))
    assert grey[0].shape == (6, 6, 4, 1)


def test_every_epoch_has_an_order_of_its_own():
    batches = ImagePipeline(numbered(), (4, 6), batch_size=5, seed=3, shuffle=True)
    orders = [list(chain(*numbers(epoch(batches, number)))) for number in range(3)]
    assert all(sorted(order) == list(range(COUNT)) for order in orders)
    assert len({tuple(order) for order in [*orders, range(COUNT)]}) == 4


def test_labels_stay_with_their_images():
    batches = ImagePipeline(numbered(), (4, 6), batch_size=5, shuffle=True)
    for batch, (_, labels) in zip(numbers(found := epoch(batches)), found, strict=True):
        np.testing.assert_array_equal(labels.argmax(axis=1), np.array(batch) % 3)


def test_batches_depend_on_seed_epoch_and_position_alone(cache):
    def make(seed=3):
        return ImagePipeline(
            numbered(),
            (4, 6),
            batch_size=5,
            seed=seed,
            shuffle=True,
            augmentation=SHIFTS,
            cache=cache,
        )

    batches = make()
    epoch(batches, 0)
    found = epoch(batches, 7)
    assert_equal(found, epoch(make(), 7))
    for skipped in (1, 4):
        assert_equal(found[skipped:], epoch(make(), 7, skipped))
    assert epoch(make(), 7, 5) == []
    assert numbers(found) != numbers(epoch(make(4), 7))


def test_all_epochs_in_one_dataset_are_those_one_by_one():
    batches = ImagePipeline(numbered(), (4, 6), batch_size=5, shuffle=True, augmentation=SHIFTS)
    joined = list(batches.epochs(2, skip_batches=3).take(9).as_numpy_iterator())
    assert_equal(joined, [*epoch(batches, 2, 3), *epoch(batches, 3), *epoch(batches, 4)[:2]])
    assert batches.epochs().cardinality() == -1  # infinite
    assert batches.epoch(2, 3).cardinality() == 2


def test_augmentation_differs_between_batches_and_epochs():
    image = IdxImage(pathlib.Path("images"), 0, np.full((4, 6), 200, "uint8"))
    split = ImageSplit(("a", "b"), (image,) * 8, np.zeros(8, "int32"))
    bright = Augmentation(brightness=(0.1, 1.0))
    batches = ImagePipeline(split, (4, 6), batch_size=4, augmentation=bright)
    values = [images[:, 0, 0, 0] for number in range(2) for images, _ in epoch(batches, number)]
    assert len(np.unique(np.concatenate(values))) == 16


@pytest.mark.parametrize(
    ("label_mode", "expected"),
    [
        ("int", np.array([0, 1, 0], "int32")),
        ("binary", np.array([[0], [1], [0]], "float32")),
        ("categorical", np.array([[1, 0], [0, 1], [1, 0]], "float32")),
    ],
)
def test_labels_are_what_the_loss_takes(label_mode, expected):
    ((_, labels),) = epoch(ImagePipeline(numbered(3, classes=2), (4, 6), label_mode=label_mode))
    assert labels.dtype == expected.dtype
    np.testing.assert_array_equal(labels, expected)


def test_what_fits_is_cached(monkeypatch):
    bytes_needed = COUNT * 4 * 6
    for available, cached in ((4 * bytes_needed + 1, True), (4 * bytes_needed, False)):
        monkeypatch.setattr(pipeline, "available_memory", lambda available=available: available)
        assert ImagePipeline(numbered(), (4, 6)).cached is cached


def test_broken_images_are_named_before_the_first_batch(tmp_path, cache):
    root = write_dataset(tmp_path)
    path = write_image(root / "train" / "dog" / "9.png", seed=1, size=(40, 40))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cannot be read.*Received: .*dog/9\.png"):
        ImagePipeline(list_split(root, "train"), (9, 7), cache=cache)


def test_waiting_is_what_steps_spend_on_their_next_batch(monkeypatch):
    read = pipeline.load_images

    def slow(*arguments):
        time.sleep(0.2)
        return read(*arguments)

    batches = ImagePipeline(numbered(), (4, 6), batch_size=5, cache=False)
    assert batches.wait_seconds() == 0
    monkeypatch.setattr(pipeline, "load_images", slow)
    start = time.perf_counter()
    for _ in batches.epoch():
        time.sleep(0.1)
    passed = time.perf_counter() - start
    # The first batch is there 0.2 s after it was asked for, whatever else runs; the steps' own
    # 5 x 0.1 s are no waiting.
    assert 0.2 <= batches.wait_seconds() <= passed - 0.5
    before = batches.wait_seconds()
    epoch(batches, 1)
    assert batches.wait_seconds() >= before + 0.2


def test_the_tuner_that_delays_the_end_of_an_iterator_is_off():
    options = ImagePipeline(numbered(), (4, 6), batch_size=4).epochs().options()
    assert options.autotune.enabled is False


def test_keras_trains_on_it():
    batches = ImagePipeline(numbered(), (4, 6), batch_size=5, shuffle=True, augmentation=SHIFTS)
    model = keras.Sequential(
        [keras.Input((4, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    history = model.fit(
        batches.epochs(), epochs=2, steps_per_epoch=batches.steps, shuffle=False, verbose=0
    )
    assert np.isfinite(history.history["loss"]).all()
    assert model.optimizer.iterations == 10
    assert batches.wait_seconds() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_mode": "onehot"}, r"Received: label_mode='onehot'"),
        ({"label_mode": "binary"}, r"two classes.*Received: 3 classes: a, b, c"),
        ({"channels": 4}, r"Received: channels=4"),
        ({"batch_size": 0}, r"batch_size=0"),
        ({"image_size": (0, 6)}, r"image_size=\(0, 6\)"),
        ({"seed": -1}, r"seed=-1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        ImagePipeline(numbered(), **{"image_size": (4, 6), **arguments})


@pytest.mark.parametrize(("number", "skipped"), [(-1, 0), (0, -1), (0, 6)])
def test_positions_outside_an_epoch_are_refused(number, skipped):
    batches = ImagePipeline(numbered(), (4, 6), batch_size=5)
    with pytest.raises(DataError, match=rf"Received: epoch {number}, skip_batches={skipped}"):
        batches.epoch(number, skipped)
