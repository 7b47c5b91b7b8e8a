"""Many small runs at once: a fleet against one run after the other, per algorithm and feature width.

    python benchmarks/speed/fleets.py [--device cuda] [--tasks 12] [--seeds 1] [--steps 10] [--repeats 3] [--quick]

Both sides build their networks and take the same steps on the same rows without evaluations; the weights that come out
are compared. A ratio above 1 says how many times longer one run after the other takes.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from _timing import compare, machine, print_table

from dalib.core.backbone import identity
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Domain, Task
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.fleet import Member, fit_fleet
from dalib.train.trainer import Trainer

ALL = ("source_only", "dann", "mmd", "mcc")
CLASSES, ROWS = 31, 300


def make_tasks(count: int, width: int) -> list[Task]:
    """Pairs of Gaussian domains; four domains give twelve tasks."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLASSES, width))
    names = tuple(str(k) for k in range(CLASSES))
    domains = []
    for name in "abcd":
        y = rng.permutation(np.arange(ROWS) % CLASSES)
        x = centres[y] + rng.standard_normal((ROWS, width)) + rng.standard_normal(width) / 2
        domains.append(Domain(name, x.astype(np.float32), y, names, f"speed-{name}-{width}"))
    pairs = [(s, t) for s in domains for t in domains if s is not t]
    empty = np.arange(0)
    return [
        Task(f"{s.name}->{t.name}", s, t.unlabelled(), s.take(empty, "none"), t)
        for s, t in (pairs * -(-count // len(pairs)))[:count]
    ]


def measure(name: str, width: int, given: argparse.Namespace) -> list[object]:
    """A row of the table."""
    config = TrainConfig(steps=given.steps, batch_size=36, bottleneck=256, evaluations=1)
    tasks = make_tasks(given.tasks, width)
    ends: dict[str, list[torch.Tensor]] = {}

    def members() -> list[Member]:
        return [
            Member(Trainer(config, seed=seed, device=given.device), ALGORITHMS.get(name)(), task, identity(width))
            for seed in range(given.seeds)
            for task in tasks
        ]

    def finish(which: str, fitted: list[Fitted]) -> None:
        ends[which] = [f.algorithm.network.head.weight.detach().cpu() for f in fitted]

    def alone() -> None:
        finish("alone", [m.trainer.fit(m.algorithm, m.task, m.backbone) for m in members()])

    def together() -> None:
        results = fit_fleet(members())
        finish("together", [r for r in results if isinstance(r, Fitted)])

    times = compare({"alone": alone, "together": together}, given.repeats, warmup=1)
    pairs = zip(ends["together"], ends["alone"], strict=True)
    apart = max(float((a - b).norm() / b.norm()) for a, b in pairs)
    steps = given.seeds * given.tasks * given.steps
    per_step = [f"{1e3 * times[way].median / steps:.2f}" for way in ("alone", "together")]
    return [name, width, *per_step, times["alone"].over(times["together"]), f"{apart:.0e}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N")
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 1280])
    parser.add_argument("--only", nargs="+", default=list(ALL), metavar="ALGORITHM")
    parser.add_argument("--quick", action="store_true", help="four runs of three steps, in about ten seconds")
    given = parser.parse_args()
    if given.quick:
        given.tasks, given.seeds, given.steps, given.repeats, given.widths = 2, 2, 3, 2, [64]
    rows = [measure(name, width, given) for width in given.widths for name in given.only]
    title = f"{given.tasks} tasks x {given.seeds} seeds, {given.steps} steps of 36 + 36 rows ({machine()})"
    headers = ["algorithm", "d", "alone, ms per step", "fleet, ms per step", "alone / fleet", "largest difference"]
    print_table(title, headers, rows)


if __name__ == "__main__":
    main()
