"""A suite on features from one process and from two: what the second worker is worth.

    python benchmarks/speed/suite_processes.py [--quick] [--jobs N]

Six tasks on random features of width 256, three algorithms, two seeds: 36 runs of one to four seconds. Each time is a
whole `dalib run` into an empty store: start of the interpreter, planning, start of the workers, all runs and their
records. Workers get one thread each; one process is timed with one thread and with all cores. Keep the machine quiet.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _timing import compare, machine, print_table

CLASSES, WIDTH = 10, 256
TEXT = """
dataset = "features:{path}"
seeds = {seeds}
{tasks}
[train]
steps = {steps}
[algorithms.source_only]
[algorithms.mmd]
[algorithms.dann]
"""


def write_suite(folder: Path, quick: bool) -> Path:
    """Three domains of Gaussian classes, each shifted by its own amount."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLASSES, WIDTH))
    rows = 60 if quick else 600
    arrays = {}
    for k, name in enumerate("abc"):
        y = np.arange(rows) % CLASSES
        x = centres[y] + 2 * rng.standard_normal((rows, WIDTH)) + 0.5 * k
        arrays |= {f"{name}_x": x.astype(np.float32), f"{name}_y": y}
    np.savez(folder / "random.npz", **arrays)
    text = TEXT.format(
        path=folder / "random.npz",
        seeds=[0] if quick else [0, 1],
        tasks='tasks = ["a->b", "b->a"]' if quick else "",
        steps=10 if quick else 300,
    )
    (folder / "random.toml").write_text(text, encoding="utf-8")
    return folder / "random.toml"


def run(suite: Path, jobs: int, threads: int) -> Callable[[], object]:
    """`dalib run` into a store that is thrown away; an error is shown."""

    def go() -> None:
        with tempfile.TemporaryDirectory() as store:
            command = [sys.executable, "-m", "dalib.cli", "run", str(suite), "--jobs", str(jobs), "--store", store]
            environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
            done = subprocess.run(
                [*command, "--device", "cpu"], cwd=store, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(done.stderr[-2000:])

    return go


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six tiny runs: start-up is all there is to see")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        suite = write_suite(Path(folder), given.quick)
        one = "1 process, 1 thread"
        several = f"{given.jobs} processes, 1 thread each"
        candidates = {one: run(suite, 1, 1), several: run(suite, given.jobs, given.jobs)}
        if cores > 1 and not given.quick:
            candidates[f"1 process, {cores} threads"] = run(suite, 1, cores)
        times = compare(candidates, repeats=1 if given.quick else 3, warmup=0)
    rows = [[name, str(t), str(times[one].over(t)), "1.8" if name == several else "-"] for name, t in times.items()]
    columns = ["workers", "s", "times as fast", "target"]
    print_table(f"A suite of {6 if given.quick else 36} runs ({machine()})", columns, rows)


if __name__ == "__main__":
    main()
