"""Small tasks inside one batch: which rows are support, losses among the classes that are there, prototypes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from dalib.nn.discrepancy import as_float


def rank_in_class(y: Tensor, order: Tensor) -> Tensor:
    """y (B,), order (B,) distinct numbers -> how many rows of the same class come earlier in `order`, (B,) int64."""
    return ((y[:, None] == y) & (order < order[:, None])).sum(1)


def pick_support(y: Tensor, shots: int, order: Tensor) -> Tensor:
    """Which rows are support, (B,) bool: the first `shots` of each class in `order`, but never all rows of a class.

    y (B,), order (B,) distinct numbers, shots >= 1; the only row of a class is support.
    """
    count = (y[:, None] == y).sum(1)
    return rank_in_class(y, order) < (count - 1).clamp(min=1, max=shots)


def class_means(z: Tensor, y: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """z (B, d), y (B,) in [0, K) -> means (K, d), zeros for a class without rows, and rows per class (K,)."""
    member = one_hot(y, num_classes).to(z.dtype)
    count = member.sum(0)
    return member.T @ z / count.clamp(min=1)[:, None], count


def prototype_logits(z: Tensor, prototypes: Tensor) -> Tensor:
    """z (B, d), prototypes (K, d) -> -||z - c_k||², (B, K): their softmax is the prediction."""
    return -torch.stack([(as_float(z) - c).square().sum(1) for c in prototypes], 1)


def prototypical_loss(z: Tensor, y: Tensor, support: Tensor, num_classes: int) -> Tensor:
    """Mean over query rows of -log softmax_k(-||z - c_k||²)_y, c_k = mean of the support rows of class k; a scalar.

    z (B, d), y (B,) in [0, K), support (B,) bool: every class with a query has support. Classes without support take no
    part; without a query row the loss is 0. Snell, Swersky & Zemel. Prototypical Networks for Few-shot Learning.
    NeurIPS 2017. arXiv:1703.05175 (algorithm 1).
    """
    z = as_float(z)
    query = ~support
    prototypes, count = class_means(z[support], y[support], num_classes)
    logits = prototype_logits(z[query], prototypes).masked_fill(count == 0, -torch.inf)
    total = cross_entropy(logits, y[query], reduction="sum") if query.any() else 0.0 * z.sum()
    return total / query.sum().clamp(min=1)


def episode_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy among the classes that y holds; logits (B, K), y (B,); a scalar."""
    present = one_hot(y, logits.shape[1]).any(0)
    return cross_entropy(as_float(logits).masked_fill(~present, -torch.inf), y)


def differentiate(loss: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of a scalar, one per weight; zeros where it does not depend on one."""
    return list(torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True))


@torch.no_grad()
def gradient_step(weights: Sequence[Tensor], gradients: Sequence[Tensor], rate: float) -> None:
    """w := w - rate * g, in place."""
    for w, g in zip(weights, gradients, strict=True):
        w.sub_(g, alpha=rate)


@torch.no_grad()
def interpolate(weights: Sequence[Tensor], start: Sequence[Tensor], rate: float | Tensor) -> None:
    """w := start + rate * (w - start), in place.

    Nichol, Achiam & Schulman. On First-Order Meta-Learning Algorithms. arXiv:1803.02999 (algorithm 1, Reptile).
    """
    for w, s in zip(weights, start, strict=True):
        w.copy_(s + rate * (w - s))


def with_gradient(value: Tensor, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """A scalar that equals `value` and whose gradient by each weight is the given constant."""
    line = torch.stack([(w * g).sum() for w, g in zip(weights, gradients, strict=True)]).sum()
    return value.detach() + line - line.detach()
