"""Dropout whose masks are the same on every processor."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """x -> x * m / (1 - p) in training, each number of m 1 with probability 1 - p, else 0; otherwise x itself.

    x (B, ...) in any floating dtype; p in [0, 1], of which 1 leaves nothing

    `torch.nn.Dropout` draws m by another generator on Intel's processors than on others (`bernoulli_scalar_kernel` in
    PyTorch's DistributionKernels.cpp), so a seed means other masks there. m comes of `torch.rand` here, in float32
    whatever x is: the same on all processors and in all precisions. A GPU has a generator of its own.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.p):
            return x
        kept = torch.rand(x.shape, device=x.device) >= self.p
        return x * (kept * (1 / (1 - self.p) if self.p < 1 else 0.0)).to(x.dtype)
