"""A suite on features from one process and from two: what the second worker is worth.

    python benchmarks/speed/suite_processes.py [--quick] [--jobs N] [--repeats N] [--suite FILE]

Six tasks on random features of width 256, three algorithms, two seeds: 36 runs of one to three seconds; or the suite of
a file. Each time is a whole `dalib run` into an empty store: start of the interpreter, planning, start of the workers,
all runs and their records. One thread per process. What N processes can be worth on this machine is measured too: a
bare training loop (`dann` on features) in one process and in N at once. Keep the machine quiet.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        steps=10 if quick else 200,
    )
    (folder / "random.toml").write_text(text, encoding="utf-8")
    return folder / "random.toml"


def run(suite: Path, jobs: int) -> Callable[[], object]:
    """`dalib run` into a store that is thrown away; an error is shown."""

    def go() -> None:
        with tempfile.TemporaryDirectory() as store:
            command = [sys.executable, "-m", "dalib.cli", "run", str(suite), "--jobs", str(jobs), "--store", store]
            environment = os.environ | {"OMP_NUM_THREADS": str(jobs)}
            done = subprocess.run(
                [*command, "--device", "cpu"], cwd=store, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(done.stderr[-2000:])

    return go


def bare_seconds(processes: int, steps: int) -> float:
    """Wall seconds of the slowest of so many bare loops at once, without their start."""
    context = multiprocessing.get_context("spawn")
    barrier, seconds = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=train_bare, args=(barrier, seconds, steps)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    return max(seconds.get() for _ in workers)


def train_bare(barrier: Any, seconds: Any, steps: int) -> None:
    """In a process of its own: wait for the others, train, tell the time."""
    import torch
    from trainer_step import Case, fit_bare, make_task

    torch.set_num_threads(1)
    case = Case("features", "dann", 0, steps)
    task, backbone = make_task(case), case.make_backbone()
    barrier.wait()
    begun = time.perf_counter()
    fit_bare(case, task, backbone, "cpu")
    seconds.put(time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six tiny runs: start-up is all there is to see")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--suite", type=Path, help="a suite on features of your own")
    given = parser.parse_args()
    one, several = "1 process", f"{given.jobs} processes"
    alone, together = (bare_seconds(n, 50 if given.quick else 500) for n in (1, given.jobs))
    with tempfile.TemporaryDirectory() as folder:
        suite = given.suite.resolve() if given.suite else write_suite(Path(folder), given.quick)
        candidates = {one: run(suite, 1), several: run(suite, given.jobs)}
        times = compare(candidates, repeats=1 if given.quick else given.repeats, warmup=0)
    rows = [[name, str(t), str(times[one].over(t)), "1.8" if name == several else "-"] for name, t in times.items()]
    bound = f"bare loops, {given.jobs} at once"
    rows.append([bound, f"{together:.3g}", f"{given.jobs * alone / together:.3g}", "-"])
    columns = ["workers", "s", "times as fast", "target"]
    print_table(f"{given.suite or 'A suite on random features'} ({machine()})", columns, rows)


if __name__ == "__main__":
    main()
