"""Runs a training phase by phase, in a new run folder or in one that was interrupted."""

from __future__ import annotations

import dataclasses
import datetime
import os
import statistics
import sys
import time

import keras
import numpy as np

from fastconv import plots
from fastconv.about import info
from fastconv.data import ImageListing, ImagePipeline
from fastconv.errors import InputError
from fastconv.files import folder_to_fill, written_aside
from fastconv.models import ModelDescription, Phase
from fastconv.tables import dimensions
from fastconv.train import builds, resume_point, selection, settings
from fastconv.train.base_weights import load_base_weights
from fastconv.train.callbacks import Callbacks, Recorder
from fastconv.train.curves import draw_run
from fastconv.train.interruption import Interruption
from fastconv.train.resume_point import ResumePoint
from fastconv.train.run import METRICS, Run, best_row, check_fields
from fastconv.train.settings import Settings


def begin(run: Run, chosen: Settings) -> Run:
    """Trains into a new run folder.

    Args:
        run: `Run` to write.
        chosen: `Settings`.

    Returns:
        `run`, finished.

    Raises:
        InputError: The folder holds a run, or something cannot be read or written.
        Interrupted: The training was interrupted.
    """
    began = time.perf_counter()
    if run.exists:
        raise InputError(
            "The folder holds a run already: give another one"
            f"{'' if run.finished else ', or continue that one with --resume'}. "
            f"Received: {run.path}"
        )
    with folder_to_fill(run.path):  # made before images are read, which takes its time
        listing = selection.select_images(chosen)
        if chosen.image_size is None:
            size = listing.train.image_size or chosen.description.input_shape[:2]
            chosen = dataclasses.replace(chosen, image_size=size)
        training = _Training(run, chosen, listing, began)
        training.load_base_weights()
        run.write_config(training.config())
    return training.run_phases(ResumePoint(), None)


def go_on(run: Run, given: dict) -> Run:
    """Continues a run.

    Args:
        run: `Run` that was interrupted.
        given: dict of `Settings` that the user gives; None stands for none given.

    Returns:
        `run`, finished.

    Raises:
        InputError: The run has finished, began with other settings or images, or is damaged.
        Interrupted: The training was interrupted again.
    """
    began = time.perf_counter()
    config = run.config
    if run.finished:
        raise InputError(f"The run has finished: nothing is left to resume. Received: {run.path}")
    check_fields(run.path / "config.json", config, {*settings.FIELDS, "fingerprint"})
    chosen = settings.from_config(config)
    different = settings.differences(chosen, given)
    if different:
        listed = ", ".join(
            f"{name}={new} instead of {old}" for name, (old, new) in different.items()
        )
        raise InputError(
            "A run goes on with the settings that it began with: leave them out, or begin another "
            f"run. Received: {listed}"
        )
    listing = selection.select_images(chosen)
    if selection.fingerprint(listing) != config["fingerprint"]:
        raise InputError(
            f"The images are not those that the run began with. Received: {chosen.data}"
        )
    training = _Training(run, chosen, listing, began)
    point, state = resume_point.load(run.resume_folder)
    if state is None:
        training.load_base_weights()
    return training.run_phases(point, state)


class _Training:
    """What the phases of a training share."""

    def __init__(self, run: Run, chosen: Settings, listing: ImageListing, began: float):
        self._began = began
        self._run = run
        self._settings = chosen
        self._listing = listing
        system = chosen.description
        arguments = {
            "image_size": chosen.image_size,
            "channels": selection.channels(chosen, listing),
            "batch_size": chosen.batch_size,
            "label_mode": system.loss.removesuffix("_crossentropy"),
        }
        self._batches = ImagePipeline(
            listing.train,
            seed=chosen.seed,
            shuffle=True,
            augmentation=system.augmentation if chosen.augment else None,
            **arguments,
        )
        self._validation = ImagePipeline(selection.held_out(listing), **arguments).epoch()
        self._description = ModelDescription(
            system=chosen.system,
            variant=chosen.variant,
            backend=chosen.backend,
            class_names=listing.class_names,
            image_size=chosen.image_size,
            channels=arguments["channels"],
            precision=chosen.precision,
        )
        self._model = self._build()

    def config(self):
        """Returns what `config.json` holds when the training begins."""
        listing = self._listing
        splits = {"train": listing.train, "validation": listing.validation, "test": listing.test}
        return {
            "command": self._settings.command,
            **dataclasses.asdict(self._settings),
            "channels": self._description.channels,
            "class_names": listing.class_names,
            "counts": {name: len(split or ()) for name, split in splits.items()},
            "validated_on": "validation" if listing.validation else "test",
            "monitor": self._settings.description.monitor,
            "fingerprint": selection.fingerprint(listing),
            "environment": {**info(), "cores": len(os.sched_getaffinity(0))},
            "started": _now(),
            "finished": None,
        }

    def load_base_weights(self):
        """Gives the model the weights that transfer learning begins with."""
        if self._settings.weights not in (None, "none"):
            load_base_weights(self._model, self._settings.weights)

    def run_phases(self, point: ResumePoint, state: list[np.ndarray] | None) -> Run:
        """Trains from a point on, to the end, and returns the finished run."""
        self._began -= point.wall_seconds
        self._announce(point)
        chosen, run = self._settings, self._run
        with Interruption(f"fastconv {chosen.command} --resume", run.path) as interruption:
            phases = chosen.phases
            for index in range(point.phase, len(phases)):
                if index > point.phase:
                    self._model.set_weights(run.load_model()[0].get_weights())
                    point.phase, state = index, None
                self._run_phase(phases[index], point, state, interruption)
        self._finish(point)
        return run

    def _build(self):
        chosen = self._settings
        try:
            return builds.build(
                chosen.system,
                chosen.backend,
                chosen.seed,
                chosen.precision,
                input_shape=self._description.input_shape,
                classes=len(self._listing.class_names),
                variant=chosen.variant,
            )
        except ValueError as error:  # Keras's own where images are too small for the layers.
            raise InputError(
                f"{chosen.system} cannot be built for images of "
                f"{dimensions(chosen.image_size)} pixels and "
                f"{len(self._listing.class_names)} classes: {error}"
            ) from error

    def _run_phase(self, phase, point, state, interruption):
        model, chosen = self._model, self._settings
        named = bool(chosen.description.phases)
        past = [row for row in point.rows if not named or row["phase"] == phase.name]
        end = point.epoch - len(past) + phase.epochs
        self._compile(phase)
        if named:
            self._announce_phase(phase)
        monitor = chosen.description.monitor
        callbacks = [keras.callbacks.TensorBoard(self._run.tensorboard_folder, write_graph=False)]
        if chosen.patience:
            mode = "min" if monitor.endswith("loss") else "max"
            stopping = keras.callbacks.EarlyStopping(monitor, patience=chosen.patience, mode=mode)
            callbacks.append(stopping)
        recorder = Recorder(
            self._run,
            point,
            state,
            self._batches,
            images=len(self._listing.train),
            monitor=monitor,
            description=self._description,
            interruption=interruption,
            phase=phase.name if named else None,
            began=self._began,
        )
        with Callbacks(
            [*callbacks, recorder],
            model=model,
            epochs=end,
            steps=self._batches.steps,
            verbose=1 if sys.stdout.isatty() else 2,
        ) as training:
            model.stop_training = False
            for row in past if chosen.patience else []:
                stopping.on_epoch_end(row["epoch"] - 1, row)
            if point.step and not model.stop_training:
                training.skipped = point.step
                rest = self._batches.epoch(point.epoch, skip_batches=point.step)
                self._fit(training, rest, None, point.epoch, point.epoch + 1)
            if point.epoch < end and not model.stop_training:
                batches = self._batches.epochs(point.epoch)
                self._fit(training, batches, self._batches.steps, point.epoch, end)

    def _fit(self, training, batches, steps, first, end):
        self._model.fit(
            batches,
            steps_per_epoch=steps,
            initial_epoch=first,
            epochs=end,
            validation_data=self._validation,
            callbacks=training,
            shuffle=False,  # The pipeline does.
        )

    def _compile(self, phase: Phase):
        model, system = self._model, self._settings.description
        if phase.frozen:
            for layer in model.layers:
                layer.trainable = not layer.name.startswith(phase.frozen)
        optimizer = system.new_optimizer(self._settings.backend, phase.learning_rate)
        model.compile(optimizer, system.loss, metrics=["accuracy"])
        # What `fit` would make at the first step, and a saved state needs before it.
        model.optimizer.build(model.trainable_variables)
        labels = np.zeros((1, model.output_shape[-1]), "float32")
        model.compute_metrics(None, labels, labels)

    def _announce(self, point):
        listing, chosen = self._listing, self._settings
        print(
            f"{len(listing.train)} training images and {len(selection.held_out(listing))} "
            f"validation images ({'a share of train/' if listing.validation else 'test/'}) of "
            f"{len(listing.class_names)} classes: {', '.join(listing.class_names)}"
        )
        place = (
            f" at epoch {point.epoch + 1}, step {point.step + 1}"
            if point.epoch or point.step
            else ""
        )
        print(
            f"{'Continuing' if place else 'Training'} {self._model.name} "
            f"({chosen.backend}, {chosen.precision}) in {self._run.path}{place}",
            flush=True,
        )

    def _announce_phase(self, phase):
        layers = [layer for layer in self._model.layers if layer.weights]
        learning = [layer.name for layer in layers if layer.trainable]
        number = 1 + self._settings.phases.index(phase)
        print(
            f"Phase {number} of {len(self._settings.phases)}, {phase.name}: "
            f"{', '.join(learning)} learn at a rate of {phase.learning_rate:g}, the other "
            f"{len(layers) - len(learning)} layers with weights are frozen",
            flush=True,
        )

    def _finish(self, point):
        rows, monitor = point.rows, self._settings.description.monitor
        best = best_row(rows, monitor)
        # The first epoch compiles.
        typical = {
            name: statistics.median(row[name] for row in rows[1:] or rows)
            for name in ("seconds", "images_per_second", "input_share")
        }
        figure = draw_run(
            f"{self._model.name} on {self._listing.directory.resolve().name} "
            f"({self._settings.backend})",
            rows,
            best["epoch"],
        )
        with written_aside(self._run.curves_file) as aside:
            aside.write_bytes(plots.png(figure))
        planned = sum(phase.epochs for phase in self._settings.phases)
        result = {
            "monitor": monitor,
            "best_epoch": best["epoch"],
            "best": {name: best[name] for name in METRICS},
            "final": {name: rows[-1][name] for name in METRICS},
            "epochs": len(rows),
            "stopped": "all epochs" if len(rows) == planned else "early stopping",
            "seconds_per_epoch": typical["seconds"],
            "images_per_second": typical["images_per_second"],
            "input_share": typical["input_share"],
            "wall_seconds": time.perf_counter() - self._began,
        }
        self._run.write_config({**self._run.config, "finished": _now()})
        self._run.write_result(result)
        print(
            f"Best epoch by {monitor}: {best['epoch']} of {len(rows)}, "
            f"val_accuracy {best['val_accuracy']:.4f}, val_loss {best['val_loss']:.4f}\n"
            f"{result['seconds_per_epoch']:.3g} s per epoch, "
            f"{result['images_per_second']:.0f} images/s, "
            f"{result['input_share']:.1%} of an epoch waiting for input, "
            f"{result['wall_seconds']:.1f} s in all\n"
            f"Written: {self._run.model_file}, {self._run.curves_file} and more in "
            f"{self._run.path}"
        )


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
