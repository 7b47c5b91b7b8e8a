"""The relationship of old and new classes against its definition in NumPy."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import log_softmax, softmax

from dalib.nn.label_relation import class_relationship, soft_cross_entropy


def test_the_relationship_is_the_authors_mean_of_calibrated_predictions() -> None:
    rng = np.random.default_rng(0)
    logits, y, scale = 3 * rng.standard_normal((20, 4)), rng.integers(3, size=20), 0.884
    p = softmax(scale * logits, axis=1)
    expected = np.concatenate([p[y == i].mean(0, keepdims=True) for i in range(3)])
    got = class_relationship(torch.from_numpy(logits), torch.from_numpy(y), 4, 1 / scale)
    np.testing.assert_allclose(got[:3].numpy(), expected, rtol=1e-6)
    assert not got[3].any()


def test_the_soft_cross_entropy_is_that_of_the_tempered_prediction() -> None:
    rng = np.random.default_rng(1)
    logits, p = 3 * rng.standard_normal((6, 4)), softmax(rng.standard_normal((6, 4)), axis=1)
    for temperature in (1.0, 2.5):
        expected = -np.mean((p * log_softmax(logits / temperature, axis=1)).sum(1))
        weight = torch.from_numpy(p).requires_grad_()
        got = soft_cross_entropy(torch.from_numpy(logits).requires_grad_(), weight, temperature)
        np.testing.assert_allclose(got.item(), expected, rtol=1e-12)
        got.backward()
        assert weight.grad is None, "p is constant"
