"""Feeds images to training steps in batches."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from fastconv.data.augmentation import Augmentation, rescale
from fastconv.data.images import load_images
from fastconv.data.listing import ImageSplit
from fastconv.data.memory import available_memory
from fastconv.errors import DataError

LABEL_MODES = ("int", "categorical", "binary")

# Share of the free memory that the decoded images of a split may take.
_CACHE_SHARE = 0.5
# Images that are read at once where they are not kept.
_CHUNK = 1024


class ImagePipeline:
    """Batches of a split, decoded and resized in parallel, cached where they fit, augmented.

    All images are read once when the pipeline is made, so that an image that cannot be read is
    named before the training begins. Batches are a pure function of the arguments, the epoch and
    the position in it.

    Args:
        split: `ImageSplit`.
        image_size: `(height, width)` of the batches.
        channels: `3` for RGB, `1` for grey; None means those of the images. Defaults to `None`.
        batch_size: Images per batch; the last batch of an epoch holds what is left. Defaults to
            `32`.
        seed: Start of the random numbers of order and augmentation. Defaults to `0`.
        shuffle: Whether each epoch has an order of its own; else that of the split. Defaults to
            `False`.
        augmentation: `Augmentation`, or None for none. Defaults to `None`.
        label_mode: As in Keras: `"categorical"` for one-hot rows of shape `(batch, classes)`,
            `"binary"` for 0 or 1 of shape `(batch, 1)`, both float32, or `"int"` for int32 of shape
            `(batch,)`. Defaults to `"categorical"`.
        cache: Whether to keep the decoded images in memory, one byte a value; None means where they
            take less than half of what is free. Defaults to `None`.

    Raises:
        DataError: Images cannot be read, or an argument is out of range.

    Attributes:
        steps: int, batches per epoch.
        cached: bool, whether the decoded images are in memory.
        channels: int.

    Example:

    >>> from fastconv.data import ImagePipeline, list_split
    >>> batches = ImagePipeline(list_split("photos", "train"), (64, 64), seed=1, shuffle=True)
    >>> images, labels = next(iter(batches.epoch(0)))
    >>> images.shape, labels.shape
    (TensorShape([24, 64, 64, 3]), TensorShape([24, 3]))
    """

    def __init__(
        self,
        split: ImageSplit,
        image_size: tuple[int, int],
        channels: int | None = None,
        batch_size: int = 32,
        seed: int = 0,
        shuffle: bool = False,
        augmentation: Augmentation | None = None,
        label_mode: str = "categorical",
        cache: bool | None = None,
    ):
        if channels is None:
            channels = split.channels
        _check(split, image_size, channels, batch_size, seed, label_mode)
        self.steps = math.ceil(len(split) / batch_size)
        self.channels = channels
        self._files = split.files
        self._image_size = tuple(image_size)
        self._batch_size = batch_size
        self._seed = seed
        self._shuffle = shuffle
        self._augmentation = augmentation
        value_bytes = len(split) * math.prod(image_size) * channels
        # NumPy's array and TensorFlow's exist at the same time for a moment.
        self.cached = (
            2 * value_bytes < _CACHE_SHARE * available_memory() if cache is None else cache
        )
        with tf.device("CPU"):
            self._images = tf.constant(self._load()) if self.cached else None
            self._labels = tf.constant(_encode(split, label_mode))
            self._waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        if not self.cached:
            for start in range(0, len(self._files), _CHUNK):
                self._load(slice(start, start + _CHUNK))

    def epoch(self, number: int = 0, skip_batches: int = 0) -> tf.data.Dataset:
        """Returns the batches of one epoch.

        Args:
            number: Int, the epoch, from 0. Defaults to `0`.
            skip_batches: Int, how many batches to leave out at the beginning. Defaults to `0`.

        Returns:
            A `tf.data.Dataset` of `(images, labels)`; images are float32 in [0, 1], of shape
            `(batch, height, width, channels)`. Its cardinality is `steps - skip_batches`.
        """
        return self._batches(number, skip_batches, self.steps - skip_batches)

    def epochs(self, first: int = 0, skip_batches: int = 0) -> tf.data.Dataset:
        """Returns the batches of all epochs from one on, without end, for one iterator.

        The next epoch's first batches are made while the last steps of an epoch run.

        Args:
            first: Int, the first epoch, from 0. Defaults to `0`.
            skip_batches: Int, how many batches of the first epoch to leave out. Defaults to `0`.

        Returns:
            A `tf.data.Dataset` as that of `epoch`.
        """
        return self._batches(first, skip_batches, tf.data.INFINITE_CARDINALITY)

    def wait_seconds(self) -> float:
        """Returns how long steps have waited for batches of this pipeline, in seconds, in all.

        It is the time inside the iterator's `get_next`. The difference over an epoch, divided by
        the seconds of the epoch, is the share of the input.
        """
        return float(self._waited.numpy())

    def _batches(self, first, skip_batches, count):
        if first < 0 or not 0 <= skip_batches <= self.steps:
            raise DataError(
                f"The epoch must be at least 0 and the batches to skip at most the {self.steps} of "
                f"an epoch. Received: epoch {first}, skip_batches={skip_batches}"
            )
        positions = tf.data.Dataset.range(first, tf.int64.max).flat_map(
            lambda epoch: self._positions(epoch, tf.where(epoch == first, skip_batches, 0))
        )
        batches = positions.take(count).map(
            self._make_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        batches = batches.prefetch(2)
        return self._timed(batches).apply(tf.data.experimental.assert_cardinality(count))

    def _positions(self, epoch, skip_batches):
        """Returns a dataset of the images and the seed of every batch of an epoch."""
        seed = tf.random.fold_in(tf.constant([self._seed, 0], tf.int64), epoch)
        order = tf.range(len(self._files))
        if self._shuffle:
            order = tf.random.experimental.stateless_shuffle(order, seed)
        return tf.data.Dataset.range(tf.cast(skip_batches, tf.int64), self.steps).map(
            lambda step: (
                order[step * self._batch_size : (step + 1) * self._batch_size],
                tf.random.fold_in(seed, step),
            )
        )

    def _make_batch(self, indices, seed):
        if self.cached:
            images = tf.gather(self._images, indices)
        else:
            images = tf.numpy_function(self._load, [indices], tf.uint8, stateful=False)
            images.set_shape((None, *self._image_size, self.channels))
        images = rescale(images) if self._augmentation is None else self._augmentation(images, seed)
        return images, tf.gather(self._labels, indices)

    def _load(self, indices=slice(None)):
        """Reads the images at the indices, an array or a slice."""
        if isinstance(indices, slice):
            files = self._files[indices]
        else:
            files = [self._files[index] for index in indices]
        return load_images(files, self._image_size, self.channels)

    def _timed(self, batches):
        """Adds up how long the consumer is inside `get_next` until the next batch is there."""
        # Both run in the consumer's thread, one after the other: zip asks its parts in order.
        clock = tf.data.Dataset.counter().map(lambda _: tf.timestamp())

        def stop(started, batch):
            self._waited.assign_add(tf.timestamp() - started)
            return batch

        # TensorFlow may neither add a buffer behind the clock nor run it ahead.
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False
        options.experimental_optimization.map_parallelization = False
        # The end of an iterator waits for its tuner to wake up, up to a minute.
        options.autotune.enabled = False
        return tf.data.Dataset.zip(clock, batches).map(stop).with_options(options)


def _check(split, image_size, channels, batch_size, seed, label_mode):
    if label_mode not in LABEL_MODES:
        raise DataError(
            f"`label_mode` must be one of {', '.join(LABEL_MODES)}. "
            f"Received: label_mode={label_mode!r}"
        )
    if label_mode == "binary" and len(split.class_names) != 2:
        raise DataError(
            "Binary labels need two classes. "
            f"Received: {len(split.class_names)} classes: {', '.join(split.class_names)}"
        )
    if channels not in (1, 3):
        raise DataError(f"`channels` must be 1 or 3. Received: channels={channels}")
    if min(*image_size, batch_size) < 1 or seed < 0:
        raise DataError(
            "`image_size` and `batch_size` must be at least 1 and `seed` at least 0. "
            f"Received: image_size={image_size}, batch_size={batch_size}, seed={seed}"
        )


def _encode(split, label_mode):
    """Returns the labels as the loss takes them, one row per image."""
    if label_mode == "categorical":
        return np.eye(len(split.class_names), dtype="float32")[split.labels]
    if label_mode == "binary":
        return split.labels[:, np.newaxis].astype("float32")
    return split.labels
