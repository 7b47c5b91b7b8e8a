"""Fine-tune with classifier and features contrasted against a queue of earlier rows of every class."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.hyper import positive, state, whole
from dalib.core.types import Source, Target
from dalib.nn.averaging import move_towards
from dalib.nn.contrastive import contrast_head_and_rows, extend_by_one, push_rows
from dalib.nn.discrepancy import as_float

Self = TypeVar("Self", bound="BiTuning")


class BiTuning(Algorithm):
    """Bi-tuning: cross-entropy, a contrastive cross-entropy of the head and a contrastive loss of projected features.

    loss = CE(logits_s, y_s) + weight * (contrast(h, w_y, h*) + contrast(q, q, u*)),  all of unit length
    contrast(own, query, keys) = -mean over keys of the row's class of log softmax_keys(query · keys / temperature),
    where own · w_y or own · u is one more key of its class
    h = [z, 1], w = [weight, bias] of the head, constant; q = projector(z); h*, u, u*: h and q of a second encoder
    e := a e + (1 - a) network,  a = min(1 - 1 / n, momentum) at the n-th step;  keys: this batch's and earlier ones

    Shapes
        x (B, *S), z (B, d), logits (B, K), y (B,); keys (K, queue, d + 1 + projection), which `adapt` fills in
        training mode, when it moves e too
    Reference
        Zhong et al. Bi-tuning of Pre-trained Representations. arXiv:2011.06182, with Transfer-Learning-Library's code
        and defaults. Departures: keys are of the same view as queries, in evaluation mode (there: a second view,
        statistics of the batch); the batch's keys count at once, and empty places do not (there: random rows);
        momentum rises as a plain average's; the projector learns at the rate of new layers.
    """

    family = "fine-tuning"
    objectives = ("classification",)
    paper = "zhong2020bituning"
    uses_target = False
    weight: float = positive(default=1.0, zero=True, search=(0.1, 0.3, 1.0), doc="trade-off of both contrasts")
    queue: int = whole(default=40, search=(8, 24, 40), doc="newest keys of each class that count")
    momentum: float = positive(
        default=0.999, zero=True, below=1, doc="largest part of itself that the second encoder keeps in a step"
    )
    temperature: float = positive(default=0.07, search=(0.07, 0.2), doc="of the softmax")
    projection: int = whole(default=128, doc="width of q and u")
    keys: Tensor = state()
    moves: Tensor = state()

    def build(self, dim: int, outputs: int) -> None:
        self.projector = nn.Linear(dim, self.projection)
        self.encoder = nn.Sequential(*map(copy.deepcopy, self._encoding())).requires_grad_(False).eval()
        self.register_buffer("keys", torch.zeros(outputs, self.queue, dim + 1 + self.projection))
        self.register_buffer("moves", torch.zeros(()))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), (self.encoder, 0.0)]

    def train(self: Self, mode: bool = True) -> Self:
        super().train(mode)
        if hasattr(self, "encoder"):
            self.encoder.eval()
        return self

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        if self.training:
            self.moves += 1
            move_towards(self.encoder, self._encoding(), (1 / self.moves).clamp(min=1 - self.momentum))
        y, new = source.y, self._encode(source.x)
        queue = push_rows(self.keys, new, y)
        if self.training:
            self.keys = queue
        h, q = extend_by_one(source.z), normalize(self.projector(source.z), dim=1)
        weight, bias = self.network.head.parameters()
        w = normalize(torch.cat([weight, bias[:, None]], 1).detach(), dim=1)
        of_head, of_rows = contrast_head_and_rows(h, q, w, new[:, h.shape[1] :], queue, y, self.temperature)
        return {"head_contrast": self.weight * of_head, "projection_contrast": self.weight * of_rows}

    def _encoding(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        return self.network.backbone, self.network.bottleneck, self.projector

    @torch.no_grad()
    def _encode(self, x: Tensor) -> Tensor:
        """The rows' keys [h, u] (B, d + 1 + projection)."""
        z = as_float(self.encoder[:2](x))
        return torch.cat([extend_by_one(z), normalize(self.encoder[2](z), dim=1)], 1)
