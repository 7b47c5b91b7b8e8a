"""Time series (n, C, T): a fully convolutional network with the mean over time (Wang et al. 2017), from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from dalib.backbones._scratch import load_own, require_rows, require_sizes
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.rows import RowShape


class FCN(nn.Module):
    """Conv + BatchNorm + ReLU several times, then the mean over time: x (B, C, T) -> z (B, channels[-1]) >= 0.

    Reference
        Wang et al. Time Series Classification from Scratch with Deep Neural Networks. IJCNN 2017. arXiv:1611.06455.
        Departure: no bias before a batch norm. Series are taken as they come; the paper's are z-normalised.
    """

    def __init__(self, channels: Sequence[int], kernels: Sequence[int]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.ConstantPad1d(((k - 1) // 2, k // 2), 0.0),
                    nn.Conv1d(a, b, k, bias=False),
                    nn.BatchNorm1d(b),
                    nn.ReLU(),
                )
                for a, b, k in zip(channels, channels[1:], kernels, strict=False)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x).mean(2)


PRETRAINING = {"imagenet": ()}
"""Random too: `imagenet` is the general default, and these have none of it."""


def build(
    name: str,
    weights: str,
    rows: RowShape,
    channels: Sequence[int] = (128, 256, 128),
    kernels: Sequence[int] = (8, 5, 3),
) -> Backbone:
    """Groups: the blocks.

    Args
        channels, kernels: filters and their length in steps of time, one pair per block
    """
    require_rows(name, rows, 2, False, "time series (n, channels, time)")
    require_sizes(name, "channels", channels, least=1)
    require_sizes(name, "kernels", kernels, least=1)
    if len(channels) != len(kernels):
        raise DalibError(f"{name}.channels has {len(channels)} and {name}.kernels {len(kernels)} values; give as many")
    module = FCN([rows.shape[0], *channels], kernels)
    return load_own(Backbone(name, module, channels[-1], list(module.blocks), rows=rows.numbers()), weights)
