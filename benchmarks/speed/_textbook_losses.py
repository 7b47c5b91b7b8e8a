"""The losses as a textbook writes them: the formula, term by term, in plain PyTorch operations and autograd."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, coefficient: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.coefficient = coefficient
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def, override]
        return -ctx.coefficient * gradient, None


def kernel(z: Tensor, sigma2: float | None) -> Tensor:
    """A sum of five Gaussians of bandwidths 2^k mean ||z_i - z_j||², k = -3 … 1, or one of sigma2; (N, N, d) inside."""
    squared = ((z[None] - z[:, None]) ** 2).sum(2)
    bandwidths = [sigma2] if sigma2 else [2**k * squared.detach().mean() for k in range(-3, 2)]
    return torch.stack([torch.exp(-squared / (2 * s)) for s in bandwidths]).sum(0)


def unbiased(k: Tensor, n: int) -> Tensor:
    m = len(k) - n
    ss, tt = k[:n, :n], k[n:, n:]
    within = (ss.sum() - ss.trace()) / (n * (n - 1)) + (tt.sum() - tt.trace()) / (m * (m - 1))
    return within - 2 * k[:n, n:].mean()


def mk_mmd(z_s: Tensor, z_t: Tensor) -> Tensor:
    return unbiased(kernel(torch.cat([z_s, z_t]), None), len(z_s))


def joint_mmd(z_s: Tensor, z_t: Tensor, l_s: Tensor, l_t: Tensor, sigma: float) -> Tensor:
    p = torch.cat([l_s.softmax(1), l_t.softmax(1)])
    return unbiased(kernel(torch.cat([z_s, z_t]), None) * kernel(p, sigma**2), len(z_s))


def domain_bce(discriminator: nn.Module, h_s: Tensor, h_t: Tensor) -> Tensor:
    """A pass through the discriminator and a sigmoid for either domain."""
    p_s, p_t = torch.sigmoid(discriminator(h_s)), torch.sigmoid(discriminator(h_t))
    return (F.binary_cross_entropy(p_s, torch.ones_like(p_s)) + F.binary_cross_entropy(p_t, torch.zeros_like(p_t))) / 2


def dann(discriminator: nn.Module, z_s: Tensor, z_t: Tensor, c: float) -> Tensor:
    return domain_bce(discriminator, Reverse.apply(z_s, c), Reverse.apply(z_t, c))


def cdan(discriminator: nn.Module, z_s: Tensor, z_t: Tensor, l_s: Tensor, l_t: Tensor, c: float) -> Tensor:
    """The outer product of every row's features and predictions."""

    def outer(z: Tensor, logits: Tensor) -> Tensor:
        return torch.bmm(logits.softmax(1).detach()[:, :, None], z[:, None]).flatten(1)

    return domain_bce(discriminator, Reverse.apply(outer(z_s, l_s), c), Reverse.apply(outer(z_t, l_t), c))


def random_cdan(
    discriminator: nn.Module, maps: tuple[Tensor, Tensor], z_s: Tensor, z_t: Tensor, l_s: Tensor, l_t: Tensor, c: float
) -> Tensor:
    def join(z: Tensor, logits: Tensor) -> Tensor:
        return (z @ maps[0]) * (logits.softmax(1).detach() @ maps[1]) / maps[0].shape[1] ** 0.5

    return domain_bce(discriminator, Reverse.apply(join(z_s, l_s), c), Reverse.apply(join(z_t, l_t), c))


def deep_coral(z_s: Tensor, z_t: Tensor) -> Tensor:
    """The paper's one-pass covariances, with a row of ones."""

    def covariance(z: Tensor) -> Tensor:
        total = torch.ones(1, len(z), dtype=z.dtype) @ z
        return (z.T @ z - total.T @ total / len(z)) / (len(z) - 1)

    return (covariance(z_s) - covariance(z_t)).pow(2).sum() / (4 * z_s.shape[1] ** 2)


def mcc(l_t: Tensor, temperature: float) -> Tensor:
    p = (l_t / temperature).softmax(1)
    weight = 1 + torch.exp((p.detach() * torch.log(p.detach() + 1e-12)).sum(1))
    weight = len(p) * weight / weight.sum()
    confusion = p.T @ torch.diag(weight) @ p
    confusion = confusion / confusion.sum(1, keepdim=True)
    return (confusion.sum() - confusion.trace()) / p.shape[1]


def mdd(adversary: nn.Module, z_s: Tensor, z_t: Tensor, l_s: Tensor, l_t: Tensor, margin: float, c: float) -> Tensor:
    a_s, a_t = adversary(Reverse.apply(z_s, c)), adversary(Reverse.apply(z_t, c))
    apart = torch.log(1 - a_t.softmax(1).gather(1, l_t.argmax(1, keepdim=True)))
    return margin * F.cross_entropy(a_s, l_s.argmax(1)) - apart.mean()


def mcd(second: nn.Module, z_t: Tensor, l_t: Tensor) -> Tensor:
    return (l_t.softmax(1) - second(z_t).softmax(1)).abs().mean()


def mean_entropy(l_t: Tensor) -> Tensor:
    p = l_t.softmax(1)
    return -(p * torch.log(p + 1e-12)).sum(1).mean()


def afn(z_s: Tensor, z_t: Tensor, delta: float) -> Tensor:
    return sum(((z.norm(dim=1) - (z.norm(dim=1).detach() + delta)) ** 2).mean() for z in (z_s, z_t))


def bsp(z_s: Tensor, z_t: Tensor) -> Tensor:
    return sum(torch.linalg.svd(z, full_matrices=False).S[0] ** 2 for z in (z_s, z_t))


def bnm(l_t: Tensor) -> Tensor:
    return torch.linalg.svd(l_t.softmax(1), full_matrices=False).S.sum() / len(l_t)
