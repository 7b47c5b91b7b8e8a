"""MMD and CORAL distances against loops in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dalib.nn.discrepancy import ESTIMATORS, coral_distance, mmd2

FACTORS = [2.0**k for k in (-3, -2, -1, 0, 1)]
DISTANCES: list[Callable[[Tensor, Tensor], Tensor]] = [
    *(lambda s, t, e=e: mmd2(s, t, estimator=e) for e in ESTIMATORS),  # type: ignore[misc]
    coral_distance,
]


def samples(n: int = 8, m: int = 8, d: int = 5, shift: float = 0.7, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    draw = {"generator": g, "dtype": torch.float64}
    return torch.randn(n, d, **draw), torch.randn(m, d, **draw) * 1.3 + shift  # type: ignore[call-overload]


def loop_mmd2(z_s: np.ndarray, z_t: np.ndarray, estimator: str) -> float:
    """The definition, pair by pair."""
    z = np.concatenate([z_s, z_t])
    mean = np.mean([((a - b) ** 2).sum() for a in z for b in z])

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return sum(np.exp(-((a - b) ** 2).sum() / (2 * f * mean)) for f in FACTORS)

    n, m = len(z_s), len(z_t)
    if estimator == "linear":
        h = [
            k(z_s[2 * i], z_s[2 * i + 1])
            + k(z_t[2 * i], z_t[2 * i + 1])
            - k(z_s[2 * i], z_t[2 * i + 1])
            - k(z_s[2 * i + 1], z_t[2 * i])
            for i in range(min(n, m) // 2)
        ]
        return float(np.mean(h))
    cross = np.mean([k(a, b) for a in z_s for b in z_t])
    own = 0.0
    for group in (z_s, z_t):
        pairs = [k(a, b) for i, a in enumerate(group) for j, b in enumerate(group) if estimator == "biased" or i != j]
        own += np.mean(pairs)
    return float(own - 2 * cross)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("n", "m"), [(8, 8), (9, 6), (5, 12)])
def test_mmd2_is_the_textbook_value(estimator: str, n: int, m: int) -> None:
    z_s, z_t = samples(n, m)
    reference = loop_mmd2(z_s.numpy(), z_t.numpy(), estimator)
    assert float(mmd2(z_s, z_t, estimator=estimator)) == pytest.approx(reference, abs=1e-8)
    assert float(mmd2(z_s.float(), z_t.float(), estimator=estimator)) == pytest.approx(reference, abs=1e-4)


@pytest.mark.parametrize(("n", "m"), [(8, 8), (9, 6)])
def test_coral_distance_is_the_textbook_value(n: int, m: int) -> None:
    z_s, z_t = samples(n, m)
    difference = np.cov(z_s.numpy().T) - np.cov(z_t.numpy().T)
    reference = (difference**2).sum() / (4 * 5**2)
    assert float(coral_distance(z_s, z_t)) == pytest.approx(reference, abs=1e-8)
    assert float(coral_distance(z_s.float(), z_t.float())) == pytest.approx(reference, abs=1e-4)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mmd2_has_the_right_gradient_at_fixed_bandwidths(estimator: str) -> None:
    z_s, z_t = (z.requires_grad_() for z in samples(6, 4, 3))
    assert torch.autograd.gradcheck(lambda s, t: mmd2(s, t, [0.5, 2.0], estimator), (z_s, z_t))


def test_coral_distance_has_the_right_gradient() -> None:
    z_s, z_t = (z.requires_grad_() for z in samples(6, 4, 3))
    assert torch.autograd.gradcheck(coral_distance, (z_s, z_t))


@pytest.mark.parametrize("distance", [DISTANCES[0], DISTANCES[1], DISTANCES[3]])
def test_the_order_of_rows_does_not_matter(distance: Callable[[Tensor, Tensor], Tensor]) -> None:
    z_s, z_t = samples(9, 7)
    assert float(distance(z_s.flip(0), z_t.roll(3, 0))) == pytest.approx(float(distance(z_s, z_t)), abs=1e-12)


@pytest.mark.parametrize("distance", [DISTANCES[0], DISTANCES[1], DISTANCES[3]])
def test_equal_domains_are_closer_than_shifted_ones(distance: Callable[[Tensor, Tensor], Tensor]) -> None:
    z_s, z_t = samples(400, 400, shift=0.0)
    alike = float(distance(z_s, z_t / 1.3))
    assert abs(alike) < 0.05 < float(distance(z_s, 2 * z_t + 1))


def test_biased_mmd2_and_coral_are_zero_between_a_sample_and_itself() -> None:
    z, _ = samples()
    assert float(mmd2(z, z, estimator="biased")) == pytest.approx(0, abs=1e-14)
    assert float(coral_distance(z, z)) == 0


def test_linear_and_unbiased_estimators_agree_on_average() -> None:
    differences = []
    for seed in range(400):
        z_s, z_t = samples(16, 16, 3, seed=seed)
        differences.append(float(mmd2(z_s, z_t, [2.0], "linear") - mmd2(z_s, z_t, [2.0], "unbiased")))
    assert abs(np.mean(differences)) < 3 * np.std(differences) / len(differences) ** 0.5


def test_unbiased_mmd2_averages_to_zero_without_a_shift() -> None:
    values = []
    for seed in range(400):
        z = torch.randn(20, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        values.append(float(mmd2(z[:10], z[10:], [2.0])))
    assert abs(np.mean(values)) < 3 * np.std(values) / len(values) ** 0.5


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("value", [0.0, 1.0, 1000.1])
@pytest.mark.parametrize("sizes", [(6, 6), (6, 3), (1, 1)])
def test_constant_features_stay_finite(
    distance: Callable[[Tensor, Tensor], Tensor], value: float, sizes: tuple[int, int]
) -> None:
    z_s, z_t = (torch.full((n, 32), value, requires_grad=True) for n in sizes)
    d = distance(z_s, z_t)
    d.backward()
    assert d.isfinite() and z_s.grad is not None and z_t.grad is not None
    assert z_s.grad.isfinite().all() and z_t.grad.isfinite().all()


@pytest.mark.parametrize("distance", DISTANCES)
def test_bfloat16_input_is_computed_in_single_precision(distance: Callable[[Tensor, Tensor], Tensor]) -> None:
    z_s, z_t = (z.bfloat16() for z in samples(36, 36, 64))
    coarse = distance(z_s, z_t)
    assert coarse.dtype == torch.float32
    assert float(coarse) == pytest.approx(float(distance(z_s.float(), z_t.float())), abs=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_large_common_mean_changes_nothing(distance: Callable[[Tensor, Tensor], Tensor]) -> None:
    z_s, z_t = (z.float() for z in samples(36, 36, 64))
    near = float(distance(z_s, z_t))
    assert float(distance(z_s + 1000, z_t + 1000)) == pytest.approx(near, rel=2e-3, abs=1e-4)


def test_unknown_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="known: unbiased, biased, linear"):
        mmd2(*samples(), estimator="exact")
