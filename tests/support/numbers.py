"""Answers that are numbers: two outputs of eight features, and a target whose features lie elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dalib import Domain, Task, TrainConfig, Trainer
from dalib.core.backbone import identity
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.core.registry import ALGORITHMS
from dalib.core.splits import concatenate
from dalib.core.types import Source, Target
from dalib.train.fitted import Fitted

D, M = 8, 2


def make_task(
    n: int = 160, moved: float = 0.5, few: int = 0, seed: int = 0, unit: float = 1.0, turned: float = 0.0
) -> Task:
    """y = x W + noise, times `unit`.

    Args
        few: labelled target rows among the source's, as `semi_supervised` has them
        turned: how far the target's W is from the source's
    """
    rng = np.random.default_rng(seed)
    W = np.random.default_rng(1).standard_normal((D, M))
    V = W + turned * np.random.default_rng(2).standard_normal((D, M))

    def make(name: str, by: float, weights: np.ndarray) -> Domain:
        x = rng.standard_normal((n, D))
        y = unit * (x @ weights + 0.1 * rng.standard_normal((n, M)))
        return Domain(name, (x + by).astype(np.float32), y.astype(np.float32), ("a", "b"), name, objective="regression")

    source, target = make("source", 0.0, W), make("target", moved, V)
    labelled, nothing = source, source.take(np.arange(0), "none")
    if few:
        labelled = concatenate([source, target.take(np.arange(few), "few")])
        target = target.take(np.arange(few, n), "rest")
    protocol = "semi_supervised" if few else "uda"
    return Task("source->target", labelled, target.unlabelled(), nothing, target, protocol)


def fit(algorithm: Any, task: Task, **recipe: Any) -> Fitted:
    given = {"steps": 30, "batch_size": 16, "bottleneck": 8, "lr": 0.02, "evaluations": 1} | recipe
    return Trainer(TrainConfig(**given), device="cpu").fit(algorithm, task, identity(D))


def attached(name: str, dtype: torch.dtype = torch.float64, **hparams: Any) -> Any:
    """On a fresh network over D features with M numbers to say."""
    torch.manual_seed(0)
    algorithm = ALGORITHMS.get(name)(**hparams)
    algorithm.attach(Network(identity(D), M, 0, objective=find_objective("regression")))
    return algorithm.to(dtype)


def batch(n: int = 6, m: int = 5) -> tuple[Source, Target]:
    """float64 leaves that require gradients, labels and predictions that are numbers."""
    g = torch.Generator().manual_seed(0)
    z_s, z_t, p_s, p_t, y = (
        torch.randn(rows, width, generator=g, dtype=torch.float64)
        for rows, width in ((n, D), (m, D), (n, M), (m, M), (n, M))
    )
    for leaf in (z_s, z_t, p_s, p_t):
        leaf.requires_grad_()
    return Source.of(z_s, p_s, y), Target.of(z_t, p_t)


def error(fitted: Fitted, domain: Domain) -> float:
    """Mean absolute."""
    return float(np.abs(fitted.outputs(domain).prediction.numpy() - domain.labels).mean())
