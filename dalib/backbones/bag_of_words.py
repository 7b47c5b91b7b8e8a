"""Texts as token ids (n, L), 0 is padding: the mean of the tokens' embeddings, whatever their order, from scratch."""

from __future__ import annotations

from torch import Tensor, nn

from dalib.backbones._scratch import load_own, masked_mean, require_rows, require_sizes
from dalib.core.backbone import Backbone
from dalib.core.rows import RowShape


class BagOfWords(nn.Module):
    """ids (B, L) int64 -> z (B, width), the mean embedding of the ids that are not 0."""

    def __init__(self, ids: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(ids, width, padding_idx=0)

    def forward(self, x: Tensor) -> Tensor:
        return masked_mean(self.embedding(x), x != 0)


PRETRAINING = {"imagenet": ()}
"""Random too: `imagenet` is the general default, and these have none of it."""


def build(name: str, weights: str, rows: RowShape, width: int = 128) -> Backbone:
    """Groups: the embedding.

    Args
        width: of an embedding, >= 1
    """
    require_rows(name, rows, 1, True, "token ids (n, L), whole numbers with 0 for padding")
    require_sizes(name, "width", [width])
    module = BagOfWords(rows.ids, width)
    return load_own(Backbone(name, module, width, [module.embedding], rows=rows), weights)
