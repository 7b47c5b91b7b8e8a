"""Times of several candidates in one run, taken in turn, so that a busy machine is busy for all of them."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Median and quartiles of the repeats in seconds (or of their ratios); samples in the order they were taken."""

    median: float
    low: float
    high: float
    samples: tuple[float, ...] = ()

    @staticmethod
    def of(samples: Sequence[float]) -> Timing:
        """The median and the interquartile range of at least one sample."""
        low, _, high = statistics.quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else [samples[0]] * 3
        return Timing(statistics.median(samples), low, high, tuple(samples))

    def over(self, other: Timing) -> Timing:
        """The ratio self / other, repeat by repeat: neighbours in time share what else the machine does."""
        return Timing.of([a / b for a, b in zip(self.samples, other.samples, strict=True)])

    def per(self, count: float) -> str:
        """`count` items per second, as `1234 (1200-1300)`."""
        return spread(count / self.median, count / self.high, count / self.low)

    def __str__(self) -> str:
        return spread(self.median, self.low, self.high)


def spread(median: float, low: float, high: float) -> str:
    """`median (low-high)` with three digits."""
    return "{} ({}-{})".format(*(f"{v:.0f}" if abs(v) >= 100 else f"{v:.3g}" for v in (median, low, high)))


def compare(
    candidates: dict[str, Callable[[], object]],
    repeats: int = 15,
    warmup: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Call every candidate once per repeat, in an order that rotates; the first `warmup` repeats are not counted.

    A candidate that leaves work running on a device waits for it itself. clock: `time.process_time` for candidates of
    one thread on a machine that others use too.
    """
    names = list(candidates)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(warmup + repeats):
        gc.collect()
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            candidates[name]()
            seconds[name].append(clock() - begun)
    return {name: Timing.of(taken[warmup:]) for name, taken in seconds.items()}


def machine() -> str:
    """What figures depend on, in one line."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{cores} CPU cores, {torch.get_num_threads()} threads, {device}, torch {torch.__version__}"


def print_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A Markdown table with aligned columns, first column to the left and the rest to the right."""
    cells = [[str(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [[c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))] for r in cells]
    aligned.insert(1, ["-" * (w - 1) + (":" if i else "-") for i, w in enumerate(widths)])
    print("\n".join(["", title, "", *(f"| {' | '.join(row)} |" for row in aligned)]), flush=True)
