"""What zero-shot methods share: a pretrained classifier, read through what its classes and others are called."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.texts import encode_names
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
