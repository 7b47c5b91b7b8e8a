"""Steps and values of the gradient-norm penalty."""

from __future__ import annotations

import numpy as np
import torch

from dalib.nn.gradient_norm import carry_gradient, unit_step
from tests.support.tensors import randn


def test_a_unit_step_has_the_length_and_direction_of_the_whole_gradient() -> None:
    parts = [randn(2, 3), randn(4, seed=1)]
    whole = np.concatenate([p.numpy().ravel() for p in parts])
    got = np.concatenate([p.numpy().ravel() for p in unit_step(parts, 0.3)])
    np.testing.assert_allclose(got, 0.3 * whole / np.linalg.norm(whole), rtol=0, atol=1e-12)
    assert all(float(p.abs().max()) == 0 for p in unit_step([torch.zeros(2), torch.zeros(3)], 0.3))


def test_a_carried_gradient_is_the_given_one_and_the_value_stays() -> None:
    weights = [randn(2, 3).requires_grad_(), randn(4).requires_grad_()]
    given = [randn(2, 3, seed=2), randn(4, seed=3)]
    value = carry_gradient(torch.tensor(1.5, dtype=torch.float64), given, weights)
    assert float(value.detach()) == 1.5
    for got, expected in zip(torch.autograd.grad(3 * value, weights), given, strict=True):
        torch.testing.assert_close(got, 3 * expected, rtol=0, atol=0)
