"""What part of a suite's time is spent on checksums: the demonstration's images and cached features, small models.

    python benchmarks/speed/checksums.py [--quick]

A suite runs twice, each time in an empty store, with every function that computes or checks a checksum under a clock.
The first start makes the caches, the second reads them.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

SUITE = """
dataset = "mini_office"
tasks = ["amazon->webcam", "webcam->amazon"]
seeds = [0, 1, 2]
[backbone]
name = "tiny"
frozen = true
[train]
steps = {steps}
batch_size = 64
lr = 0.1
augment = "none"
evaluations = 2
[algorithms.source_only]
[algorithms.dann]
[algorithms.coral]
"""


class Clock:
    """Stands in for functions and adds up what they take; calls inside of each other count once."""

    def __init__(self) -> None:
        self.seconds, self.calls, self.depth = 0.0, 0, 0

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            self.depth += 1
            try:
                return function(*args, **kwargs)
            finally:
                self.depth -= 1
                if not self.depth:
                    self.seconds += time.perf_counter() - begun
                    self.calls += 1

        return timed


def run(suite: Path, store: Path) -> float:
    """Seconds that a suite takes in an empty store."""
    from dalib.bench.progress import LineProgress
    from dalib.bench.runner import run_suite

    begun = time.perf_counter()
    run_suite(suite, store=store, progress=LineProgress(io.StringIO()), device="cpu")
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few steps")
    steps = 20 if parser.parse_args().quick else 300
    import dalib.data.cache as cache

    with tempfile.TemporaryDirectory() as folder:
        os.environ["DALIB_CACHE"] = str(Path(folder, "cache"))
        suite = Path(folder, "small.toml")
        suite.write_text(SUITE.format(steps=steps), encoding="utf-8")
        print(f"{'start':14}{'suite':>9}{'checksums':>11}{'part':>8}{'calls':>8}")
        for start in ("first", "second"):
            clock, plain, check = Clock(), zlib.crc32, cache._check_sum
            zlib.crc32 = clock.watch(plain)
            cache._check_sum = clock.watch(check)
            cache._CHECKED.clear()  # as a new process begins
            try:
                seconds = run(suite, Path(folder, start))
            finally:
                zlib.crc32, cache._check_sum = plain, check
            part = clock.seconds / seconds
            print(f"{start:14}{seconds:8.2f}s{1000 * clock.seconds:9.1f}ms{part:8.2%}{clock.calls:8d}")


if __name__ == "__main__":
    main()
