"""What each algorithm costs beside source-only (a training step) or a linear probe (a fit): the catalogue's column.

    python benchmarks/speed/step_cost.py [--write dalib/algorithms/costs.json] [--missing] [--quick]

Deep: forward, loss, backward and optimiser step on feature rows behind a bottleneck, 36 + 36 rows, d = 256, 31 classes,
one thread; the two are timed in turn and the median of the ratios is kept. Solved: fit on 500 + 500 such rows.
What cannot be fitted on rows with a class each (pixels, boxes, numbers, texts) has no cost.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _timing import print_table

from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Domain, Task
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer

D, K, N = 256, 31, 500
STEPS = 20


def make_task() -> Task:
    """Blobs of 31 classes in 256 dimensions; the target is shifted."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((K, D))
    classes = tuple(f"c{k}" for k in range(K))

    def domain(name: str, shift: float) -> Domain:
        y = np.arange(N) % K
        x = centres[y] + rng.standard_normal((N, D)) + shift
        return Domain(name, x.astype(np.float32), y, classes, name)

    source, target = domain("source", 0.0), domain("target", 0.5)
    return Task("source->target", source, target.unlabelled(), source.take(np.arange(0), "none"), target)


def timer(cls: type[Algorithm], task: Task) -> Callable[[], float]:
    """A function that times one fit in seconds: STEPS steps, or a solution."""
    config = TrainConfig(steps=STEPS, batch_size=36, bottleneck=D, evaluations=1)

    def run() -> float:
        trainer, backbone = Trainer(config, device="cpu"), identity(D)
        backbone.head = torch.nn.Linear(D, 1000) if cls.needs_head else None
        begun = time.perf_counter()
        trainer.fit(cls(), task, backbone)
        return time.perf_counter() - begun

    return run


def measure(name: str, task: Task, repeats: int = 5) -> float | None:
    """Median ratio to source_only or linear_probe, timed in turn; None where it cannot be fitted on these rows."""
    cls = ALGORITHMS.get(name)
    plain = ALGORITHMS.get("linear_probe" if issubclass(cls, FeatureAlgorithm) else "source_only")
    ours, base = timer(cls, task), timer(plain, task)
    try:
        ours(), base()
    except DalibError as error:
        print(f"{name}: {error}")
        return None
    return statistics.median(ours() / base() for _ in range(repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--missing", action="store_true", help="only algorithms that the file to write lacks")
    parser.add_argument("--quick", action="store_true", help="two algorithms, one repeat")
    given = parser.parse_args()
    torch.set_num_threads(1)
    task = make_task()
    names, repeats = (["dann", "coral"], 1) if given.quick else (ALGORITHMS.names(), 5)
    had: dict[str, float] = {}
    if given.missing and given.write:
        had = json.loads(given.write.read_text(encoding="utf-8"))
        names = [name for name in names if name not in had]
    found = {name: measure(name, task, repeats) for name in names}
    costs = {name: round(cost, 2) for name, cost in found.items() if cost is not None}
    print_table("Cost in steps of source_only, or in fits of linear_probe", ["algorithm", "cost"], list(costs.items()))
    if given.write:
        every = dict(sorted((had | costs).items()))
        given.write.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
