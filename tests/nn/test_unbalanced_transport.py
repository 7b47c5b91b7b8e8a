"""Unbalanced plans and sliced distances against POT."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from dalib.nn.transport import sliced_wasserstein, unbalanced_sinkhorn


def cost_of(n: int = 9, m: int = 7, scale: float = 1.0) -> Tensor:
    g = torch.Generator().manual_seed(0)
    z_s = torch.randn(n, 4, generator=g, dtype=torch.float64)
    z_t = torch.randn(m, 4, generator=g, dtype=torch.float64) + 0.5
    return scale * (z_s[:, None] - z_t).square().sum(2)


@pytest.mark.parametrize(("reg", "reg_m", "scale"), [(0.1, 0.5, 1.0), (0.05, 1.0, 0.3), (0.5, 0.1, 1.0)])
@pytest.mark.parametrize(("n", "m"), [(8, 8), (9, 7)])
def test_the_unbalanced_plan_is_pots(reg: float, reg_m: float, scale: float, n: int, m: int) -> None:
    cost = cost_of(n, m, scale)
    reference = ot.unbalanced.sinkhorn_knopp_unbalanced(
        ot.unif(n), ot.unif(m), cost.numpy(), reg, reg_m, numItermax=100_000, stopThr=1e-14
    )
    np.testing.assert_allclose(unbalanced_sinkhorn(cost, reg, reg_m, iterations=2000).numpy(), reference, atol=1e-8)
    single = unbalanced_sinkhorn(cost.float(), reg, reg_m)
    np.testing.assert_allclose(single.numpy(), reference, atol=1e-4)
    assert float(single.sum()) == pytest.approx(reference.sum(), rel=1e-3)


def test_the_unbalanced_plan_satisfies_the_optimality_conditions_where_kernels_underflow() -> None:
    """reg log(P / abᵀ) + cost + reg_m (log(P1 / a) + log(Pᵀ1 / b)) = 0, at costs of a thousand times reg."""
    cost, reg, reg_m = cost_of(scale=3.0), 0.01, 0.5
    assert float(cost.max()) > 1000 * reg
    plan = unbalanced_sinkhorn(cost, reg, reg_m, iterations=3000)
    rows, columns = (plan.sum(1) * 9).log(), (plan.sum(0) * 7).log()
    residual = reg * (plan * 63).log() + cost + reg_m * (rows[:, None] + columns)
    assert residual[plan > 1e-300].abs().max() < 1e-8
    single = unbalanced_sinkhorn(cost.float(), reg, reg_m)
    assert float(single.sum()) == pytest.approx(float(plan.sum()), rel=1e-3)


def test_a_large_penalty_gives_the_balanced_plan_and_a_row_without_partner_loses_its_mass() -> None:
    cost = cost_of()
    balanced = ot.sinkhorn(ot.unif(9), ot.unif(7), cost.numpy(), 0.5, stopThr=1e-14, numItermax=10_000)
    np.testing.assert_allclose(unbalanced_sinkhorn(cost, 0.5, 1e7, iterations=2000).numpy(), balanced, atol=1e-6)
    cost[0] += 20
    mass = unbalanced_sinkhorn(cost, 0.05, 0.5).sum(1)
    assert float(mass[0]) < 1e-6 * float(mass[1:].min())


def test_the_unbalanced_plan_takes_other_marginals_and_any_order_of_rows() -> None:
    cost, a, b = cost_of(4, 3), torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), torch.tensor([0.5, 0.3, 0.2]).double()
    reference = ot.unbalanced.sinkhorn_knopp_unbalanced(a.numpy(), b.numpy(), cost.numpy(), 0.2, 0.5, stopThr=1e-14)
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
    cost = cost_of().bfloat16()
    torch.testing.assert_close(unbalanced_sinkhorn(cost, 0.1, 0.5), unbalanced_sinkhorn(cost.float(), 0.1, 0.5))
