"""How far a prediction moves when its input is perturbed in the worst direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from dalib.nn.batch_norms import BATCH_NORMS
from dalib.nn.discrepancy import as_float


def virtual_adversarial(
    network_function: Callable[[Tensor], Tensor],
    x: Tensor,
    p: Tensor,
    radius: float,
    xi: float = 1e-3,
    iterations: int = 1,
) -> Tensor:
    """KL(p_i || softmax f(x_i + r_i)) of each row (B,), in nats; r_i = the direction in which it grows fastest.

    r = radius * d, constant;  d starts as a random unit vector per row, then `iterations` times
    d := the unit vector along the gradient of KL(p || softmax f(x + xi d)) in x, that is of H d with the Hessian H at x

    x (B, *S) and p (B, K), constant; f gives logits (B, K); radius, xi > 0 in the unit of x. A row whose gradient is 0
    is not perturbed. The random directions are torch's. Miyato et al. Virtual Adversarial Training. TPAMI 2018.
    arXiv:1704.03976 (algorithm 1). p must be f's own prediction, made as f makes it here (dropout, batch norm,
    precision): the direction is a difference of predictions that are `xi` apart.
    """
    x, p = x.detach(), as_float(p).detach()

    def divergence(r: Tensor) -> Tensor:
        return kl_div(as_float(network_function(x + r)).log_softmax(1), p, reduction="none").sum(1)

    d = _unit(torch.randn_like(x))
    with torch.enable_grad():
        for _ in range(iterations):
            r = (xi * d).requires_grad_()
            d = _unit(torch.autograd.grad(divergence(r).sum(), r)[0])
    return divergence(radius * d)


def own_virtual_adversarial(
    network: nn.Module,
    network_function: Callable[[Tensor], Tensor],
    x: Tensor,
    radius: float,
    xi: float = 1e-3,
    iterations: int = 1,
) -> Tensor:
    """`virtual_adversarial` (B,) about the network's own prediction at x, every pass the same function of its input.

    network_function: x -> logits (B, K) by `network`, whose dropout and running statistics rest meanwhile
    """
    with same_function(network):
        with torch.no_grad():
            p = network_function(x).softmax(1)
        return virtual_adversarial(network_function, x, p, radius, xi, iterations)


@contextmanager
def same_function(network: nn.Module) -> Iterator[None]:
    """Inside, every pass computes the same function and leaves no trace: no dropout, batch norms keep their statistics.

    Batch norms in training mode still normalise by their batch.
    """
    norms = [m for m in network.modules() if isinstance(m, BATCH_NORMS)]
    others = [m for m in network.modules() if not isinstance(m, BATCH_NORMS)]
    tracked, training = [m.track_running_stats for m in norms], [m.training for m in others]
    try:
        for norm in norms:
            norm.track_running_stats = False
        for module in others:
            module.training = False
        yield
    finally:
        for norm, value in zip(norms, tracked, strict=True):
            norm.track_running_stats = value
        for module, value in zip(others, training, strict=True):
            module.training = value


def _unit(v: Tensor) -> Tensor:
    """Each row at length 1, whatever its size; rows of zeros as they are."""
    flat = v.flatten(1)
    tiny = torch.finfo(v.dtype).tiny
    flat = flat / flat.abs().amax(1, keepdim=True).clamp(min=tiny)
    return (flat / flat.norm(dim=1, keepdim=True).clamp(min=tiny)).view_as(v)
