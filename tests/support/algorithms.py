"""An algorithm by its name, attached to a small network, batches for it, and claims that any loss may be held to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Source, Target

DIM, K = 6, 3


def make(name: str, **hparams: Any) -> Any:
    """By the name of the class ("DeepCORAL") or of the file ("deep_coral")."""
    return (getattr(dalib, name) if name[0].isupper() else ALGORITHMS.get(name))(**hparams)


def attached(
    name: str, *, bottleneck: int = 0, origins: int = 1, dtype: torch.dtype = torch.float32, **hparams: Any
) -> Any:
    """On a fresh network over six features, with three classes; the same weights every time."""
    torch.manual_seed(0)
    algorithm: Algorithm = make(name, **hparams)
    algorithm.attach(Network(identity(DIM), K, bottleneck=bottleneck, origins=origins))
    return algorithm.to(dtype)


def batch(
    n: int = 9,
    m: int = 7,
    *,
    classes: int = 2,
    origin: Tensor | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Source, Target]:
    """Leaves that require gradients; class 2 is missing from the source unless `classes` is 3."""
    g = torch.Generator().manual_seed(seed)
    z_s, z_t = torch.randn(n, DIM, generator=g).to(dtype), torch.randn(m, DIM, generator=g).to(dtype) + 1
    g_s, g_t = (2 * torch.randn(rows, K, generator=g).to(dtype) for rows in (n, m))
    for leaf in (z_s, z_t, g_s, g_t):
        leaf.requires_grad_()
    return Source.of(z_s, g_s, torch.arange(n) % classes, origin), Target.of(z_t, g_t)


def array(x: Tensor) -> np.ndarray:
    return x.detach().double().numpy()


def softmax(g: np.ndarray) -> np.ndarray:
    e = np.exp(g - g.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def check_refusal(name: str, hparams: dict[str, Any], message: str) -> None:
    with pytest.raises(DalibError) as error:
        attached(name, **hparams)
    assert message in str(error.value)


def check_every_deep_loss_starts_with_the_source_cross_entropy(name: str) -> None:
    source, target = batch()
    terms = attached(name).loss(source, target, 0.5)
    assert next(iter(terms)) == "classification"
    torch.testing.assert_close(terms["classification"], cross_entropy(source.logits, source.y))


def check_constant_features_and_predictions_have_finite_gradients(name: str, value: float) -> None:
    leaves = [torch.full(s, value, requires_grad=True) for s in ((9, 6), (9, 3), (7, 6), (7, 3))]
    source = Source.of(leaves[0], leaves[1], torch.zeros(9, dtype=torch.int64))
    terms = attached(name).loss(source, Target.of(leaves[2], leaves[3]), 0.5)
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert all(t.isfinite() for t in terms.values())
    assert all(x.grad is None or x.grad.isfinite().all() for x in leaves)


def check_state_moves_while_training_only(name: str, **hparams: Any) -> None:
    algorithm = attached(name, **hparams).eval()
    before = {k: v.clone() for k, v in algorithm.state_dict().items()}
    algorithm.loss(*batch(), 0.5)
    assert all(torch.equal(v, before[k]) for k, v in algorithm.state_dict().items())
    algorithm.train().loss(*batch(), 0.5)
    assert any(not torch.equal(v, before[k]) for k, v in algorithm.state_dict().items())


def check_features_meet_the_adversary_by_degrees(name: str, term: str, **hparams: Any) -> None:
    """Their gradient grows by the papers' 2 / (1 + exp(-10 progress)) - 1, from nothing."""
    algorithm, (source, target) = attached(name, **hparams), batch()
    at = {p: torch.autograd.grad(algorithm.loss(source, target, p)[term], target.z)[0] for p in (0.0, 0.1, 1.0)}
    share = {p: 2 / (1 + math.exp(-10 * p)) - 1 for p in at}
    assert not at[0.0].any() and at[1.0].abs().max() > 0
    torch.testing.assert_close(at[0.1] / share[0.1], at[1.0] / share[1.0], rtol=1e-4, atol=1e-7)
