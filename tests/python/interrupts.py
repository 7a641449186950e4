"""Ends trainings at an exact step."""

import signal

from fastconv.train.callbacks import Recorder


def send_signal(number, epoch, step, patch=setattr, times=1):
    """Makes this process send itself a signal.

    Args:
        number: of the signal.
        epoch: from 0; the signal is sent in it, and never again.
        step: from 0; the signal arrives before it begins.
        patch: `setattr`, or `monkeypatch.setattr`, which takes it back.
        times: how many signals, one after the other.
    """
    begin_step, begin_epoch = Recorder.on_train_batch_begin, Recorder.on_epoch_begin
    now = {"sent": False}

    def on_epoch_begin(self, epoch, logs=None):
        now["epoch"] = epoch
        begin_epoch(self, epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        if not now["sent"] and (now["epoch"], batch) == (epoch, step):
            now["sent"] = True
            for _ in range(times):
                # Not os.kill: another thread may take that one later, and two of them as one.
                signal.raise_signal(number)
        begin_step(self, batch, logs)

    patch(Recorder, "on_epoch_begin", on_epoch_begin)
    patch(Recorder, "on_train_batch_begin", on_train_batch_begin)
