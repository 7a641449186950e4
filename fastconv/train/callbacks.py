"""What happens between the steps and epochs of `model.fit`."""

from __future__ import annotations

import time

import keras
import numpy as np

from fastconv.data import ImagePipeline
from fastconv.models import ModelDescription, save_model
from fastconv.train import resume_point
from fastconv.train.interruption import Interruption
from fastconv.train.resume_point import ResumePoint
from fastconv.train.run import METRICS, Run, best_row


class Callbacks(keras.callbacks.CallbackList):
    """Callbacks of one training that takes several calls of `fit`.

    A context: the training begins when it is entered and ends when it is left.

    Args:
        callbacks: list of Keras callbacks; a progress bar is added.
        **arguments: those of `keras.callbacks.CallbackList`.

    Attributes:
        skipped: int, steps of the epoch that an earlier process did.
    """

    def __init__(self, callbacks, **arguments):
        super().__init__(callbacks, add_history=True, add_progbar=True, **arguments)
        self.skipped = 0

    def __enter__(self):
        super().on_train_begin()
        return self

    def __exit__(self, *_):
        super().on_train_end()

    # Not at every call of `fit`: callbacks begin anew there.

    def on_train_begin(self, logs=None):
        pass

    def on_train_end(self, logs=None):
        pass

    # `fit` counts from the first batch that it was given.

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(self.skipped + batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(self.skipped + batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.skipped = 0


class TrainingTimer(keras.callbacks.Callback):
    """Measures the training steps of every epoch, up to the start of its validation.

    Attributes:
        seconds: list of floats, one per epoch.
    """

    def __init__(self):
        super().__init__()
        self.seconds = []
        self._start = None

    def elapsed(self):
        """Returns the seconds since the epoch began."""
        return time.perf_counter() - self._start

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_test_begin(self, logs=None):
        self.seconds.append(self.elapsed())


class Recorder(TrainingTimer):
    """Adds a row to the history at the end of every epoch, and saves where the training stands.

    Belongs at the end of the list, so that what it saves includes what other callbacks did.

    Args:
        run: `Run`.
        point: `ResumePoint` to begin at; follows the training from there.
        state: what `resume_point.load` returned beside the point, or None.
        pipeline: `ImagePipeline` of the training images.
        images: int, number of training images.
        monitor: string, the quantity that chooses the epoch whose model is kept.
        description: `ModelDescription` of the model.
        interruption: `Interruption`, looked at after every step.
        phase: string, the phase's name for the history; None for a training without phases.
        began: float, when the training began, in seconds of `time.perf_counter`.
    """

    def __init__(
        self,
        run: Run,
        point: ResumePoint,
        state: list[np.ndarray] | None,
        pipeline: ImagePipeline,
        images: int,
        monitor: str,
        description: ModelDescription,
        interruption: Interruption,
        phase: str | None,
        began: float,
    ):
        super().__init__()
        self._run = run
        self._point = point
        self._state = state
        self._pipeline = pipeline
        self._images = images
        self._monitor = monitor
        self._description = description
        self._interruption = interruption
        self._phase = phase
        self._began = began
        self._wait_begin = None
        self._wait_seconds = None

    def on_epoch_begin(self, epoch, logs=None):
        # Not before `fit`, which resets the metrics.
        if self._state is not None:
            resume_point.restore(self.model, self._state)
            self._state = None
            if self._point.step == 0:
                self.model.reset_metrics()
        self._wait_begin = self._pipeline.wait_seconds()
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        # Here, not at the end of a step, where Keras would wait for its metrics.
        if self._interruption.requested:
            self._point.step = batch
            self._point.seconds += self.elapsed()
            self._point.wait_seconds += self._waited()
            self._save()
            self._interruption.finish(f"saved after step {batch} of epoch {self._point.epoch + 1}")

    def on_test_begin(self, logs=None):
        super().on_test_begin(logs)
        self._wait_seconds = self._waited()

    def on_epoch_end(self, epoch, logs=None):
        point = self._point
        seconds = point.seconds + self.seconds[-1]
        row = {"epoch": epoch + 1}
        if self._phase:
            row["phase"] = self._phase
        row |= {name: float(logs[name]) for name in METRICS}
        row |= {
            "learning_rate": float(self.model.optimizer.learning_rate),
            "seconds": seconds,
            "images_per_second": self._images / seconds,
            "input_share": (point.wait_seconds + self._wait_seconds) / seconds,
        }
        point.rows.append(row)
        point.step, point.seconds, point.wait_seconds = 0, 0.0, 0.0
        self._run.write_history(point.rows)
        if best_row(point.rows, self._monitor) is row:
            save_model(self.model, self._run.model_file, self._description)
        self._save()
        if self._interruption.requested:
            self._interruption.finish(f"saved after epoch {epoch + 1}")

    def _waited(self):
        return self._pipeline.wait_seconds() - self._wait_begin

    def _save(self):
        self._point.wall_seconds = time.perf_counter() - self._began
        resume_point.save(self._run.resume_folder, self.model, self._point)
