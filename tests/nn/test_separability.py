"""A-distances against a support vector machine minimised by SciPy, and what the balance makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from dalib.nn.separability import a_distance, deviation_in_classes, estimate_balance, near_own_mean


def cloud(seed: int, n: int, shift: float) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, 3))) + shift


def reference(z_s: np.ndarray, z_t: np.ndarray) -> float:
    """Squared hinge with C = 1, the bias penalised like a weight (as LIBLINEAR does)."""
    z = np.concatenate([z_s, z_t])
    z = (z - z.mean(0)) / np.sqrt(((z - z.mean(0)) ** 2).mean())
    side = np.repeat([-1.0, 1.0], [len(z_s), len(z_t)])
    x = np.concatenate([z, np.ones((len(z), 1))], 1)
    w = minimize(lambda w: w @ w / 2 + (np.maximum(1 - side * (x @ w), 0) ** 2).sum(), np.zeros(4), tol=1e-9).x
    wrong = sum(s * (row @ w) <= 0 for row, s in zip(x, side, strict=True))
    return max(2 * (1 - 2 * wrong / len(z)), 0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shift", [0.0, 0.7, 2.0])
def test_the_distance_is_that_of_a_support_vector_machine(shift: float, dtype: torch.dtype) -> None:
    z_s, z_t = cloud(0, 60, 0.0), cloud(1, 40, shift)
    assert a_distance(z_s.to(dtype), z_t.to(dtype)) == pytest.approx(reference(z_s.numpy(), z_t.numpy()), abs=1e-8)


def test_equal_samples_are_not_apart_and_distant_ones_entirely() -> None:
    assert a_distance(cloud(0, 50, 0.0), cloud(0, 50, 0.0)) == 0
    assert a_distance(torch.ones(5, 3), torch.ones(4, 3)) <= 2 * (1 - 2 * 4 / 9) + 1e-12
    assert a_distance(cloud(0, 50, 0.0), cloud(1, 50, 20.0)) == 2


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_the_unit_does_not_matter(unit: float) -> None:
    z_s, z_t = cloud(0, 60, 0.0), cloud(1, 60, 0.5)
    assert a_distance(unit * z_s, unit * z_t) == a_distance(z_s, z_t)


def test_the_balance_is_the_share_of_the_classes_mean_distance() -> None:
    z_s, z_t = cloud(0, 60, 0.0), cloud(1, 60, 0.3)
    y_s, y_t = torch.arange(60) % 3, torch.arange(60) % 2  # class 2 has no row of the target
    classes = [reference(z_s[y_s == c].numpy(), z_t[y_t == c].numpy()) for c in (0, 1)]
    expected = np.mean(classes) / (np.mean(classes) + reference(z_s.numpy(), z_t.numpy()))
    assert estimate_balance(z_s, y_s, z_t, y_t) == pytest.approx(expected, abs=1e-8)


def test_classes_that_swap_places_ask_for_the_classes_alone() -> None:
    z = torch.cat([cloud(0, 50, -9.0), cloud(0, 50, 9.0)])
    y = torch.arange(100) // 50
    assert estimate_balance(z, y, z, 1 - y) == 1
    assert estimate_balance(z, y, z, y) == 0.5  # nothing to tell apart


def test_the_deviation_in_classes_is_that_of_loops() -> None:
    z, y = np.random.default_rng(1).normal(size=11), np.array([0, 2, 2, 0, 5, 5, 5, 0, 2, 5, 0])
    inside = sum(((z[y == c] - z[y == c].mean()) ** 2).sum() for c in (0, 2, 5))
    told = deviation_in_classes(torch.tensor(z)[:, None], torch.tensor(y))
    assert float(told) == pytest.approx((inside / 11) ** 0.5)
    points = deviation_in_classes(torch.tensor([[1.0], [1.0], [3.0]]), torch.tensor([0, 0, 1]))
    assert float(points) == pytest.approx(np.std([1.0, 1.0, 3.0])), "classes are points: the deviation of all"


def test_the_part_near_the_own_mean_is_that_of_loops() -> None:
    rng = np.random.default_rng(2)
    z, y = rng.normal(size=(20, 3)), np.array([1, 4] * 10)
    means = {c: z[y == c].mean(0) for c in (1, 4)}
    near = [min(means, key=lambda c: np.linalg.norm(row - means[c])) == own for row, own in zip(z, y, strict=True)]
    assert 0 < np.mean(near) < 1
    assert near_own_mean(torch.tensor(z), torch.tensor(y)) == pytest.approx(np.mean(near))
