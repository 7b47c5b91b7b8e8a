"""Proportions of mixtures: known ones, those of the EM algorithm, and the bound on what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.mixture import fit_proportions


def densities(n: int, b: int, scale: float, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(n, b, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def likelihood(log_p: torch.Tensor, theta: np.ndarray) -> float:
    top = log_p.numpy().max(1)
    return float((np.log(np.exp(log_p.numpy() - top[:, None]) @ theta) + top).mean())


def test_components_that_exclude_each_other_have_their_share_of_the_rows() -> None:
    component = np.repeat([0, 1, 2], [5, 3, 2])
    log_p = torch.tensor(np.where(np.eye(3)[component] > 0, 0.0, -1e3))
    np.testing.assert_allclose(fit_proportions(log_p), [0.5, 0.3, 0.2], atol=1e-6)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_the_likelihood_is_that_of_expectation_maximisation(scale: float) -> None:
    log_p = densities(40, 5, scale)
    p, theta = np.exp(log_p.numpy()), np.full(5, 0.2)
    for _ in range(20000):
        theta = theta * (p / (p @ theta)[:, None]).mean(0)
    got = fit_proportions(log_p)
    assert likelihood(log_p, got.numpy()) == pytest.approx(likelihood(log_p, theta), abs=1e-8)
    np.testing.assert_allclose(got, theta, atol=1e-3)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0, 1e3, 1e5])
@pytest.mark.parametrize(("n", "b"), [(1, 1), (1, 4), (3, 50), (200, 30), (300, 100)])
def test_no_proportions_are_much_better(n: int, b: int, scale: float) -> None:
    """log L(any theta) - log L(got) <= log max_l mean_j p_l(j) / p(j) by Jensen's inequality."""
    log_p = densities(n, b, scale)
    theta = fit_proportions(log_p)
    assert float(theta.sum()) == pytest.approx(1, abs=1e-12)
    assert (theta > 0).all()
    log_mixture = (log_p + theta.log()).logsumexp(1, keepdim=True)
    assert float(((log_p - log_mixture).logsumexp(0) - np.log(n)).max()) <= 1e-7


def test_a_rows_own_factor_does_not_matter() -> None:
    log_p = densities(30, 4, 1.0)
    shifted = log_p + 1e3 * torch.linspace(-1, 1, 30, dtype=torch.float64)[:, None]
    np.testing.assert_allclose(fit_proportions(shifted), fit_proportions(log_p), atol=1e-9)


def test_equal_components_share() -> None:
    log_p = densities(30, 2, 1.0)
    theta = fit_proportions(log_p[:, [0, 0, 1]])
    assert float(theta[0]) == pytest.approx(float(theta[1]), abs=1e-9)


def test_too_few_steps_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="did not reach a gap of 1e-08 in 2 steps"):
        fit_proportions(densities(30, 4, 1.0), max_iterations=2)
