"""What a run of each row of a suite takes: processor time per training step, or of a solution, and peak memory.

    python benchmarks/speed/suite_cost.py [SUITE.toml …] [--steps 10] [--quick]

Every row is fitted on the suite's first task and seed in a process of its own, after one step for `steps` steps and
then for three times as many: the difference, of `2 * steps` steps, is without what is done once. Peak memory is the
process's, with Python, torch and the data; no evaluation is in it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from _timing import machine, print_table

from dalib.assemble import assemble
from dalib.bench.plan import plan
from dalib.bench.suite import load_suite
from dalib.core.algorithm import FeatureAlgorithm
from dalib.core.registry import ALGORITHMS
from dalib.records.spec import RunSpec

HERE = Path(__file__).parents[1]
SUITES = [HERE / f"{name}.toml" for name in ("regression", "mini_sprites", "attributes", "mini_scenes", "mini_boxes")]
"""One for each kind of answer that is no class."""
UNIT = 1e6 if sys.platform == "darwin" else 1e3
"""Of `ru_maxrss` in a megabyte."""


def measure(spec: RunSpec, steps: int) -> tuple[float, float]:
    """(processor seconds of a step, or of the solution; peak megabytes), in a child of this process."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        seconds = [_fit(spec, n) for n in (1, steps, 3 * steps)]  # the first one loads what is loaded on first use
        solved = issubclass(ALGORITHMS.get(spec.algorithm), FeatureAlgorithm)
        each = seconds[2] if solved else (seconds[2] - seconds[1]) / (2 * steps)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / UNIT
        os.write(write, json.dumps([each, peak]).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        answer: Any = told.read()
    os.waitpid(child, 0)
    each, peak = json.loads(answer)
    return each, peak


def _fit(spec: RunSpec, steps: int) -> float:
    train = spec.train.model_copy(update={"steps": steps, "evaluations": 1})
    run = assemble(spec.model_copy(update={"train": train}))
    begun = time.process_time()
    run.fit()
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", type=Path, default=SUITES)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="two steps: does it run, not how fast")
    given = parser.parse_args()
    print(machine())
    for file in given.suites:
        runs = plan(load_suite(file)).runs
        first = [r for r in runs if (r.spec.task, r.spec.seed) == (runs[0].spec.task, runs[0].spec.seed)]
        rows = []
        for run in first:
            seconds, peak = measure(run.spec, 2 if given.quick else given.steps)
            rows.append([run.label, f"{1000 * seconds:.1f} ms", f"{peak:.0f} MB"])
            print(file.stem, *rows[-1], flush=True)
        print_table(file.stem, ["row", "a step, or the solution", "peak of the process"], rows)


if __name__ == "__main__":
    main()
