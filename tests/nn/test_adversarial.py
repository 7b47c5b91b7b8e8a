"""Gradient reversal and the discriminator."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import softplus

from dalib.nn.adversarial import DomainDiscriminator, reverse_gradient, warm_up


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
