"""The gradient penalty against exact slopes and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from dalib.nn.critic import gradient_penalty, lipschitz_points


def rows(n: int = 6, d: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def critic(d: int = 4, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(d, 5), activation(), nn.Linear(5, 1)).double()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_the_penalty_of_a_linear_critic_is_the_norm_of_its_weights(dtype: torch.dtype, tolerance: float) -> None:
    w = rows(1).to(dtype)
    got = gradient_penalty(lambda z: z @ w.T, rows().to(dtype).requires_grad_())
    assert float(got.detach()) == pytest.approx((np.linalg.norm(w.double().numpy()) - 1) ** 2, abs=tolerance)


def test_the_penalty_is_that_of_slopes_measured_by_finite_differences() -> None:
    f, z, h = critic(), rows(), 1e-6
    total = 0.0
    for row in z:
        slope = [float((f(row + h * e) - f(row - h * e)).detach()) / (2 * h) for e in torch.eye(4, dtype=torch.float64)]
        total += (np.linalg.norm(slope) - 1) ** 2 / len(z)
    assert float(gradient_penalty(f, z).detach()) == pytest.approx(total, abs=1e-7)


def test_the_second_backward_pass_is_right_for_the_critics_parameters() -> None:
    f, z = critic(), rows()
    names, values = zip(*((n, p.detach().clone().requires_grad_()) for n, p in f.named_parameters()), strict=True)

    def penalty(*parameters: Tensor) -> Tensor:
        return gradient_penalty(lambda x: functional_call(f, dict(zip(names, parameters, strict=True)), (x,)), z)

    assert torch.autograd.gradcheck(penalty, values)


def test_a_critic_without_slope_has_penalty_one_and_a_finite_gradient() -> None:
    f = critic(activation=nn.ReLU)
    with torch.no_grad():
        next(f.parameters()).zero_()
        f[0].get_parameter("bias").fill_(-1.0)
    penalty = gradient_penalty(f, rows())
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert all(p.grad is None or p.grad.isfinite().all() for p in f.parameters())


def test_the_penalty_works_where_gradients_are_off_and_leaves_the_rows_alone() -> None:
    z = rows().requires_grad_()
    with torch.no_grad():
        value = gradient_penalty(critic(), z)
    penalty = gradient_penalty(critic(), z)
    penalty.backward()
    assert value.item() == penalty.item() > 0
    assert z.grad is None


@pytest.mark.parametrize(("n", "m"), [(6, 6), (7, 4), (3, 5)])
def test_points_are_both_samples_and_one_on_each_line_between_pairs(n: int, m: int) -> None:
    torch.manual_seed(0)
    z_s, z_t = rows(n).requires_grad_(), rows(m, seed=1) + 3
    points, k = lipschitz_points(z_s, z_t), min(n, m)
    assert not points.requires_grad
    assert torch.equal(points[: n + m], torch.cat([z_s.detach(), z_t]))
    part = (points[n + m :] - z_t[:k]) / (z_s.detach()[:k] - z_t[:k])
    assert part.shape == (k, 4)
    np.testing.assert_allclose(part.numpy(), part[:, :1].expand(-1, 4).numpy(), atol=1e-9)
    assert ((part >= 0) & (part <= 1)).all()
    assert k == 1 or part[:, 0].std() > 0.01
