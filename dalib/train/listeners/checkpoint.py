"""Saves the fit now and then, and goes on from what was saved."""

from __future__ import annotations

import errno
import time
import warnings
from pathlib import Path

from torch import Tensor

from dalib.core.listener import Listener, RunLike
from dalib.train.checkpoint import load_checkpoint, save_checkpoint


class Checkpoint(Listener):
    """The resumable state of a fit in one file, which is gone when the fit ends well.

    What the run is lies in the file; one of another run is left aside with a warning, and so is a damaged one. A full
    disk ends no fit: there is a warning, and the state saved before stays.

    It comes last of all listeners, so that what is saved after a step is what every other one made of that step.

    Args
        path: the file
        key: of the run; without one the values of rows and initial weights tell it from others
        seconds: between two savings
        writes: False: only read, where another process of the same fit writes
    """

    def __init__(self, path: Path, key: str = "", seconds: float = 30.0, writes: bool = True) -> None:
        self.path = path
        self.key = key
        self.seconds = seconds
        self.writes = writes
        self.saved = 0.0
        self.run: dict[str, str] = {}

    def begin(self, run: RunLike) -> None:
        self.run = run.identity(content=not self.key) | {"key": self.key}

    def begin_descent(self, run: RunLike) -> None:
        state = load_checkpoint(self.path, self.run)
        if state is not None:
            run.load_state_dict(state)
        self.saved = time.monotonic()

    def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
        if self.writes and time.monotonic() - self.saved > self.seconds and step < run.last:
            try:
                save_checkpoint(self.path, run.state_dict(), self.run)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                text = f"checkpoint {self.path} could not be written ({error.strerror}); the fit goes on"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
            self.saved = time.monotonic()

    def end(self, run: RunLike, error: BaseException | None) -> None:
        if error is None and self.writes:
            self.path.unlink(missing_ok=True)
