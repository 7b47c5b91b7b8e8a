"""Two projections at once against NumPy: scatters and means summed row by row, eigenvectors of the full problem."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.components import mean_contrasts
from dalib.nn.coupled_projections import class_scatters, couple_projections

WEIGHT, MU, BETA = 0.7, 1.3, 0.2


def rows(n_s: int, n_t: int, d: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """z_s, y_s (labels 0, 2 and 5), z_t and pseudo-labels; no row of the target has the label 5."""
    rng = np.random.default_rng(0)
    y_s, y_t = torch.tensor([0, 2, 5])[torch.arange(n_s) % 3], torch.arange(n_t) % 2 * 2
    z_s, z_t = rng.standard_normal((n_s, d)) + y_s.numpy()[:, None], 2 * rng.standard_normal((n_t, d)) + 1
    return torch.from_numpy(z_s), y_s, torch.from_numpy(z_t), y_t


def scatters(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    between, within = np.zeros((2, z.shape[1], z.shape[1]))
    for c in set(y.tolist()):
        members = [row for row, label in zip(z, y, strict=True) if label == c]
        m = np.mean(members, 0)
        between += len(members) * np.outer(m - z.mean(0), m - z.mean(0))
        for row in members:
            within += np.outer(row - m, row - m)
    return between, within


def problem(n_s: int, n_t: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """S_max and S_min (2d, 2d), the distances of means written as ||Aᵀ m_s - Bᵀ m_t||², divided by a common norm."""
    z_s, y_s, z_t, y_t = (v.numpy() for v in rows(n_s, n_t, d))
    between, within = scatters(z_s, y_s)
    S_max, S_min = np.zeros((2, 2 * d, 2 * d))
    S_max[:d, :d] = BETA * between
    for row in z_t:
        S_max[d:, d:] += MU * np.outer(row - z_t.mean(0), row - z_t.mean(0))
    pairs = [(3.0, z_s, z_t), (1.0, z_s[y_s == 0], z_t[y_t == 0]), (1.0, z_s[y_s == 2], z_t[y_t == 2])]
    for times, a, b in pairs:
        difference = np.concatenate([a.mean(0), -b.mean(0)])
        S_min += times * np.outer(difference, difference) / (3 * (1 / n_s + 1 / n_t))
    S_min[:d, :d] += BETA * within
    S_min[d:, d:] += MU * np.eye(d)
    for i in range(d):
        apart = np.zeros(2 * d)
        apart[i], apart[d + i] = 1, -1
        S_min += WEIGHT * np.outer(apart, apart)
    return S_max, S_min


def solve(n_s: int, n_t: int, d: int, k: int, dtype: torch.dtype = torch.float64) -> np.ndarray:
    z_s, y_s, z_t, y_t = rows(n_s, n_t, d)
    E = mean_contrasts(y_s, n_t, y_t, marginal=3.0)
    E = (E / E[:, 0].norm()).to(dtype)
    return torch.cat(couple_projections(z_s.to(dtype), y_s, z_t.to(dtype), E, WEIGHT, MU, BETA, k)).numpy()


def test_scatters_are_sums_over_rows() -> None:
    z, y, *_ = rows(14, 5, 4)
    F_b, S_w = class_scatters(z, y)
    between, within = scatters(z.numpy(), y.numpy())
    np.testing.assert_allclose((F_b @ F_b.T).numpy(), between, atol=1e-10)
    np.testing.assert_allclose(S_w.numpy(), within, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
@pytest.mark.parametrize(("n_s", "n_t", "d"), [(14, 11, 4), (30, 4, 8), (5, 4, 12)])
def test_projections_are_the_leading_eigenvectors(
    n_s: int, n_t: int, d: int, dtype: torch.dtype, tolerance: float
) -> None:
    S_max, S_min = problem(n_s, n_t, d)
    values, vectors = np.linalg.eig(np.linalg.inv(S_min) @ S_max)
    expected = np.real(vectors[:, np.argsort(-values.real)[:3]])
    expected /= np.linalg.norm(expected, axis=0)
    got = solve(n_s, n_t, d, 3, dtype)
    np.testing.assert_allclose(got * np.sign((got * expected).sum(0)), expected, atol=tolerance)


def test_directions_without_an_eigenvalue_are_zero() -> None:
    """The target's scatter has rank 3, the source's between-class scatter rank 2: five directions, not seven."""
    lengths = np.linalg.norm(solve(5, 4, 12, 20), axis=0)
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 1, 0, 0], atol=1e-12)


def test_constant_rows_have_no_direction() -> None:
    one, y = torch.ones(6, 3, dtype=torch.float64), torch.arange(6) % 2
    A, B = couple_projections(one, y, one, mean_contrasts(y, 6), WEIGHT, MU, BETA, 2)
    assert A.abs().max() == B.abs().max() == 0
