"""MME: Semi-supervised adaptation: labelled source and target rows, entropy of unlabelled target rows as a game."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor

import dalib
from dalib.checks.world import attached, batches
from tests.support.few_rows import seen_origins


def test_mme_is_a_cosine_classifier_whose_entropy_is_a_game() -> None:
    algorithm = attached(dalib.MME)
    source, target = batches(algorithm)
    terms = algorithm.loss(source, target, 0.0)
    W = algorithm.cosine.weight.detach().numpy()

    def logits(z: Tensor) -> np.ndarray:
        z = z.detach().numpy()
        return z @ W.T / np.linalg.norm(z, axis=1, keepdims=True) / 0.05

    p = softmax(logits(target.z), axis=1)
    h = -(p * log_softmax(logits(target.z), axis=1)).sum(1).mean()
    ce = -log_softmax(logits(source.z), axis=1)[np.arange(len(source)), source.y.numpy()].mean()
    assert terms["entropy"].item() == pytest.approx(-0.1 * h, rel=1e-4)
    assert terms["classification"].item() == pytest.approx(ce, rel=1e-4)
    to_W, to_z = torch.autograd.grad(terms["entropy"], [algorithm.cosine.weight, target.z])
    for parameter, g, up in ((algorithm.cosine.weight.data, to_W, True), (target.z.data, to_z, False)):
        before = parameter.clone()
        parameter.sub_(1e-3 * g / g.norm())  # a step of descent
        now = -algorithm.loss(source, target, 0.0)["entropy"].item() / 0.1
        assert (now > h) == up
        parameter.copy_(before)


def test_every_batch_has_labelled_target_rows() -> None:
    assert all(2 in s for s in seen_origins("MME"))
