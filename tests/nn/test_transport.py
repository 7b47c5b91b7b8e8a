"""Plans against POT and closed-form maps against SciPy's matrix functions."""

from __future__ import annotations

import warnings

import numpy as np
import ot
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.nn import transport
from dalib.nn.linalg import recolour
from dalib.nn.transport import (
    barycentric_map,
    class_regularised,
    emd,
    gaussian_map,
    move_gaussian,
    scale_cost,
    sinkhorn,
    sliced_wasserstein,
    unbalanced_sinkhorn,
)
from tests.support.tensors import SIZES, covariances, samples, tall_and_wide_samples


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


def cost_matrix(n: int = 9, m: int = 7, scale: float = 1.0) -> Tensor:
    g = torch.Generator().manual_seed(0)
    z_s = torch.randn(n, 4, generator=g, dtype=torch.float64)
    z_t = torch.randn(m, 4, generator=g, dtype=torch.float64) + 0.5
    return scale * (z_s[:, None] - z_t).square().sum(2)


@pytest.mark.parametrize(("reg", "reg_m", "scale"), [(0.1, 0.5, 1.0), (0.05, 1.0, 0.3), (0.5, 0.1, 1.0)])
@pytest.mark.parametrize(("n", "m"), [(8, 8), (9, 7)])
def test_the_unbalanced_plan_is_pots(reg: float, reg_m: float, scale: float, n: int, m: int) -> None:
    cost = cost_matrix(n, m, scale)
    reference = ot.unbalanced.sinkhorn_knopp_unbalanced(
        ot.unif(n), ot.unif(m), cost.numpy(), reg, reg_m, reg_type="kl", numItermax=100_000, stopThr=1e-14
    )
    np.testing.assert_allclose(unbalanced_sinkhorn(cost, reg, reg_m, iterations=2000).numpy(), reference, atol=1e-8)
    single = unbalanced_sinkhorn(cost.float(), reg, reg_m)
    np.testing.assert_allclose(single.numpy(), reference, atol=1e-4)
    assert float(single.sum()) == pytest.approx(reference.sum(), rel=1e-3)


def test_the_unbalanced_plan_satisfies_the_optimality_conditions_where_kernels_underflow() -> None:
    """reg log(P / abᵀ) + cost + reg_m (log(P1 / a) + log(Pᵀ1 / b)) = 0, at costs of a thousand times reg."""
    cost, reg, reg_m = cost_matrix(scale=3.0), 0.01, 0.5
    assert float(cost.max()) > 1000 * reg
    plan = unbalanced_sinkhorn(cost, reg, reg_m, iterations=3000)
    rows, columns = (plan.sum(1) * 9).log(), (plan.sum(0) * 7).log()
    residual = reg * (plan * 63).log() + cost + reg_m * (rows[:, None] + columns)
    assert residual[plan > 1e-300].abs().max() < 1e-8
    single = unbalanced_sinkhorn(cost.float(), reg, reg_m)
    assert float(single.sum()) == pytest.approx(float(plan.sum()), rel=1e-3)


def test_a_large_penalty_gives_the_balanced_plan_and_a_row_without_partner_loses_its_mass() -> None:
    cost = cost_matrix()
    balanced = ot.sinkhorn(ot.unif(9), ot.unif(7), cost.numpy(), 0.5, stopThr=1e-14, numItermax=10_000)
    np.testing.assert_allclose(unbalanced_sinkhorn(cost, 0.5, 1e7, iterations=2000).numpy(), balanced, atol=1e-6)
    cost[0] += 20
    mass = unbalanced_sinkhorn(cost, 0.05, 0.5).sum(1)
    assert float(mass[0]) < 1e-6 * float(mass[1:].min())


def test_the_unbalanced_plan_takes_other_marginals_and_any_order_of_rows() -> None:
    cost, a, b = cost_matrix(4, 3), torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), torch.tensor([0.5, 0.3, 0.2]).double()
    reference = ot.unbalanced.sinkhorn_knopp_unbalanced(
        a.numpy(), b.numpy(), cost.numpy(), 0.2, 0.5, stopThr=1e-14, reg_type="kl"
    )
    np.testing.assert_allclose(unbalanced_sinkhorn(cost, 0.2, 0.5, a, b, 2000).numpy(), reference, atol=1e-8)
    turned = unbalanced_sinkhorn(cost.flip(0), 0.2, 0.5, a.flip(0), b, 2000)
    torch.testing.assert_close(turned.flip(0), torch.from_numpy(reference), rtol=0, atol=1e-8)


@pytest.mark.parametrize("value", [0.0, 5.0, 1e6])
def test_constant_costs_have_finite_plans(value: float) -> None:
    plan = unbalanced_sinkhorn(torch.full((5, 3), value), 0.01, 0.5)
    assert plan.isfinite().all()
    torch.testing.assert_close(plan, plan[:1, :1].expand(5, 3))


def rows(n: int, m: int, d: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    z_s, z_t, theta = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((n, d), (m, d), (d, 11)))
    return z_s, 1.5 * z_t + 0.7, normalize(theta, dim=0)


@pytest.mark.parametrize(("n", "m"), [(8, 8), (9, 6), (5, 7), (1, 4)])
def test_sliced_wasserstein_is_pots(n: int, m: int) -> None:
    z_s, z_t, theta = rows(n, m)
    reference = ot.sliced_wasserstein_distance(z_s.numpy(), z_t.numpy(), projections=theta.numpy(), p=2) ** 2
    assert float(sliced_wasserstein(z_s, z_t, theta)) == pytest.approx(reference, abs=1e-8)
    assert float(sliced_wasserstein(z_s.float(), z_t.float(), theta)) == pytest.approx(reference, abs=1e-4)
    assert float(sliced_wasserstein(z_s.flip(0), z_t.roll(1, 0), theta)) == pytest.approx(reference, abs=1e-8)


def test_sliced_wasserstein_has_the_right_gradient_and_is_zero_between_a_sample_and_itself() -> None:
    z_s, z_t, theta = rows(5, 3)
    inputs = (z_s.requires_grad_(), z_t.requires_grad_())
    assert torch.autograd.gradcheck(lambda s, t: sliced_wasserstein(s, t, theta), inputs)
    assert sliced_wasserstein(z_s, z_s.flip(0), theta).item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("value", [0.0, 1.0, 1000.1])
@pytest.mark.parametrize("sizes", [(6, 6), (6, 4), (1, 1)])
def test_sliced_wasserstein_of_constant_features_is_finite(value: float, sizes: tuple[int, int]) -> None:
    z_s, z_t = (torch.full((n, 4), value, requires_grad=True) for n in sizes)
    d = sliced_wasserstein(z_s, z_t, rows(1, 1)[2])
    d.backward()
    assert d.item() == pytest.approx(0, abs=1e-4)
    assert all(z.grad is not None and z.grad.isfinite().all() for z in (z_s, z_t))


def test_bfloat16_input_is_computed_in_single_precision() -> None:
    z_s, z_t, theta = (x.bfloat16() for x in rows(24, 20))
    assert sliced_wasserstein(z_s, z_t, theta).dtype == torch.float32
    exact = sliced_wasserstein(z_s.float(), z_t.float(), theta.float())
    assert float(sliced_wasserstein(z_s, z_t, theta)) == pytest.approx(float(exact), abs=1e-6)
    cost = cost_matrix().bfloat16()
    torch.testing.assert_close(unbalanced_sinkhorn(cost, 0.1, 0.5), unbalanced_sinkhorn(cost.float(), 0.1, 0.5))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("reg", [0.01, 1.0])
def test_the_gaussian_map_with_more_or_fewer_rows_than_features_is_pots(
    sizes: tuple[int, int, int], reg: float
) -> None:
    z_s, z_t = tall_and_wide_samples(*sizes)
    c_s, c_t = covariances(z_s, z_t, reg)
    A, b = gaussian_map(z_s, z_t, reg)
    A_ref, b_ref = ot.gaussian.bures_wasserstein_mapping(z_s.numpy().mean(0), z_t.numpy().mean(0), c_s, c_t)
    np.testing.assert_allclose(A.numpy(), A_ref, atol=1e-9)
    np.testing.assert_allclose(b.numpy(), b_ref.ravel(), atol=1e-9)
    torch.testing.assert_close(move_gaussian(z_s, z_t, reg), z_s @ A + b, rtol=0, atol=1e-9)


def make_cost() -> Tensor:
    z_s, z_t = tall_and_wide_samples(20, 15, 3)
    return torch.cdist(z_s, z_t).square()


@pytest.mark.parametrize("reg", [0.01, 0.1])
def test_sinkhorn_is_pots(reg: float) -> None:
    cost = make_cost()
    a, b = (torch.arange(1.0, n + 1, dtype=torch.float64) / (n * (n + 1) / 2) for n in cost.shape)
    reference = ot.sinkhorn(a.numpy(), b.numpy(), scale_cost(cost).numpy(), reg, numItermax=100_000, stopThr=1e-12)
    np.testing.assert_allclose(sinkhorn(cost, reg, a, b).numpy(), reference, atol=1e-7)


def slow_problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two distant clusters of 50 + 30 rows, with more mass in one than its counterpart has: mass creeps across."""
    rng = np.random.default_rng(0)
    z_s, z_t = rng.standard_normal((80, 3)), rng.standard_normal((60, 3))
    z_s[:50], z_t[:35] = z_s[:50] + 6, z_t[:35] + 6
    M = ((z_s[:, None] - z_t) ** 2).sum(2)
    a, b = rng.random(80), rng.random(60)
    a[:5] = 0
    return M / M.max(), a / a.sum(), b / b.sum()


def test_long_steps_reach_the_plan_of_a_slow_problem_in_a_fraction_of_the_plain_ones() -> None:
    M, a, b = slow_problem()
    K = np.exp(-M / 0.012)
    u, v, plain = np.ones(80), np.ones(60), 0
    while np.abs(v * (u @ K) - b).sum() > 1e-12:  # Cuturi's iteration
        v = b / (u @ K)
        u = a / (K @ v)
        plain += 1
    assert plain > 1000
    found = sinkhorn(torch.from_numpy(M), 0.012, torch.from_numpy(a), torch.from_numpy(b), max_iterations=plain // 4)
    np.testing.assert_allclose(found.numpy(), u[:, None] * K * v, atol=1e-8)


def test_steps_that_make_the_error_grow_give_way_to_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    M, a, b = slow_problem()
    reference = sinkhorn(torch.from_numpy(M), 0.05, torch.from_numpy(a), torch.from_numpy(b))
    monkeypatch.setattr(transport, "_STEPS", (1.0, 2.6))
    found = sinkhorn(torch.from_numpy(M), 0.05, torch.from_numpy(a), torch.from_numpy(b))
    torch.testing.assert_close(found, reference, rtol=0, atol=1e-8)


@pytest.mark.parametrize("group", [0.01, 0.1])
def test_class_regularised_is_pots(group: float) -> None:
    cost, labels = make_cost(), torch.tensor([3, 5, 5, 9] * 5)
    a, b = (np.full(n, 1 / n) for n in cost.shape)
    M = scale_cost(cost).numpy()
    reference = ot.da.sinkhorn_lpl1_mm(a, labels.numpy(), b, M, 0.05, group, 10, 100_000, 1e-12)
    np.testing.assert_allclose(class_regularised(cost, labels, 0.05, group).numpy(), reference, atol=1e-7)


def test_the_log_domain_gives_the_class_regularised_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    cost, labels = torch.as_tensor(rng.random((12, 9))), torch.arange(12) % 3
    plain = class_regularised(cost, labels, 0.05, 0.01)
    monkeypatch.setattr(transport, "_LOG_CLASSES_BELOW", 1.0)
    assert torch.allclose(class_regularised(cost, labels, 0.05, 0.01), plain, atol=1e-7)


def test_a_class_regularised_plan_below_reg_1e_3_is_finite_or_said_not_to_converge() -> None:
    """The kernel exp(-1 / reg) is no number there."""
    cost, labels = torch.as_tensor([[0.0, 1.0], [1.0, 0.0]]), torch.arange(2)
    assert class_regularised(cost, labels, 1e-5, 0.01).isfinite().all()
    cost, labels = torch.as_tensor(np.random.default_rng(0).random((12, 9))), torch.arange(12) % 3
    with pytest.raises(transport.NotConverged, match=r"off by [0-9.e-]+; raise reg"):
        class_regularised(cost, labels, 1e-6, 0.01, max_iterations=20)


@pytest.mark.parametrize(("off", "accepted"), [(0.9e-4, True), (1.1e-4, False), (float("nan"), False)])
def test_a_plan_counts_whose_marginals_are_off_by_at_most_a_ten_thousandth(
    off: float, accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the deviation shows in the sums of rows, half in those of columns."""
    plan = np.eye(4) / 4
    plan[0, 0] += off / 2
    monkeypatch.setattr(ot, "emd", lambda *args, **kwargs: plan)
    if accepted:
        np.testing.assert_allclose(transport.emd(torch.rand(4, 4)).numpy(), plan, rtol=1e-6)
    else:
        with pytest.raises(RuntimeError, match="did not converge"):
            transport.emd(torch.rand(4, 4))
