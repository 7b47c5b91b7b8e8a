"""Batch norms that use, channel by channel and at random, statistics of the batch or the moving ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm


class StochNorm(nn.modules.batchnorm._BatchNorm):
    """y_c = s_c BN(x; batch)_c + (1 - s_c) BN(x; moving)_c, s_c ~ Bernoulli(p), in training.

    Moving statistics are those before the batch, which updates them as usual; they alone count in evaluation.
    Parameters, buffers and their names are the batch norm's. x (B, C), (B, C, L), (B, C, H, W) or (B, C, D, H, W).
    Kou et al. Stochastic Normalization. NeurIPS 2020.
    """

    p: float = 0.5

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(x)
        mean, var = self.running_mean.clone(), self.running_var.clone()
        moving = batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)
        s = torch.rand(x.shape[1], device=x.device) < self.p
        return torch.where(s.view(-1, *[1] * (x.ndim - 2)), super().forward(x), moving)


class StochNorm1d(StochNorm, nn.BatchNorm1d):
    """Of (B, C) or (B, C, L)."""


class StochNorm2d(StochNorm, nn.BatchNorm2d):
    """Of (B, C, H, W)."""


class StochNorm3d(StochNorm, nn.BatchNorm3d):
    """Of (B, C, D, H, W)."""


STOCHASTIC: dict[type[nn.Module], type[StochNorm]] = {
    nn.BatchNorm1d: StochNorm1d,
    nn.BatchNorm2d: StochNorm2d,
    nn.BatchNorm3d: StochNorm3d,
}


def make_stochastic(module: nn.Module, p: float) -> int:
    """Turn every batch norm of `module` into a StochNorm, in place: the same objects, parameters and statistics.

    Returns how many StochNorms there are now; those that were there already get the new p.
    """
    for norm in module.modules():
        if type(norm) in STOCHASTIC:
            norm.__class__ = STOCHASTIC[type(norm)]
    norms = [norm for norm in module.modules() if isinstance(norm, StochNorm)]
    for norm in norms:
        norm.p = p
    return len(norms)
