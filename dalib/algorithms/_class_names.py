"""What zero-shot methods share: a text tower, or a pretrained classifier read through what its classes are called."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.hyper import flag, positive, state, text, whole
from dalib.core.text_tower import check_prompts, encode_classes, refuse_twins
from dalib.core.texts import SENTENCES, SPELLING, encode_names, settle_encoder
from dalib.core.types import Domain
from dalib.nn.propagation import propagate_labels
from dalib.nn.semantics import combine_semantics, scale_cosines

READER = ("head_weight", "head_bias", "known_names", "asked_names")
"""The buffers in which a reader of a pretrained classifier lies."""
TEXTS = ("text_features", "logit_scale")
"""The same of a text tower."""
OF_HEADS = ("top", "encoder", "temperature")
"""Hyper-parameters that say how a pretrained classifier is read; `prompts` is a text tower's."""


def make_reader(algorithm: Algorithm, classes: Sequence[str], encoder: str, prompts: str) -> dict[str, Tensor]:
    """Features of the class names by the text tower and its scale, if the backbone has one, as buffers by name.

    Else the pretrained head and the vectors of both kinds of names.

    Raises
        DalibError: neither tower nor head, a head whose classes have no names, another number of names than of outputs,
            a name that tower or encoder does not know, two that are the same to it, a setting that means nothing for
            what the backbone has
    """
    head, name, tower = algorithm.network.pretrained_head, algorithm.name_for_people(), algorithm.network.text_tower
    if len(classes) != algorithm.network.outputs:
        raise DalibError(
            f"{name}: {len(classes)} class names for a network of {algorithm.network.outputs} outputs; each needs one"
        )
    _refuse_idle(algorithm, tower is not None)
    if tower is not None:
        t = encode_classes(tower.to(algorithm.network.device), classes, prompts)
        return {"text_features": t, "logit_scale": torch.tensor(tower.scale).to(t)}
    known = algorithm.network.pretrained_classes
    if head is None:
        raise DalibError(
            f"{name} reads the classifier that the backbone was pretrained with, and there is none; use resnet50, "
            "mobilenet_v2 or timm:MODEL with weights = 'imagenet' or a file of the whole network, or a backbone with a "
            "text tower: clip with weights = 'FOLDER' or open_clip:MODEL with weights = 'FILE'"
        )
    if len(known) != head.out_features:
        raise DalibError(
            f"{name}: nobody says what the {head.out_features} classes of the pretrained head are called; if they are "
            "ImageNet's, say backbone.pretraining = imagenet-1k (in Python: Backbone.head_classes = their names)"
        )
    weight = head.weight.detach().clone().to(algorithm.network.device)
    bias = weight.new_zeros(len(weight)) if head.bias is None else head.bias.detach().clone().to(weight)
    asked = refuse_twins(encode_names(classes, encoder), classes, f"the encoder {encoder.partition('#')[0]}")
    names = (encode_names(known, encoder).to(weight), asked.to(weight))
    return dict(zip(READER, (weight, bias, *names), strict=True))


def _refuse_idle(algorithm: Algorithm, tower: bool) -> None:
    """DalibError for a setting of which nothing depends here."""
    for setting in OF_HEADS if tower else ("prompts",):
        hyper = algorithm.hypers.get(setting)
        if hyper is not None and getattr(algorithm, setting) != hyper.default:
            reads = "its text tower, so this setting" if tower else "a pretrained classifier: no text tower, so this"
            raise DalibError(
                f"{algorithm.name_for_people()}.{setting} = {getattr(algorithm, setting)!r}: the backbone reads class "
                f"names by {reads} changes nothing; leave it out"
            )


def kept_reader(algorithm: Algorithm) -> dict[str, Tensor]:
    """The reader that lies in an algorithm's buffers."""
    buffers = dict(algorithm.named_buffers(recurse=False))
    return {name: buffers[name] for name in (*READER, *TEXTS) if name in buffers}


def read(reader: dict[str, Tensor], z: Tensor, top: int, temperature: float) -> Tensor:
    """The backbone's features (n, d) -> logits of the classes asked for (n, K): cosines, scaled."""
    if "text_features" in reader:
        return scale_cosines(z, reader["text_features"].to(z), reader["logit_scale"].to(z))
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
    prompts: str = text(default="ensemble", doc="of a text tower, as in zero_shot", last=True)
    prior: Tensor | None = state()

    def check(self) -> None:
        super().check()
        check_prompts(self.prompts)

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
            reader = make_reader(self, trainer.labelled.classes, self.encoder, self.prompts)
            z = trainer.embed(self, target).double()
            with torch.no_grad():
                p = read(reader, z, self.top, self.temperature).softmax(1)
            self.prior = self.hand_on(p, z).float().to(self.network.device)
