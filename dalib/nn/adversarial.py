"""The parts of domain-adversarial training: gradient reversal, its schedule and the discriminator."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dalib.nn.dropout import Dropout
from dalib.nn.known_gradients import quick_to_call


@quick_to_call
class _Reverse(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, coefficient: float | Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float | Tensor], output: Tensor) -> None:
        coefficient = inputs[1]
        ctx.number = None if isinstance(coefficient, Tensor) else coefficient
        if isinstance(coefficient, Tensor):
            ctx.save_for_backward(coefficient)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        coefficient = ctx.saved_tensors[0] if ctx.number is None else ctx.number
        return -coefficient * gradient, None


def reverse_gradient(x: Tensor, coefficient: float | Tensor = 1.0) -> Tensor:
    """x of any shape, unchanged; its gradient is multiplied by -coefficient (a number or a 0-dim tensor).

    R(x) = x, dR/dx = -coefficient * I.  Ganin et al. 2016, arXiv:1505.07818.
    """
    return _Reverse.apply(x, coefficient)


def warm_up(progress: float | Tensor) -> float | Tensor:
    """2 / (1 + e^(-10 progress)) - 1: 0 at progress 0, 0.9999 at progress 1 (Ganin et al. 2016, section 5.2.2)."""
    e = torch.exp(-10 * progress) if isinstance(progress, Tensor) else math.exp(-10 * progress)
    return 2 / (1 + e) - 1


def conditional_map(z: Tensor, p: Tensor, maps: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Features joined with predictions for a conditional discriminator.

    exact (maps None)     z ⊗ p, flattened class by class: (B, K * d)
    random (R_z, R_p)     (z R_z) * (p R_p) / sqrt(d'): (B, d'), whose inner products estimate those of z ⊗ p

    z (B, d), p (B, K); R_z (d, d'), R_p (K, d') with standard normal entries. Long et al. Conditional Adversarial
    Domain Adaptation. NeurIPS 2018. arXiv:1705.10667 (eq. 4-7).
    """
    if maps is None:
        return (p[:, :, None] * z[:, None, :]).flatten(1)
    return (z @ maps[0]) * (p @ maps[1]) / maps[0].shape[1] ** 0.5


def margin_disparity(
    logits_s: Tensor, logits_t: Tensor, adversary_s: Tensor, adversary_t: Tensor, margin: float = 4.0
) -> Tensor:
    """What an adversarial head minimises to agree with the main one on the source and not on the target; a scalar >= 0.

    margin * mean CE(g'_s, h_s) - mean log(1 - softmax(g'_t)_[h_t]),  h = argmax of the main head's logits, constant

    logits, adversary (g') of a domain (B, K), K >= 2, in fp32 or float64; margin = e^(the paper's log gamma) > 0. Zhang
    et al. Bridging Theory and Algorithm for Domain Adaptation. ICML 2019. arXiv:1904.05801 (eq. 29-30).
    log(1 - softmax) is the log-sum-exp over the other classes less that over all: exact, with a gradient in [-1, 1],
    where the authors' code clamps at 1e-6.
    """
    h_s, h_t = logits_s.detach().argmax(1), logits_t.detach().argmax(1)
    others = adversary_t.scatter(1, h_t[:, None], -torch.inf)
    apart = adversary_t.logsumexp(1) - others.logsumexp(1)
    return margin * cross_entropy(adversary_s, h_s) + apart.mean()


class DomainDiscriminator(nn.Module):
    """z (B, dim) -> domain logits (B,): dim - hidden - hidden - 1 with ReLU, Ganin et al. 2016, arXiv:1505.07818.

    dropout: of what both hidden layers give, in training; 0.5 in the code of Long et al. (CDAN, NeurIPS 2018)

    Departures: no sigmoid at the end (the loss takes logits). Transfer-Learning-Library adds batch norm; without it the
    value for a row does not depend on the other rows.
    """

    def __init__(self, dim: int, hidden: int = 1024, dropout: float = 0.0) -> None:
        super().__init__()

        def bend() -> nn.Module:
            return nn.Sequential(nn.ReLU(), Dropout(dropout)) if dropout else nn.ReLU()

        self.layers = nn.Sequential(
            nn.Linear(dim, hidden), bend(), nn.Linear(hidden, hidden), bend(), nn.Linear(hidden, 1)
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z).squeeze(1)
