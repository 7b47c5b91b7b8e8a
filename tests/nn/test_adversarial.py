"""Gradient reversal and the discriminator."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import Tensor
from torch.nn.functional import softplus

from dalib.nn.adversarial import DomainDiscriminator, conditional_map, margin_disparity, reverse_gradient, warm_up


@pytest.mark.parametrize("coefficient", [0.0, 0.3, 1.0, torch.tensor(0.3)])
def test_reversal_keeps_the_value_and_flips_the_gradient_exactly(coefficient: float | torch.Tensor) -> None:
    x = torch.randn(4, 3, requires_grad=True)
    (plain,) = torch.autograd.grad(x.pow(3).sum(), x)
    out = reverse_gradient(x, coefficient)
    (flipped,) = torch.autograd.grad(out.pow(3).sum(), x)
    assert torch.equal(out, x)
    assert torch.equal(flipped, -coefficient * plain)


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.5, 1.0])
def test_warm_up_is_the_papers_curve_for_numbers_and_tensors(progress: float) -> None:
    reference = math.tanh(5 * progress)
    assert warm_up(progress) == pytest.approx(reference, abs=1e-12)
    assert float(warm_up(torch.tensor(progress))) == pytest.approx(reference, abs=1e-6)


def test_discriminator_separates_separable_domains_and_sends_a_gradient_to_features() -> None:
    torch.manual_seed(0)
    z_s, z_t = torch.randn(64, 8) + 1, torch.randn(64, 8) - 1
    discriminator = DomainDiscriminator(8, hidden=32)
    optimiser = torch.optim.SGD(discriminator.parameters(), lr=0.1)
    for _ in range(40):
        d_s, d_t = discriminator(torch.cat([z_s, z_t])).split(64)
        optimiser.zero_grad()
        (softplus(-d_s).mean() + softplus(d_t).mean()).backward()
        optimiser.step()
    z = torch.cat([torch.randn(64, 8) + 1, torch.randn(64, 8) - 1]).requires_grad_()
    logits = discriminator(z)
    assert logits.shape == (128,)
    right = (logits[:64] > 0).float().mean() / 2 + (logits[64:] < 0).float().mean() / 2
    assert right > 0.9
    softplus(-logits).sum().backward()
    assert z.grad is not None and z.grad.abs().max() > 1e-4


def test_discriminator_remembers_nothing() -> None:
    discriminator = DomainDiscriminator(8, hidden=16)
    assert not list(discriminator.buffers())
    z = torch.randn(12, 8)
    assert torch.equal(discriminator.train()(z), discriminator.eval()(z))


g = torch.Generator().manual_seed(0)


Z = torch.randn(7, 5, generator=g, dtype=torch.float64)


P = torch.randn(7, 3, generator=g, dtype=torch.float64).softmax(1)


MAPS = (torch.randn(5, 11, generator=g, dtype=torch.float64), torch.randn(3, 11, generator=g, dtype=torch.float64))


def test_the_exact_map_is_the_outer_product_of_every_row() -> None:
    reference = np.array([np.outer(p, z).ravel() for z, p in zip(Z.numpy(), P.numpy(), strict=True)])
    np.testing.assert_allclose(conditional_map(Z, P).numpy(), reference, atol=1e-12)
    np.testing.assert_allclose(conditional_map(Z.float(), P.float()).numpy(), reference, atol=1e-6)


def test_the_random_map_is_the_scaled_product_of_two_projections() -> None:
    z, p, (r_z, r_p) = Z.numpy(), P.numpy(), (m.numpy() for m in MAPS)
    reference = np.array(
        [
            [sum(z[i, a] * r_z[a, j] for a in range(5)) * sum(p[i, c] * r_p[c, j] for c in range(3)) for j in range(11)]
            for i in range(7)
        ]
    ) / np.sqrt(11)
    np.testing.assert_allclose(conditional_map(Z, P, MAPS).numpy(), reference, atol=1e-8)


def test_the_random_map_keeps_inner_products_on_average() -> None:
    r = torch.Generator().manual_seed(1)
    wide = tuple(torch.randn(n, 200_000, generator=r, dtype=torch.float64) for n in (5, 3))
    mapped, exact = conditional_map(Z, P, wide), conditional_map(Z, P)  # type: ignore[arg-type]
    torch.testing.assert_close(mapped @ mapped.T, exact @ exact.T, rtol=0, atol=0.1)


@pytest.mark.parametrize("maps", [None, MAPS])
def test_the_map_has_the_right_gradient(maps: tuple[torch.Tensor, torch.Tensor] | None) -> None:
    inputs = (Z[:3].clone().requires_grad_(), P[:3].clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda z, p: conditional_map(z, p, maps), inputs)


def logits(n: int = 7, m: int = 5, K: int = 4) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [2 * torch.randn(k, K, generator=g, dtype=torch.float64) for k in (n, m, n, m)]


def loop_disparity(g_s: np.ndarray, g_t: np.ndarray, a_s: np.ndarray, a_t: np.ndarray, margin: float) -> float:
    agree = [-np.log(softmax(a)[g.argmax()]) for g, a in zip(g_s, a_s, strict=True)]
    differ = [-np.log(1 - softmax(a)[g.argmax()]) for g, a in zip(g_t, a_t, strict=True)]
    return float(margin * np.mean(agree) + np.mean(differ))


@pytest.mark.parametrize("margin", [1.0, 4.0])
def test_margin_disparity_is_the_papers_value(margin: float) -> None:
    reference = loop_disparity(*(x.numpy() for x in logits()), margin)
    assert float(margin_disparity(*logits(), margin)) == pytest.approx(reference, abs=1e-8)
    assert float(margin_disparity(*(x.float() for x in logits()), margin)) == pytest.approx(reference, abs=1e-4)
    turned = [x.flip(0) for x in logits()]
    assert float(margin_disparity(*turned, margin)) == pytest.approx(reference, abs=1e-8)


def test_its_gradient_is_right_and_reaches_the_adversary_only() -> None:
    g_s, g_t, a_s, a_t = (x.requires_grad_() for x in logits(4, 3, 3))
    assert torch.autograd.gradcheck(lambda s, t: margin_disparity(g_s, g_t, s, t), (a_s, a_t))
    margin_disparity(g_s, g_t, a_s, a_t).backward()
    assert g_s.grad is None and g_t.grad is None


def test_an_adversary_certain_of_the_targets_class_has_a_finite_value_and_gradient() -> None:
    g = 1000 * torch.eye(3)
    a = g.clone().requires_grad_()
    value = margin_disparity(g, g, a, a)
    value.backward()
    assert value.item() == pytest.approx(1000 - np.log(2), rel=1e-5)
    assert a.grad is not None and a.grad.isfinite().all() and a.grad.abs().max() <= 1
