"""Batch norms: statistics of the data at hand, with the function kept (folded or foreign ones) or changed (AdaBN)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dalib.core.rows import Input, count
from dalib.nn.batch_norms import BATCH_NORMS


@torch.no_grad()
def reestimate(module: nn.Module, batches: Iterable[Input]) -> int:
    """Measure every batch norm's input on `batches` and store it as running statistics, leaving the function unchanged.

    With old statistics (m, v), weight w, bias b and measured (m', v'): w' = w sqrt((v' + eps) / (v + eps)),
    b' = b + w (m' - m) / sqrt(v + eps). In evaluation mode the network computes what it computed before; in training
    mode its batch norms now normalise, which folded ones (m = 0, v = 1 - eps) otherwise do wrongly.
    Returns the number of batch norms that the batches reached.
    """
    norms = [m for m in module.modules() if isinstance(m, BATCH_NORMS) and m.track_running_stats]
    sums: dict[nn.Module, list[Tensor]] = {}

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double().transpose(0, 1).flatten(1)
        n = torch.tensor(float(x.shape[1]), device=x.device)
        seen = sums.setdefault(norm, [torch.zeros_like(n), torch.zeros_like(x[:, 0]), torch.zeros_like(x[:, 0])])
        for total, value in zip(seen, (n, x.sum(1), x.square().sum(1)), strict=True):
            total += value

    was_training = module.training
    module.eval()
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    try:
        for x in batches:
            module(x)
    finally:
        for hook in hooks:
            hook.remove()
        module.train(was_training)
    for norm in sums:
        assert isinstance(norm, BATCH_NORMS) and norm.running_mean is not None and norm.running_var is not None
        n, first, second = sums[norm]
        mean = (first / n).to(norm.running_mean.dtype)
        var = (second / n - (first / n).square()).clamp_min(0).to(norm.running_var.dtype)
        old = (norm.running_var + norm.eps).sqrt()
        if norm.affine:
            norm.bias.add_(norm.weight * (mean - norm.running_mean) / old)
            norm.weight.mul_((var + norm.eps).sqrt() / old)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(var)
    return len(sums)


@torch.no_grad()
def measure_statistics(module: nn.Module, batches: Iterable[Input]) -> int:
    """Running statistics := mean over all rows of what each batch norm sees when every one normalises by its batch.

    Batches count by their rows; one of a single row, which has no variance, is left out. Returns the number of norms.
    """
    norms = [m for m in module.modules() if isinstance(m, BATCH_NORMS) and m.track_running_stats]
    was_training, momenta = module.training, [norm.momentum for norm in norms]
    module.eval()
    seen = 0
    try:
        for x in batches if norms else ():
            n = count(x)
            if n < 2:
                continue
            seen += n
            for norm in norms:
                norm.training, norm.momentum = True, n / seen
            module(x)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        module.train(was_training)
    return len(norms)
