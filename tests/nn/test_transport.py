"""Plans against POT and closed-form maps against SciPy's matrix functions."""

from __future__ import annotations

import warnings

import numpy as np
import ot
import pytest
import torch
from scipy.linalg import fractional_matrix_power, sqrtm

from dalib.nn.linalg import matrix_power_psd, recolour
from dalib.nn.transport import barycentric_map, class_regularised, emd, gaussian_map, sinkhorn


def samples(n: int = 40, m: int = 30, d: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    z_s = rng.standard_normal((n, d)) @ rng.standard_normal((d, d))
    return torch.from_numpy(z_s), torch.from_numpy(rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) + 2)


def cost_of(z_s: torch.Tensor, z_t: torch.Tensor) -> torch.Tensor:
    return (z_s[:, None] - z_t[None]).square().sum(2)


def assert_marginals(plan: torch.Tensor, atol: float) -> None:
    n, m = plan.shape
    np.testing.assert_allclose(plan.sum(1).numpy(), np.full(n, 1 / n), atol=atol)
    np.testing.assert_allclose(plan.sum(0).numpy(), np.full(m, 1 / m), atol=atol)


def test_emd_is_optimal() -> None:
    cost = cost_of(*samples())
    plan = emd(cost)
    reference = ot.emd2(ot.unif(40), ot.unif(30), cost.numpy())
    assert float((plan * cost).sum()) == pytest.approx(float(reference), abs=1e-8)
    assert_marginals(plan, 1e-12)


def test_emd_of_equal_sizes_is_the_best_assignment() -> None:
    from scipy.optimize import linear_sum_assignment

    cost = cost_of(*samples(12, 12)).float()
    plan = emd(cost)
    assert plan.dtype == torch.float32
    assert (plan.argmax(1).numpy() == linear_sum_assignment(cost.numpy())[1]).all()


def test_emd_takes_other_marginals() -> None:
    a, b = torch.tensor([0.2, 0.8]), torch.tensor([0.5, 0.25, 0.25])
    plan = emd(torch.rand(2, 3, dtype=torch.float64), a, b)
    torch.testing.assert_close(plan.sum(1), a.double())
    torch.testing.assert_close(plan.sum(0), b.double())


@pytest.mark.parametrize("reg", [0.1, 0.02, 0.005])
def test_sinkhorn_satisfies_the_optimality_conditions(reg: float) -> None:
    """log P + cost / (max cost * reg) is a sum of a row and a column potential, and the marginals hold."""
    cost = cost_of(*samples())
    plan = sinkhorn(cost, reg)
    assert_marginals(plan, 1e-6)
    potential = plan.log() + cost / cost.max() / reg
    rest = potential - potential.mean(1, keepdim=True) - potential.mean(0) + potential.mean()
    assert rest.abs().max() < 1e-6


def test_sinkhorn_approaches_the_exact_cost() -> None:
    cost = cost_of(*samples())
    exact = float((emd(cost) * cost).sum())
    gaps = [float((sinkhorn(cost, reg) * cost).sum()) - exact for reg in (0.1, 0.02, 0.002)]
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[2] < 0.02 * exact


def test_a_plan_that_did_not_converge_is_an_error_and_not_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match=r"did not converge.*raise reg"):
            sinkhorn(cost_of(*samples()), 0.001, max_iterations=3)


def test_class_regularisation_keeps_classes_apart() -> None:
    z_s, z_t = samples()
    cost, labels = cost_of(z_s, z_t), torch.arange(40) % 2
    plans = [class_regularised(cost, labels, 0.05, group) for group in (1e-8, 0.1)]
    mixed = [float(torch.minimum(p[labels == 0].sum(0), p[labels == 1].sum(0)).sum()) for p in plans]
    assert_marginals(plans[1], 1e-5)
    assert mixed[1] < 0.7 * mixed[0]
    torch.testing.assert_close(plans[0], sinkhorn(cost, 0.05), rtol=0, atol=1e-5)


@pytest.mark.parametrize("solve", [emd, lambda c: sinkhorn(c, 0.05), lambda c: sinkhorn(c, 0.001)])
def test_zero_cost_has_a_plan(solve) -> None:  # type: ignore[no-untyped-def]
    assert_marginals(solve(torch.zeros(4, 3, dtype=torch.float64)), 1e-8)


def test_barycentric_map_is_the_mean_of_the_rows_that_mass_goes_to() -> None:
    z_t = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0]])
    plan = torch.tensor([[0.25, 0.25, 0.0], [0.0, 0.0, 0.5]])
    assert torch.equal(barycentric_map(plan, z_t), torch.tensor([[1.0, 0.0], [0.0, 4.0]]))


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


def test_gaussian_map_is_the_bures_wasserstein_mapping() -> None:
    z_s, z_t = samples()
    A, b = gaussian_map(z_s, z_t, 1e-12)
    moments = [f(z) for f in (lambda z: z.mean(0), lambda z: np.cov(z.T)) for z in (z_s.numpy(), z_t.numpy())]
    A_ref, b_ref = ot.gaussian.bures_wasserstein_mapping(*moments)
    np.testing.assert_allclose(A.numpy(), A_ref, atol=1e-7)
    np.testing.assert_allclose(b.numpy(), b_ref.ravel(), atol=1e-7)
    moved = (z_s @ A + b).numpy()
    np.testing.assert_allclose(np.cov(moved.T), moments[3], atol=1e-7)
    np.testing.assert_allclose(moved.mean(0), moments[1], atol=1e-10)


def test_constant_features_have_finite_maps() -> None:
    z_s, z_t = torch.ones(5, 3, dtype=torch.float64), torch.zeros(4, 3, dtype=torch.float64)
    A, b = gaussian_map(z_s, z_t)
    torch.testing.assert_close(z_s @ A + b, torch.zeros_like(z_s))
    torch.testing.assert_close(recolour(z_s, z_t), torch.zeros_like(z_s))
