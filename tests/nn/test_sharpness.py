"""The sharpest perturbation against NumPy on softmax regression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.nn.functional import cross_entropy

from dalib.nn.sharpness import sharpest_perturbation


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_the_perturbation_is_rho_along_the_gradient_over_all_parameters(dtype: torch.dtype, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    x, y, w, b = rng.standard_normal((7, 4)), rng.integers(0, 3, 7), rng.standard_normal((4, 3)), rng.standard_normal(3)
    error = softmax(x @ w + b, axis=1) - np.eye(3)[y]
    gradients = x.T @ error / 7, error.mean(0)
    length = np.sqrt(sum((g**2).sum() for g in gradients))
    W, bias, unused = (torch.tensor(v, dtype=dtype, requires_grad=True) for v in (w, b, np.ones(2)))
    loss = cross_entropy(torch.tensor(x, dtype=dtype) @ W + bias, torch.tensor(y))
    got = sharpest_perturbation(loss, [W, bias, unused], 0.3)
    for found, expected in zip(got, (*(0.3 * g / length for g in gradients), np.zeros(2)), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=tolerance)
        assert not found.requires_grad


def test_nothing_moves_where_the_loss_is_flat() -> None:
    w = torch.zeros(3, requires_grad=True)
    (e,) = sharpest_perturbation(w.square().sum(), [w], 0.3)
    assert torch.equal(e, torch.zeros(3))
