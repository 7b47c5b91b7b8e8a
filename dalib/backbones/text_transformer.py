"""Texts as token ids (n, L), 0 is padding: a small transformer encoder, from scratch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dalib.backbones._scratch import load_own, masked_mean, require_rows, require_sizes
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.rows import RowShape


class Embedding(nn.Module):
    """ids (B, L) -> (B, L + 1, width): token + position, after a start token that every text has."""

    def __init__(self, ids: int, length: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(ids, width, padding_idx=0)
        self.start = nn.Parameter(torch.randn(width))
        self.positions = nn.Parameter(0.02 * torch.randn(length + 1, width))

    def forward(self, x: Tensor) -> Tensor:
        start = self.start.expand(len(x), 1, -1)
        return torch.cat([start, self.tokens(x)], 1) + self.positions


class TextTransformer(nn.Module):
    """ids (B, L) int64 -> z (B, width), the mean over tokens after the last layer; padding (0) is never looked at.

    Reference
        Vaswani et al. Attention Is All You Need. NeurIPS 2017. arXiv:1706.03762 (the encoder).
        Departures: learnt positions, a start token, layer norm before each part (easier to train from scratch).
    """

    def __init__(self, ids: int, length: int, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.embedding = Embedding(ids, length, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.cat([torch.ones_like(x[:, :1]), x], 1) != 0
        h = self.embedding(x)
        for layer in self.layers:
            h = layer(h, src_key_padding_mask=~seen)
        return masked_mean(self.norm(h), seen)


PRETRAINING = {"imagenet": ()}
"""Random too: `imagenet` is the general default, and these have none of it."""


def build(
    name: str,
    weights: str,
    rows: RowShape,
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
) -> Backbone:
    """Groups: embedding, layers, last norm.

    Args
        width: of the tokens and of the features, a multiple of heads
        layers, heads: >= 1
        dropout: in [0, 1)
    """
    require_rows(name, rows, 1, True, "token ids (n, L), whole numbers with 0 for padding")
    require_sizes(name, "width, layers, heads", [width, layers, heads])
    if width % heads or not 0 <= dropout < 1:
        raise DalibError(f"{name}: heads = {heads} must divide width = {width}, and dropout = {dropout} be in [0, 1)")
    module = TextTransformer(rows.ids, rows.shape[0], width, layers, heads, dropout)
    return load_own(Backbone(name, module, width, [module.embedding, *module.layers, module.norm], rows=rows), weights)
