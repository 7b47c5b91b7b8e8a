"""What the recipe's parts do to the methods, one factor at a time, on a development pool: what defaults are chosen by.

    python benchmarks/recipe_study.py run start            # grid of initialisation x learning rate -> results/records/recipe_study.csv
    python benchmarks/recipe_study.py run factors          # every other factor, one at a time, around the recipe chosen
    python benchmarks/recipe_study.py tables               # -> results/tables/recipe_*.{md,csv}

Measures what is missing and appends a line per run, so it can be interrupted and split: `--pools digits,surf`. The pool is
`POOL`: nothing that `results` reports as held out (the Office-31 subset) is in it. The rule by which a default is chosen
is in docs/recipe.md, and was written before the first run.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
RECORDS, TABLES = HERE.parent / "results" / "records", HERE.parent / "results" / "tables"
FIELDS = ("level", "pool", "task", "algorithm", "seed", "accuracy", "held_out", "seconds")


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
}
METHODS = {
    "source_only": {},
    "deep_coral": {},
    "mmd": {},
    "dann": {"hidden": 256},
    "cdan": {"hidden": 256},
    "mcc": {},
    "bnm": {},
}
Patch = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Level:
    """One value of one factor: settings of the recipe, of algorithms that have them, or a change of the code."""

    factor: str
    name: str
    train: dict[str, Any] = field(default_factory=dict)
    hparams: dict[str, Any] = field(default_factory=dict)
    change: Patch = nullcontext
    methods: tuple[str, ...] = tuple(METHODS)


@contextmanager
def networks(change: Callable[[Any], None]) -> Iterator[None]:
    """Every network that is made meanwhile is changed by `change(network)`."""
    from dalib.core.network import Network

    made = Network.__init__

    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        change(self)

    with patch.object(Network, "__init__", make):
        yield


def initialise(bottleneck: str, head: str) -> Callable[[Any], None]:
    """`torch`: the layers' own; `kaiming`: normal, fan in; `small`: normal, 0.01."""
    from torch import nn

    def change(network: Any) -> None:
        for layer, how in ((network.bottleneck[0] if isinstance(network.bottleneck, nn.Sequential) else None, bottleneck), (network.head, head)):
            if not isinstance(layer, nn.Linear):
                continue
            if how == "torch":
                layer.reset_parameters()
                continue
            if how == "kaiming":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif how == "small":
                nn.init.normal_(layer.weight, 0.0, 0.01)
            elif how == "tll":
                nn.init.normal_(layer.weight, 0.0, 0.005)
            nn.init.zeros_(layer.bias)

    return change


def start_levels() -> list[Level]:
    return [
        Level("start", f"{bottleneck} {head} lr {lr}", {"lr": lr}, change=lambda b=bottleneck, h=head: networks(initialise(b, h)))  # type: ignore[misc]
        for lr in (0.01, 0.03, 0.1, 0.003)
        for bottleneck, head in (("kaiming", "small"), ("torch", "torch"), ("torch", "small"), ("kaiming", "torch"))
    ]


BASE = {"steps": 1000, "batch_size": 32, "evaluations": 1, "augment": "none"}


def measure(pool: str, task: str, algorithm: str, seed: int, level: Level) -> tuple[float, float, float]:
    """Accuracy on the target's test rows and on held-out source rows at the end, and seconds."""
    from dalib.fitting import describe_run
    from dalib.assemble import RunContext, assemble
    from dalib import accuracy

    where = POOL[pool]
    source, target = task.split("->")
    hparams = METHODS[algorithm] | {k: v for k, v in level.hparams.items()}
    train = BASE | where.train | level.train
    spec = describe_run(
        where.dataset, source, target, algorithm, hparams=hparams, train=train, backbone=where.backbone, data=where.data, seed=seed
    )
    with level.change():
        run = assemble(spec, RunContext(threads=1, device="cpu"))
        began = time.perf_counter()
        fitted = run.fit()
        took = time.perf_counter() - began
    test, held = fitted.outputs(run.task.test), fitted.outputs(run.task.validation) if len(run.task.validation) else None
    return accuracy(test.logits, test.y), accuracy(held.logits, held.y) if held else float("nan"), took


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what")
    parser.add_argument("--pools", default=",".join(POOL))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--out", default=str(RECORDS / "recipe_study.csv"))
    a = parser.parse_args()
    out = Path(a.out)
    have = set()
    if out.exists():
        with out.open() as f:
            have = {tuple(row[k] for k in FIELDS[:5]) for row in csv.DictReader(f)}
    else:
        out.write_text(",".join(FIELDS) + "\n")
    for seed in a.seeds.split(","):
        for level in start_levels():
            for pool in a.pools.split(","):
                for task in POOL[pool].tasks:
                    for algorithm in a.methods.split(","):
                        if (level.name, pool, task, algorithm, seed) in have:
                            continue
                        acc, held, took = measure(pool, task, algorithm, int(seed), level)
                        with out.open("a") as f:
                            f.write(f"{level.name},{pool},{task},{algorithm},{seed},{acc:.4f},{held:.4f},{took:.2f}\n")


if __name__ == "__main__":
    main()
