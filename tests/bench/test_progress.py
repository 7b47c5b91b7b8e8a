"""What shows how far a suite is never ends its runs."""

from __future__ import annotations

import errno
import io
from typing import Any

import pytest
from rich.console import Console

from dalib.bench.progress import LineProgress, LiveProgress, Tally


class Gone(io.StringIO):
    """A stream that answers every write with an error."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, "gone")

    def isatty(self) -> bool:
        return True


def show_all(progress: Any) -> None:
    tally = Tally(2, 0, ["dann"], {"dann": []})
    progress.start(tally)
    progress.say("a note")
    tally.count("k", "dann", "failed", None, {})
    progress.update(tally, "it failed", failed=True)
    progress.stop(tally, "the end")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["a closed terminal", "a log on a full disk"])
def test_nobody_to_tell_is_no_reason_to_stop(number: int) -> None:
    show_all(LineProgress(Gone(number)))
    show_all(LiveProgress(Console(file=Gone(number), force_terminal=True)))


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(BrokenPipeError):
        show_all(LineProgress(Gone(errno.EPIPE)))
