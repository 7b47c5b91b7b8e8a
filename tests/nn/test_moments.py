"""Distances of moments against loops in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dalib.nn.moments import central_moments, mean_distance2

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
