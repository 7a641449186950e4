"""Lets a signal end a training between two steps instead of anywhere."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A training was interrupted; the message says what is saved and how to continue."""


class Interruption:
    """A context in which the first Ctrl-C, or SIGTERM, is a request; the next one ends at once.

    Outside the main thread, where Python handles no signals, all stays as it was.

    Args:
        command: string, what continues a training when a run folder is added.
        run: path of the run folder.

    Attributes:
        requested: bool, whether the training shall end.
    """

    def __init__(self, command: str, run: str | os.PathLike):
        self.requested = False
        self._hint = f"continue with: {command} {shlex.quote(str(run))}"
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._request) for one in _SIGNALS}
        return self

    def __exit__(self, error, *_):
        self._restore_handlers()
        if error is KeyboardInterrupt:
            self.finish("nothing saved since the last epoch")

    def finish(self, saved: str) -> NoReturn:
        """Raises `Interrupted`.

        Args:
            saved: What is saved.
        """
        raise Interrupted(f"{saved}; {self._hint}") from None

    def _request(self, number, frame):
        self.requested = True
        self._restore_handlers()
        # Not print: the signal may have come within one.
        os.write(2, b"\nfastconv: saving after this step (once more: end without saving)\n")

    def _restore_handlers(self):
        while self._before:
            signal.signal(*self._before.popitem())
