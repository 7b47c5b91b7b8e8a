"""How far a suite is: a live bar with running averages on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from dalib.bench.pace import Pace
from dalib.core.text import show_control

EVERY_PART, EVERY_SECONDS = 0.05, 10.0


@dataclass
class Tally:
    """total: runs of the suite; skipped: those that had a record; accuracy: label -> last target accuracies.

    pace: tells how long the rest takes
    moved: when a run ended last
    """

    total: int
    skipped: int
    labels: list[str]
    accuracy: dict[str, list[float]]
    done: int = 0
    failed: int = 0
    elsewhere: int = 0
    pace: Pace | None = None
    begun: float = field(default_factory=time.monotonic)
    moved: float = field(default_factory=time.monotonic)

    @property
    def finished(self) -> int:
        return self.skipped + self.done + self.failed + self.elsewhere

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.begun

    @property
    def eta(self) -> float | None:
        """Seconds left, as the pace of runs that ended tells; None while it tells nothing."""
        left = self.pace.seconds if self.pace else None
        return None if left is None else max(left - (time.monotonic() - self.moved), 0.0)

    def count(self, key: str, label: str, status: str, accuracy: float | None, seconds: Mapping[str, float]) -> None:
        """A run has ended."""
        if accuracy is not None:
            self.accuracy[label].append(accuracy)
        self.done += status == "ok"
        self.failed += status == "failed"
        self.elsewhere += status == "elsewhere"
        if self.pace:
            self.pace.end(key, seconds)
        self.moved = time.monotonic()


def clock(seconds: float | None) -> str:
    """`1:23`, `2:04:05`, `-:--` when unknown."""
    if seconds is None:
        return "-:--"
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


@contextmanager
def spared() -> Iterator[None]:
    """A terminal that was closed, or a log on a full disk, ends no runs."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise


class LineProgress:
    """Plain lines for logs: the first run, every 5 % or 10 s, every failure, the end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._said, self._when = -1.0, 0.0

    def start(self, tally: Tally) -> None:
        self.say(f"{tally.total} runs, {tally.skipped} recorded already")

    def update(self, tally: Tally, text: str, failed: bool = False) -> None:
        part, now = tally.finished / max(tally.total, 1), time.monotonic()
        if failed or part - self._said >= EVERY_PART or now - self._when >= EVERY_SECONDS or part == 1:
            self._said, self._when = part, now
            width = len(str(tally.total))
            left = "" if tally.eta is None else f"eta {clock(tally.eta)}  "
            self.say(f"[{tally.finished:{width}}/{tally.total}] {part:4.0%}  {left}{text}")

    def stop(self, tally: Tally, message: str) -> None:
        self.say(message)

    @spared()
    def say(self, text: str) -> None:
        print(show_control(text), file=self.stream, flush=True)


class LiveProgress:
    """A bar and the running average of every row, redrawn in place; failures stay above it."""

    def __init__(self, console: Any) -> None:
        self.console = console
        self._last = ""

    @spared()
    def start(self, tally: Tally) -> None:
        from rich.live import Live

        self._tally = tally
        self._live = Live(console=self.console, get_renderable=self._draw, refresh_per_second=4)
        self._live.start()

    @spared()
    def update(self, tally: Tally, text: str, failed: bool = False) -> None:
        self._last = text = show_control(text)
        if failed:
            self.console.print(f"failed  {text}", style="red", markup=False, highlight=False, overflow="ellipsis")
        self._live.refresh()

    @spared()
    def say(self, text: str) -> None:
        """A line above the bar."""
        self.console.print(show_control(text), markup=False, highlight=False)

    @spared()
    def stop(self, tally: Tally, message: str) -> None:
        self._live.stop()
        self.console.print(message, markup=False, highlight=False)

    def _draw(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        t = self._tally
        rows = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        rows.add_column("running average")
        rows.add_column("target acc.", justify="right")
        rows.add_column("n", justify="right")
        room = max(self.console.height - 6, 1)
        means = {k: sum(v) / len(v) for k, v in t.accuracy.items() if v}
        best = max(means.values(), default=None)
        for label in t.labels[:room]:
            mean = means.get(label)
            shown = Text("-", "dim") if mean is None else Text(f"{mean:.1%}", "bold" if mean == best else "")
            rows.add_row(Text(show_control(label)), shown, str(len(t.accuracy.get(label, []))))
        if len(t.labels) > room:
            rows.add_row(Text(f"and {len(t.labels) - room} more", "dim"), "", "")
        bar = Table.grid(padding=(0, 2, 0, 0))
        failed = Text(f"{t.failed} failed", "red" if t.failed else "dim")
        bar.add_row(
            ProgressBar(max(t.total, 1), t.finished, width=28), f"{t.finished}/{t.total} runs", failed,
            f"{clock(t.elapsed)} elapsed", "" if t.eta is None else f"eta {clock(t.eta)}",
        )  # fmt: skip
        return Group(rows, bar, Text(self._last, "dim", no_wrap=True, overflow="ellipsis"))


Progress = LineProgress | LiveProgress


def choose_progress() -> Progress:
    """Live on a terminal (stderr), lines elsewhere."""
    if not sys.stderr.isatty():
        return LineProgress()
    from rich.console import Console

    return LiveProgress(Console(stderr=True))
