"""Matrix powers and recolouring against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import fractional_matrix_power, sqrtm

from dalib.nn.linalg import matrix_power_psd, recolour
from tests.support.tensors import SIZES, covariances, samples, tall_and_wide_samples


@pytest.mark.parametrize("power", [0.5, -0.5, -1.0, 2.0])
def test_matrix_power_is_scipys(power: float) -> None:
    C = np.cov(samples()[0].numpy().T)
    power_of = matrix_power_psd(torch.from_numpy(C), power).numpy()
    np.testing.assert_allclose(power_of, fractional_matrix_power(C, power), rtol=1e-8, atol=1e-8)


def test_recoloured_rows_have_the_targets_mean_and_covariance() -> None:
    z_s, z_t = samples()
    moved = recolour(z_s, z_t, reg=1e-10).numpy()
    np.testing.assert_allclose(np.cov(moved.T), np.cov(z_t.numpy().T), atol=1e-6)
    np.testing.assert_allclose(moved.mean(0), z_t.numpy().mean(0), atol=1e-10)


def test_recolouring_z_scored_rows_is_the_papers_formula() -> None:
    z_s, z_t = ((z - z.mean(0)) / z.std(0) for z in samples())
    C_s, C_t = (np.cov(z.numpy().T) + np.eye(4) for z in (z_s, z_t))
    reference = z_s.numpy() @ fractional_matrix_power(C_s, -0.5) @ sqrtm(C_t)
    np.testing.assert_allclose(recolour(z_s, z_t, 1.0).numpy(), reference, atol=1e-8)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("reg", [0.01, 1.0])
def test_recolouring_with_more_or_fewer_rows_than_features_is_the_formula(
    sizes: tuple[int, int, int], reg: float
) -> None:
    z_s, z_t = tall_and_wide_samples(*sizes)
    c_s, c_t = covariances(z_s, z_t, reg)
    rows, mean = z_s.numpy() - z_s.numpy().mean(0), z_t.numpy().mean(0)
    reference = rows @ fractional_matrix_power(c_s, -0.5) @ sqrtm(c_t) + mean
    np.testing.assert_allclose(recolour(z_s, z_t, reg).numpy(), reference, atol=1e-9)


@pytest.mark.parametrize(("sizes", "ridge"), list(zip(SIZES, [30 / 7, 30 / 7, 30 / 9, 1.0, 1.5], strict=True)))
def test_the_automatic_ridge_is_features_over_rows_of_the_smaller_domain_and_at_least_one(
    sizes: tuple[int, int, int], ridge: float
) -> None:
    z_s, z_t = tall_and_wide_samples(*sizes)
    torch.testing.assert_close(recolour(z_s, z_t, "auto"), recolour(z_s, z_t, ridge), rtol=1e-12, atol=1e-12)
