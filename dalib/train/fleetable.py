"""Which algorithms can train as a fleet: by what they override, and by a small trial against single runs."""

from __future__ import annotations

import json
import warnings

import numpy as np

from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.combination import Combination
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.types import Domain, Task
from dalib.train.config import TrainConfig
from dalib.train.fleet import Member, fit_fleet
from dalib.train.trainer import Trainer

OWN = ("fit", "step", "end_step", "begin_epoch", "before_evaluation")
"""What a fleet does for all runs at once, so an algorithm must not have its own."""
TOLERANCE = 1e-4
WIDTH = 5
_TRIED: dict[tuple[type[Algorithm], str], str] = {}


def can_fleet(algorithm: Algorithm) -> str:
    """Why runs of this algorithm cannot train as one vectorised model, or an empty string.

    An algorithm that overrides nothing of `OWN` is tried: three steps of two small runs, together and one at a time,
    must give the same weights (relative difference below 1e-4). That finds losses that draw random numbers, look at
    values (`if`, `.item()`) or keep state in a way that does not vectorise.
    """
    known = (type(algorithm), json.dumps(algorithm.hparams, sort_keys=True, default=str))
    if known not in _TRIED:
        _TRIED[known] = structural_reason(algorithm) or _trial(algorithm)
    return _TRIED[known]


def structural_reason(algorithm: Algorithm) -> str:
    """What in its class alone keeps an algorithm out of fleets, or an empty string."""
    if isinstance(algorithm, FeatureAlgorithm):
        return "solves in place of descending"
    if isinstance(algorithm, Combination):
        parts = zip(algorithm.names, algorithm.make_parts(), strict=True)
        return next((f"{name}: {reason}" for name, part in parts if (reason := structural_reason(part))), "")
    for name in OWN:
        if getattr(type(algorithm), name) is not getattr(Algorithm, name):
            return f"has its own {name}"
    if algorithm.views > 1:
        return "needs several views of a row"
    return "draws episodes" if algorithm.episode[0] else ""


def _trial(algorithm: Algorithm) -> str:
    """Three steps of two runs in both ways; the first error, or the first weight that differs."""
    config = TrainConfig(steps=3, batch_size=6, lr=0.1, bottleneck=4, evaluations=1)

    def members() -> list[Member]:
        tasks = [_task(seed) for seed in (0, 1)]
        return [
            Member(Trainer(config, seed=i, device="cpu"), type(algorithm)(**algorithm.hparams), task, identity(WIDTH))
            for i, task in enumerate(tasks)
        ]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            single = [m.trainer.fit(m.algorithm, m.task, m.backbone).algorithm.state_dict() for m in members()]
            together = fit_fleet(members())
        except Exception as error:
            if "random operation" in str(error):
                return "draws random numbers in its loss"
            return f"does not vectorise ({type(error).__name__}: {' '.join(str(error).split())[:120]})"
    for fitted, expected in zip(together, single, strict=True):
        if isinstance(fitted, Exception):
            return f"fails in a fleet ({type(fitted).__name__}: {' '.join(str(fitted).split())[:120]})"
        trained = fitted.algorithm.state_dict()
        for name, value in expected.items():
            a, b = trained[name].double(), value.double()
            if not float((a - b).norm()) <= TOLERANCE * float(b.norm()) + 1e-6:
                return f"gives other numbers in a fleet ('{name}' after three steps)"
    return ""


def _task(seed: int) -> Task:
    rng = np.random.default_rng(seed)

    def domain(name: str, n: int, shift: float) -> Domain:
        y = np.arange(n) % 3
        x = rng.standard_normal((n, WIDTH)) + 2 * np.eye(3, WIDTH)[y] + shift
        return Domain(name, x.astype(np.float32), y, ("a", "b", "c"), f"trial-{name}-{seed}")

    source, target = domain("source", 14 + seed, 0.0), domain("target", 13 - seed, 0.5)
    return Task("source->target", source, target.unlabelled(), source.take(np.arange(0), "none"), target)
