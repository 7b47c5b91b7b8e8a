"""Fine-tune with a weight decay that pulls the backbone to its pretrained weights instead of zero."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm, Terms, TrainerLike
from dalib.core.hyper import positive, state
from dalib.core.types import Domain
from dalib.nn.weights import flatten_weights


class L2SP(Algorithm):
    """L2 penalty with the starting point as its centre.

    loss = CE(logits_s, y_s) + alpha / 2 ||w - w0||² + beta / 2 ||v||²
    w = the backbone's parameters, w0 = their values when training begins, v = parameters of the new layers

    Without a backbone (feature data) the term in alpha is 0.

    Shapes
        logits (B, K), y (B,)
    Reference
        Li et al. Explicit Inductive Bias for Transfer Learning with Convolutional Networks. ICML 2018.
        arXiv:1802.01483. Defaults: Transfer-Learning-Library's. Departures: every parameter counts, biases and norms
        too, as there; the bottleneck is a new layer; the recipe's weight decay acts beside the penalty, and
        weight_decay = 0 leaves the paper's loss.
    """

    family = "fine-tuning"
    paper = "li2018l2sp"
    uses_target = False
    alpha: float = positive(
        default=0.01, zero=True, search=(0.001, 0.01, 0.1, 1.0), doc="weight of the distance from the starting point"
    )
    beta: float = positive(default=0.01, zero=True, search=(0.001, 0.01), doc="weight of the new layers' norm")
    start: Tensor = state()
    begun: Tensor | None = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("start", self._backbone_weights().detach())
        self.register_buffer("begun", None)

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        """Before the first step, since the recipe's batch_norm = "reestimate" changes the weights until then."""
        if self.begun is None:
            self.start = self._backbone_weights().detach()
            self.begun = torch.ones(())

    def penalty(self) -> Terms:
        """The terms of the weights."""
        v = flatten_weights([*self.network.bottleneck.parameters(), *self.network.head.parameters()])
        return {
            "start": self.alpha / 2 * (self._backbone_weights() - self.start).square().sum(),
            "decay": self.beta / 2 * v.square().sum(),
        }

    def _backbone_weights(self) -> Tensor:
        return flatten_weights(self.network.backbone.parameters())
