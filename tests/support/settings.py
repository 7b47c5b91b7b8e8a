"""Several sources, partial and open-set targets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest

import dalib
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.splits import concatenate
from dalib.core.types import Domain, Source, Task
from dalib.scoring.metrics import domain_metrics
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer
from tests.support.algorithms import array

SEEDS = (0, 1)


HIDDEN = {"hidden": 64}


Shift = tuple[float, float, float, float]


def cross_entropies(source: Source) -> list[float]:
    rows = zip(array(source.logits), source.y.tolist(), strict=True)
    return [math.log(sum(math.exp(v) for v in g)) - g[k] for g, k in rows]


def log_loss(logit: float, label: int) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -math.log(p if label else 1 - p)


def blobs(seed: int, shift: Shift = (0, 0, 0, 0), classes: tuple[int, ...] = (0, 1, 2, 3), n: int = 240) -> Domain:
    """Four classes at the corners of a square of side 3, a fifth, foreign one above its middle; noise 0.5."""
    rng = np.random.default_rng(seed)
    y = np.asarray(classes)[rng.integers(len(classes), size=n)]
    centre = np.array([[-1.5, -1.5, 0, 0], [1.5, -1.5, 0, 0], [-1.5, 1.5, 0, 0], [1.5, 1.5, 0, 0], [0, 0, 0, 3.0]])
    x = centre[y] + 0.5 * rng.standard_normal((n, 4)) + np.asarray(shift)
    return Domain("blobs", x.astype(np.float32), y, ("a", "b", "c", "d"), f"{seed}{shift}{classes}")


def measure(
    name: str, source: Domain, target: Domain, metric: str = "target_accuracy", reject: float = 1.0,
    seeds: Iterable[int] = SEEDS, **hparams: Any,
) -> float:  # fmt: skip
    """Mean over seeds of a metric after 200 steps."""
    found = []
    for seed in seeds:
        task = Task("s->t", source, target.unlabelled(), source.take(np.arange(0), "none"), target)
        config = TrainConfig(steps=200, bottleneck=32, lr=0.05, evaluations=1)
        fitted = Trainer(config, seed=seed, device="cpu").fit(getattr(dalib, name)(**hparams), task, identity(4))
        found.append(domain_metrics(fitted.outputs(target), "target", len(source.classes), reject)[metric])
    return float(np.mean(found))


@cache
def two_sources() -> tuple[Domain, Domain]:
    return concatenate([blobs(0), blobs(1, (1.2, -1.2, 1, 0))]), blobs(2, (1.6, 1.2, 0, 1.4))


@cache
def without_adaptation() -> tuple[float, float]:
    """Trained on both sources: batch norm without and with the target's rows."""
    return measure("SourceOnly", *two_sources()), measure("M3SDA", *two_sources(), weight=0.0)


def check_two_sources_are_used_better_than_by_training_on_both(name: str, hparams: dict[str, Any]) -> None:
    (plain, mixed), after = without_adaptation(), measure(name, *two_sources(), **hparams)
    assert after > plain + 0.1, f"{name}: {after:.3f}, source only: {plain:.3f}"
    assert after > mixed + 0.03, f"{name}: {after:.3f}, weight 0: {mixed:.3f}"


def check_what_stands_alone_says_why(name: str, why: str) -> None:
    with pytest.raises(DalibError, match=f"cannot be combined: .*{why}"):
        dalib.MCC() + getattr(dalib, name)()


def check_each_says_what_it_is_for(name: str, setting: str) -> None:
    assert getattr(dalib, name).setting == setting
