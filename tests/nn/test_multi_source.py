"""Means per source domain and the distance of their moments against loops in NumPy."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from dalib.nn.multi_source import multi_source_moment_distance, origin_means

ORIGIN = torch.tensor([0, 2, 2, 0, 1, 0, 2, 2, 2])


def samples(m: int = 6, d: int = 4) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    z_s = torch.randn(len(ORIGIN), d, generator=g, dtype=torch.float64) + ORIGIN[:, None]
    return z_s, torch.randn(m, d, generator=g, dtype=torch.float64) - 1


def loop(z_s: np.ndarray, z_t: np.ndarray, origin: np.ndarray, moments: int) -> float:
    total = 0.0
    for k in range(1, moments + 1):
        moment = [np.mean([row**k for row in z_s[origin == i]], axis=0) for i in sorted(set(origin.tolist()))]
        to_target = [np.sqrt(((m - np.mean([row**k for row in z_t], axis=0)) ** 2).sum()) for m in moment]
        pairs = [np.sqrt(((a - b) ** 2).sum()) for a, b in combinations(moment, 2)]
        total += sum(to_target) / len(to_target) + (sum(pairs) / len(pairs) if pairs else 0.0)
    return total


@pytest.mark.parametrize("moments", [1, 2, 3])
@pytest.mark.parametrize(("kept", "origins"), [((0, 1, 2), 3), ((0, 2), 3), ((1,), 3), ((0, 1, 2), 5), ((0,), 1)])
def test_the_moment_distance_is_the_papers_value_over_the_sources_that_are_there(
    moments: int, kept: tuple[int, ...], origins: int
) -> None:
    z_s, z_t = samples()
    rows = torch.isin(ORIGIN, torch.tensor(kept))
    z_s, origin = z_s[rows], ORIGIN[rows]
    reference = loop(z_s.numpy(), z_t.numpy(), origin.numpy(), moments)
    for cast, tolerance in ((torch.float64, 1e-8), (torch.float32, 1e-4)):
        found = multi_source_moment_distance(z_s.to(cast), z_t.to(cast), origin, origins, moments)
        assert float(found) == pytest.approx(reference, abs=tolerance)


def test_means_are_per_source_and_a_source_without_rows_is_marked() -> None:
    z_s, _ = samples()
    means, present = origin_means(z_s, ORIGIN, 4)
    assert present.tolist() == [True, True, True, False]
    for i in range(3):
        np.testing.assert_allclose(means[i].numpy(), z_s.numpy()[ORIGIN.numpy() == i].mean(0), atol=1e-12)
    assert not means[3].any()
    scalars, _ = origin_means(z_s[:, 0], ORIGIN, 4)
    torch.testing.assert_close(scalars, means[:, 0])


def test_gradients_are_right_with_a_source_missing() -> None:
    z_s, z_t = (z.requires_grad_() for z in samples())
    assert torch.autograd.gradcheck(lambda s, t: multi_source_moment_distance(s, t, ORIGIN, 4), (z_s, z_t))


def test_the_distance_does_not_care_how_sources_are_numbered_or_rows_ordered() -> None:
    z_s, z_t = samples()
    expected = multi_source_moment_distance(z_s, z_t, ORIGIN, 3).item()
    order = torch.randperm(len(ORIGIN), generator=torch.Generator().manual_seed(1))
    numbers = torch.tensor([2, 0, 1])[ORIGIN]
    assert multi_source_moment_distance(z_s[order], z_t, ORIGIN[order], 3).item() == pytest.approx(expected, abs=1e-12)
    assert multi_source_moment_distance(z_s, z_t, numbers, 3).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0, 1000.1])
def test_equal_constant_features_have_no_distance_and_a_finite_gradient(value: float) -> None:
    z_s, z_t = (torch.full((n, 8), value, requires_grad=True) for n in (len(ORIGIN), 5))
    distance = multi_source_moment_distance(z_s, z_t, ORIGIN, 3)
    gradients = torch.autograd.grad(distance, (z_s, z_t))
    assert distance.item() == pytest.approx(0, abs=1e-6 * value**2)
    assert all(g.isfinite().all() for g in gradients)


def test_bfloat16_input_is_computed_in_single_precision() -> None:
    z_s, z_t = (z.bfloat16() for z in samples())
    found = multi_source_moment_distance(z_s, z_t, ORIGIN, 3)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(multi_source_moment_distance(z_s.float(), z_t.float(), ORIGIN, 3)))
