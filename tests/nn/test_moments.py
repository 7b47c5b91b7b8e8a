"""Distances of moments against loops in NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dalib.nn.discrepancy import coral_distance
from dalib.nn.moments import central_moments, mean_distance2, moment_tensor_distance2

DISTANCES: list[Callable[[Tensor, Tensor], Tensor]] = [mean_distance2, central_moments]


def samples(n: int = 8, m: int = 6, d: int = 5) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.rand(n, d, generator=g, dtype=torch.float64), torch.rand(m, d, generator=g, dtype=torch.float64) ** 2


def loop_cmd(z_s: np.ndarray, z_t: np.ndarray, moments: int, width: float) -> float:
    total = 0.0
    for k in range(1, moments + 1):
        squares = 0.0
        for j in range(z_s.shape[1]):
            value = []
            for column in (z_s[:, j].tolist(), z_t[:, j].tolist()):
                mean = sum(column) / len(column)
                value.append(mean if k == 1 else sum((v - mean) ** k for v in column) / len(column))
            squares += (value[0] - value[1]) ** 2
        total += squares**0.5 / width**k
    return total


@pytest.mark.parametrize(("moments", "width"), [(1, 1.0), (5, 1.0), (3, 2.0)])
@pytest.mark.parametrize(("n", "m"), [(8, 8), (9, 6)])
def test_central_moments_are_the_papers_value(moments: int, width: float, n: int, m: int) -> None:
    z_s, z_t = samples(n, m)
    reference = loop_cmd(z_s.numpy(), z_t.numpy(), moments, width)
    assert float(central_moments(z_s, z_t, moments, width)) == pytest.approx(reference, abs=1e-8)
    assert float(central_moments(z_s.float(), z_t.float(), moments, width)) == pytest.approx(reference, abs=1e-4)


def test_mean_distance_is_numpys() -> None:
    z_s, z_t = samples()
    reference = np.linalg.norm(z_s.numpy().mean(0) - z_t.numpy().mean(0)) ** 2
    assert float(mean_distance2(z_s, z_t)) == pytest.approx(reference, abs=1e-8)
    assert float(mean_distance2(z_s.float(), z_t.float())) == pytest.approx(reference, abs=1e-4)


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_are_right_and_the_order_of_rows_does_not_matter(distance: Callable[..., Tensor]) -> None:
    z_s, z_t = (z.requires_grad_() for z in samples(5, 4, 3))
    assert torch.autograd.gradcheck(distance, (z_s, z_t))
    assert distance(z_s.flip(0), z_t.roll(1, 0)).item() == pytest.approx(distance(z_s, z_t).item(), abs=1e-12)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("sizes", [(6, 6), (6, 3), (1, 1)])
def test_constant_and_equal_features_stay_finite(distance: Callable[..., Tensor], sizes: tuple[int, int]) -> None:
    for value in (0.0, 1.0, 1000.1):
        z_s, z_t = (torch.full((n, 8), value, requires_grad=True) for n in sizes)
        d = distance(z_s, z_t)
        gradients = torch.autograd.grad(d, (z_s, z_t))
        assert d.item() == pytest.approx(0, abs=1e-3)
        assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("distance", DISTANCES)
def test_bfloat16_input_is_computed_in_single_precision(distance: Callable[..., Tensor]) -> None:
    z_s, z_t = (z.bfloat16() for z in samples(36, 30, 64))
    assert distance(z_s, z_t).dtype == torch.float32
    assert float(distance(z_s, z_t)) == pytest.approx(float(distance(z_s.float(), z_t.float())), abs=1e-6)


def skewed_samples(n: int = 8, m: int = 6, d: int = 3) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g, dtype=torch.float64), torch.randn(m, d, generator=g, dtype=torch.float64) ** 2


def loop_tensor(z_s: np.ndarray, z_t: np.ndarray, order: int) -> float:
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
    z_s, z_t = skewed_samples(n, m)
    reference = loop_tensor(z_s.numpy(), z_t.numpy(), order)
    assert float(moment_tensor_distance2(z_s, z_t, order)) == pytest.approx(reference, abs=1e-8)
    z_s, z_t = 0.3 * z_s.float(), 0.3 * z_t.float()
    reference = loop_tensor(z_s.double().numpy(), z_t.double().numpy(), order)
    assert float(moment_tensor_distance2(z_s, z_t, order)) == pytest.approx(reference, abs=1e-4)


def test_gradients_are_right() -> None:
    z_s, z_t = (z.requires_grad_() for z in skewed_samples(5, 4))
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


def test_tensors_of_bfloat16_input_are_computed_in_single_precision() -> None:
    z_s, z_t = (z.bfloat16() for z in skewed_samples(36, 30, 64))
    assert moment_tensor_distance2(z_s, z_t).dtype == torch.float32
    assert torch.equal(moment_tensor_distance2(z_s, z_t), moment_tensor_distance2(z_s.float(), z_t.float()))
