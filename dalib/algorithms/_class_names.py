"""What zero-shot methods share: a pretrained classifier, read through what its classes and others are called."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.hyper import flag, positive, state, text, whole
from dalib.core.texts import SENTENCES, SPELLING, encode_names, settle_encoder
from dalib.core.types import Domain
from dalib.nn.propagation import propagate_labels
from dalib.nn.semantics import combine_semantics

READER = ("head_weight", "head_bias", "known_names", "asked_names")
"""The buffers in which a reader lies."""


def make_reader(algorithm: Algorithm, classes: Sequence[str], encoder: str) -> dict[str, Tensor]:
    """The pretrained head and the vectors of both kinds of names, as buffers by name.

    Raises
        DalibError: no pretrained head, one whose classes have no names, another number of names than of outputs, a name
            that the encoder does not know
    """
    head, name = algorithm.network.pretrained_head, algorithm.name_for_people()
    known = algorithm.network.pretrained_classes
    if head is None:
        raise DalibError(
            f"{name} reads the classifier that the backbone was pretrained with, and there is none; use resnet50, "
            "mobilenet_v2 or timm:MODEL with weights = 'imagenet' or a file of the whole network"
        )
    if len(known) != head.out_features:
        raise DalibError(
            f"{name}: nobody says what the {head.out_features} classes of the pretrained head are called; if they are "
            "ImageNet's, say backbone.pretraining = imagenet-1k (in Python: Backbone.head_classes = their names)"
        )
    if len(classes) != algorithm.network.outputs:
        raise DalibError(
            f"{name}: {len(classes)} class names for a network of {algorithm.network.outputs} outputs; each needs one"
        )
    weight = head.weight.detach().clone().to(algorithm.network.device)
    bias = weight.new_zeros(len(weight)) if head.bias is None else head.bias.detach().clone().to(weight)
    names = (encode_names(part, encoder).to(weight) for part in (known, classes))
    return dict(zip(READER, (weight, bias, *names), strict=True))


def read(reader: dict[str, Tensor], z: Tensor, top: int, temperature: float) -> Tensor:
    """The backbone's features (n, d) -> logits of the classes asked for (n, K): cosines over the temperature."""
    weight, bias, known, asked = (reader[name].to(z) for name in READER)
    return combine_semantics(z @ weight.T + bias, known, asked, top) / temperature


class TargetPrior(Algorithm):
    """Knows, from the first pass on, what zero-shot says of every row of the target: `prior` (n, K), a buffer.

    It is computed once, with the backbone's features as they are before training, and handed on among neighbours.
    """

    objectives = ("classification",)
    needs_head = True
    undivided = "the prior is that of all rows of the target"
    trial = {"encoder": SPELLING}
    instead = "neighbours = 0, which compares no rows, or zero_shot"
    neighbours: int = whole(default=10, least=0, doc="rows to which each hands its prior on; 0 = none", last=True)
    alpha: float = positive(default=0.8, zero=True, below=1, doc="part that comes from them", last=True)
    balance: bool = flag(default=True, doc="classes are taken to be about equally frequent")
    top: int = whole(default=10, doc="classes of the pretrained head that are combined", last=True)
    encoder: str = text(default=SENTENCES, settle=settle_encoder, doc="of names, as in zero_shot", last=True)
    temperature: float = positive(default=0.1, doc="divides the cosines, as in zero_shot", last=True)
    prior: Tensor | None = state()

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("prior", None)

    def pairs(self, n_s: int, n_t: int) -> float:
        return 4.0 * n_t * n_t if self.neighbours else 0.0

    def hand_on(self, prior: Tensor, z: Tensor) -> Tensor:
        """Probabilities (n, K) and features (n, d) -> (n, K), float64."""
        if not self.neighbours:
            return prior
        return propagate_labels(prior, z, self.neighbours, self.alpha, self.balance)

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        if self.prior is None or len(self.prior) != len(target):
            reader = make_reader(self, trainer.labelled.classes, self.encoder)
            z = trainer.embed(self, target).double()
            with torch.no_grad():
                p = read(reader, z, self.top, self.temperature).softmax(1)
            self.prior = self.hand_on(p, z).float().to(self.network.device)
