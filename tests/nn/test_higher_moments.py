"""The distance of moment tensors against a loop over all of their entries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from dalib.nn.discrepancy import coral_distance
from dalib.nn.moments import moment_tensor_distance2


def samples(n: int = 8, m: int = 6, d: int = 3) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g, dtype=torch.float64), torch.randn(m, d, generator=g, dtype=torch.float64) ** 2


def loop(z_s: np.ndarray, z_t: np.ndarray, order: int) -> float:
    """Mean over every tuple of features of the squared difference between the two expected products."""
    squares = []
    for features in itertools.product(range(z_s.shape[1]), repeat=order):
        entry = []
        for z in (z_s, z_t):
            centred = z - z.mean(0)
            entry.append(np.mean([np.prod([row[j] for j in features]) for row in centred]))
        squares.append((entry[0] - entry[1]) ** 2)
    return float(np.mean(squares))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(("n", "m"), [(8, 8), (9, 5), (1, 4)])
def test_the_kernel_form_is_the_mean_over_all_entries(order: int, n: int, m: int) -> None:
    z_s, z_t = samples(n, m)
    reference = loop(z_s.numpy(), z_t.numpy(), order)
    assert float(moment_tensor_distance2(z_s, z_t, order)) == pytest.approx(reference, abs=1e-8)
    z_s, z_t = 0.3 * z_s.float(), 0.3 * z_t.float()
    reference = loop(z_s.double().numpy(), z_t.double().numpy(), order)
    assert float(moment_tensor_distance2(z_s, z_t, order)) == pytest.approx(reference, abs=1e-4)


def test_gradients_are_right() -> None:
    z_s, z_t = (z.requires_grad_() for z in samples(5, 4))
    assert torch.autograd.gradcheck(moment_tensor_distance2, (z_s, z_t))


def test_order_three_sees_skew_that_covariances_and_translations_hide() -> None:
    z = torch.randn(400, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 2
    skewed, mirrored, moved = z - z.mean(0), z.mean(0) - z, z + 5
    assert float(coral_distance(skewed, mirrored)) == pytest.approx(0, abs=1e-12)
    assert float(moment_tensor_distance2(skewed, mirrored, 2)) == pytest.approx(0, abs=1e-12)
    assert float(moment_tensor_distance2(skewed, mirrored, 3)) > 1
    assert float(moment_tensor_distance2(skewed, moved, 3)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("value", [0.0, 1.0, 1000.0])
def test_constant_features_have_distance_zero_and_a_finite_gradient(order: int, value: float) -> None:
    z_s, z_t = (torch.full((n, 8), value, requires_grad=True) for n in (6, 3))
    distance = moment_tensor_distance2(z_s, z_t, order)
    assert distance.item() == pytest.approx(0, abs=1e-6)
    assert all(g.isfinite().all() for g in torch.autograd.grad(distance, (z_s, z_t)))


def test_bfloat16_input_is_computed_in_single_precision() -> None:
    z_s, z_t = (z.bfloat16() for z in samples(36, 30, 64))
    assert moment_tensor_distance2(z_s, z_t).dtype == torch.float32
    assert torch.equal(moment_tensor_distance2(z_s, z_t), moment_tensor_distance2(z_s.float(), z_t.float()))
