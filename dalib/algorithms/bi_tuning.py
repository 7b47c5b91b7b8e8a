"""Fine-tune with classifier and features contrasted against a queue of earlier rows of every class."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from dalib.algorithms._ranges import require_positive, require_whole
from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.errors import DalibError
from dalib.core.types import Source, Target
from dalib.nn.averaging import move_towards
from dalib.nn.contrastive import contrast_head_and_rows, extend_by_one, push_rows

Self = TypeVar("Self", bound="BiTuning")


class BiTuning(Algorithm):
    """Bi-tuning: cross-entropy, a contrastive cross-entropy of the head and a contrastive loss of projected features.

    loss = CE(logits_s, y_s) + weight * (contrast(h, w_y, h*) + contrast(q, q, u*)),  all of unit length
    contrast(own, query, keys) = -mean over keys of the row's class of log softmax_keys(query · keys / temperature),
    where own · w_y or own · u is one more key of its class
    h = [z, 1], w = [weight, bias] of the head, constant; q = projector(z); h*, u, u*: h and q of a second encoder
    e := a e + (1 - a) network,  a = min(1 - 1 / n, momentum) at the n-th step;  keys: this batch's and earlier ones

    Args
        weight: trade-off of both contrasts, >= 0
        queue: newest keys of each class that count, >= 1
        momentum: largest part of itself that the second encoder keeps in a step, in [0, 1)
        temperature: of the softmax, > 0
        projection: width of q and u, >= 1
    Shapes
        x (B, *S), z (B, d), logits (B, K), y (B,); keys (K, queue, d + 1 + projection)
    Reference
        Zhong et al. Bi-tuning of Pre-trained Representations. arXiv:2011.06182, with Transfer-Learning-Library's code
        and defaults. Departures: keys are of the same view as queries, in evaluation mode (there: a second view,
        statistics of the batch); the batch's keys count at once, and empty places do not (there: random rows);
        momentum rises as a plain average's; the projector learns at the rate of new layers.
    """

    family = "fine-tuning"
    paper = "zhong2020bituning"
    space = {"weight": [0.1, 0.3, 1.0], "queue": [8, 24, 40], "temperature": [0.07, 0.2]}
    uses_target = False
    keys: Tensor
    moves: Tensor

    def __init__(
        self,
        weight: float = 1.0,
        queue: int = 40,
        momentum: float = 0.999,
        temperature: float = 0.07,
        projection: int = 128,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.queue = queue
        self.momentum = momentum
        self.temperature = temperature
        self.projection = projection

    def check(self) -> None:
        require_positive(self, "weight", "momentum", zero=True)
        require_positive(self, "temperature")
        require_whole(self, "queue", "projection")
        if self.momentum >= 1:
            raise DalibError(f"bi_tuning.momentum = {self.momentum!r} is out of range; give a number >= 0 and < 1")

    def build(self, dim: int, num_classes: int) -> None:
        self.projector = nn.Linear(dim, int(self.projection))
        self.encoder = nn.Sequential(*map(copy.deepcopy, self._encoding())).requires_grad_(False).eval()
        self.register_buffer("keys", torch.zeros(num_classes, int(self.queue), dim + 1 + int(self.projection)))
        self.register_buffer("moves", torch.zeros(()))

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [*super().rates(backbone_rate), (self.encoder, 0.0)]

    def train(self: Self, mode: bool = True) -> Self:
        super().train(mode)
        if hasattr(self, "encoder"):
            self.encoder.eval()
        return self

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return self._contrasts(source, self._encode(source.x))

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        self.moves += 1
        move_towards(self.encoder, self._encoding(), (1 / self.moves).clamp(min=1 - self.momentum))
        new = self._encode(source.x)
        minimise(self._contrasts(source, new))
        self.keys = push_rows(self.keys, new, source.y)

    def _contrasts(self, source: Source, new: Tensor) -> Terms:
        y, head, queue = source.y, self.network.head, push_rows(self.keys, new, source.y)
        h, q = extend_by_one(source.z), normalize(self.projector(source.z), dim=1)
        w = normalize(torch.cat([head.weight, head.bias[:, None]], 1).detach(), dim=1)
        of_head, of_rows = contrast_head_and_rows(h, q, w, new[:, h.shape[1] :], queue, y, self.temperature)
        return {
            "classification": cross_entropy(source.logits, y),
            "head_contrast": self.weight * of_head,
            "projection_contrast": self.weight * of_rows,
        }

    def _encoding(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        return self.network.backbone, self.network.bottleneck, self.projector

    @torch.no_grad()
    def _encode(self, x: Tensor) -> Tensor:
        """The rows' keys [h, u] (B, d + 1 + projection)."""
        z = self.encoder[:2](x).float()
        return torch.cat([extend_by_one(z), normalize(self.encoder[2](z), dim=1)], 1)
