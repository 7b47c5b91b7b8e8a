"""Work in forked children, which find the slow imports done, and what became of them."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from dalib.cli import main as run_dalib
from tests.support.waiting import HANG


class Child:
    """A process that does `work`; what it prints to stderr goes to a file. Leads a group of its own."""

    def __init__(self, work: Callable[[], None], said: Path) -> None:
        self.said = said
        self.status: int | None = None
        said.touch()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 99
            try:
                os.setsid()
                signal.signal(signal.SIGINT, signal.default_int_handler)
                sink = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(sink, 1)
                os.dup2(sink, 2)
                sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb", 0), write_through=True) for n in (1, 2))
                try:
                    work()
                    status = 0
                except KeyboardInterrupt:
                    status = 130
                except SystemExit as error:
                    status = error.code if isinstance(error.code, int) else 2
                except BaseException:
                    traceback.print_exc()
            finally:
                os._exit(status)

    def stop(self, how: signal.Signals) -> None:
        """Send a signal to it and to its workers, as a batch system does; -9 to it alone, whose workers follow."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, how) if how == signal.SIGKILL else os.killpg(self.pid, how)

    def has_ended(self) -> bool:
        """Its status is then known."""
        if self.status is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if done else None
        return self.status is not None

    def wait(self, limit: float = HANG) -> int | None:
        """Its exit status, negative for a signal; None, and its end, where it takes longer than the limit."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            if self.has_ended():
                return self.status
            time.sleep(0.005)
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None

    @property
    def has_traceback(self) -> bool:
        return "Traceback" in self.said.read_text(errors="replace")


ROOM, SECONDS = 4 << 30, 20
"""Bytes of address space, and seconds of processor time, that a command may take beyond what is there already."""


def in_a_process(work: Callable[[], None], folder: Path, name: str) -> str:
    """`right`, `refused`, `traceback` or `hang`; `silent` where memory or time ran out."""

    def limited() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        work()

    said = folder / f"{name}.txt"
    said.unlink(missing_ok=True)
    child = Child(limited, said)
    status = child.wait(120)
    if status is None or status == -signal.SIGXCPU:
        return "hang"
    if child.has_traceback or status not in (0, 1, 2):
        return "traceback"
    if "out of memory" in said.read_text(errors="replace"):
        return "silent"
    return "refused" if status else "right"


def dalib_line(*words: object) -> Callable[[], None]:
    def work() -> None:
        sys.exit(run_dalib([str(word) for word in words]))

    return work
