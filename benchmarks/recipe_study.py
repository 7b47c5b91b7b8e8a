"""What the recipe's parts do to the methods, one factor at a time, on a development pool: what defaults are chosen by.

    python benchmarks/recipe_study.py start            # initialisation x rate -> results/records/recipe_study.csv
    python benchmarks/recipe_study.py factors          # every other factor, one at a time, around the recipe chosen
    python benchmarks/recipe_study.py discriminator    # what helped dann's, together and for cdan
    python benchmarks/recipe_study.py fine_tuning      # the grid, thinned, end to end
    python benchmarks/recipe_study.py long             # its rates with the default's 1000 steps
    python benchmarks/recipe_study.py scratch          # rates of a network that begins with random weights
    python benchmarks/recipe_study.py tables           # -> results/tables/recipe_*.{md,csv}

Measures what is missing and appends a line per run, so it can be interrupted and split: `--pools digits,surf`. The pool
is `POOL`: nothing that `results` reports as held out (the Office-31 subset) is in it. The rule by which a default is
chosen is in docs/recipe.md, and was written before the first run.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _recipe_levels import (
    METHODS,
    Level,
    discriminator_levels,
    factor_levels,
    fine_tuning_levels,
    long_levels,
    scratch_levels,
    start_levels,
)
from _recipe_tables import write_tables

from dalib.core.errors import Diverged

HERE = Path(__file__).resolve().parent
RECORDS, TABLES = HERE.parent / "results" / "records", HERE.parent / "results" / "tables"
FIELDS = ("stage", "factor", "level", "pool", "task", "algorithm", "seed", "accuracy", "held_out", "seconds")


@dataclass(frozen=True)
class Pool:
    """Tasks of one data set with the frozen backbone, or the features, that they are measured on."""

    dataset: str
    tasks: tuple[str, ...]
    backbone: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


MOBILE = {"name": "mobilenet_v2", "weights": "mobilenetv2_imagenet_int8.npz", "frozen": True}
POOL = {
    "mini_office": Pool(
        "mini_office",
        ("amazon->webcam", "webcam->amazon", "amazon->dslr", "webcam->dslr"),
        {"name": "tiny", "weights": "pretrained", "frozen": True},
    ),
    "caltech": Pool(
        "office_caltech10",
        ("amazon->webcam", "webcam->amazon", "caltech->webcam", "webcam->caltech"),
        MOBILE,
        {"crop": 128, "resize": 128},
    ),
    "surf": Pool(
        "features:office_caltech10_surf.npz",
        ("amazon->webcam", "webcam->amazon", "caltech->amazon", "amazon->caltech"),
        data={"normalise": ("row_sum", "zscore")},
    ),
    "digits": Pool("features:jda_mnist_usps.npz", ("mnist->usps", "usps->mnist"), data={"normalise": ("l2",)}),
    "live": Pool(
        "mini_office",
        ("amazon->webcam", "webcam->amazon"),
        {"name": "tiny", "weights": "pretrained", "frozen": False},
        {"steps": 300, "augment": "flip", "channels_last": True},
    ),
    "lenet": Pool(
        "digits",
        ("mnist->usps", "usps->mnist"),
        {"name": "lenet", "weights": "none"},
        {"steps": 500, "batch_size": 64, "backbone_rate": 1.0, "channels_last": True},
    ),
}
END_TO_END = {"fine_tuning": ["live"], "long": ["live"], "scratch": ["lenet"]}
"""Stages with pools of their own; the others have those on features."""
STAGES = {
    "start": start_levels,
    "factors": factor_levels,
    "discriminator": discriminator_levels,
    "fine_tuning": fine_tuning_levels,
    "long": long_levels,
    "scratch": scratch_levels,
}
TASKS = {"start": 4, "factors": 2, "discriminator": 2, "fine_tuning": 2, "long": 2, "scratch": 2}
"""How many of each pool's tasks a stage takes, the first."""
BASE = {"steps": 1000, "batch_size": 32, "lr": 0.03, "evaluations": 1, "augment": "none"}
"""What every level departs from."""


def measure(pool: str, task: str, algorithm: str, seed: int, level: Level) -> tuple[float, float, float]:
    """Accuracy on the target's test rows and on held-out source rows at the end, and seconds of training."""
    from dalib import accuracy
    from dalib.assemble import RunContext, assemble
    from dalib.bench.describe import describe_run
    from dalib.core.registry import ALGORITHMS

    where, given = POOL[pool], dict(level.hparams)
    if factor := given.pop("weight x", 0):
        given["weight"] = factor * ALGORITHMS.get(algorithm).defaults()["weight"]
    source, target = task.split("->")
    train = BASE | where.train | level.train
    hparams = METHODS.get(algorithm, {}) | given
    spec = describe_run(
        where.dataset, source, target, algorithm,
        hparams=hparams, train=train, backbone=where.backbone, data=where.data, seed=seed,
    )  # fmt: skip
    with level.change():
        run = assemble(spec, RunContext(threads=1, device="cpu"))
        began = time.perf_counter()
        fitted = run.fit()
        took = time.perf_counter() - began
        test, held = fitted.outputs(run.task.test), fitted.outputs(run.task.validation)
    return accuracy(test.logits, test.y), accuracy(held.logits, held.y), took


def run_stage(stage: str, pools: list[str], only: list[str], out: Path) -> None:
    """Measure what `out` lacks; a failure is a line without numbers."""
    lines = list(csv.DictReader(out.open())) if out.exists() else []
    have = {tuple(line[k] for k in FIELDS[:-3]) for line in lines}
    if not out.exists():
        out.write_text(",".join(FIELDS) + "\n")
    for level in STAGES[stage]():
        if only and level.factor not in only:
            continue
        for pool in pools:
            for task in POOL[pool].tasks[: TASKS[stage]]:
                for algorithm in level.methods:
                    cell = (stage, level.factor, level.name, pool, task, algorithm, "0")
                    if cell in have:
                        continue
                    try:
                        numbers = [f"{x:.4f}" for x in measure(pool, task, algorithm, 0, level)]
                    except Diverged:
                        numbers = ["", "", ""]
                    with out.open("a", newline="") as file:
                        csv.writer(file, lineterminator="\n").writerow([*cell, *numbers])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*STAGES, "tables"])
    parser.add_argument("--pools", default="", help="default: those on features, or those of a stage end to end")
    parser.add_argument("--factors", default="", help="of the stage; all unless given")
    parser.add_argument("--out", type=Path, default=RECORDS / "recipe_study.csv")
    given = parser.parse_args()
    if given.what == "tables":
        write_tables(given.out, TABLES)
    else:
        apart = [name for names in END_TO_END.values() for name in names]
        own = END_TO_END.get(given.what, [name for name in POOL if name not in apart])
        run_stage(
            given.what,
            given.pools.split(",") if given.pools else own,
            [f for f in given.factors.split(",") if f],
            given.out,
        )


if __name__ == "__main__":
    main()
