"""Arguments of `AdaptationClassifier`, whose constructor only stores: checked when they are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError
from torch import nn

from dalib.core.backbone import Backbone
from dalib.core.errors import suggest
from dalib.feed.batches import explain_images
from dalib.train.config import TrainConfig
from dalib.train.recipes import lay_over


def check_arguments(standardise: Any, train: Any, backbone: Any) -> None:
    """Raise TypeError for one of another type than it has."""
    if not isinstance(standardise, (bool, np.bool_)):
        raise TypeError(f"standardise = {standardise!r} is neither True nor False")
    if train is not None and not isinstance(train, (TrainConfig, Mapping)):
        raise TypeError(f"train = {train!r} is neither a TrainConfig nor a dictionary of its fields")
    if backbone is not None and not isinstance(backbone, (str, Backbone, nn.Module)):
        raise TypeError(f"backbone = {backbone!r} is neither a name nor a Backbone nor a module (an instance)")


def read_recipe(given: TrainConfig | Mapping[str, Any] | None, default: Mapping[str, Any]) -> TrainConfig:
    """A TrainConfig as it is, or one made of a dictionary of its fields, laid over those of the default.

    Raises
        ValueError: a field that there is not, or a value out of range
    """
    if isinstance(given, TrainConfig):
        return given
    try:
        return TrainConfig.model_validate(lay_over(default, given or {}))
    except ValidationError as error:
        first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        raise ValueError(f"train has no field {name!r}{suggest(name, TrainConfig.model_fields)}")
    text = " ".join(first["msg"].removeprefix("Value error, ").removeprefix("Input ").split())
    raise ValueError(f"train: {name} = {first['input']!r} {text}" if name else f"train: {text}")


def read_seed(given: Any) -> int:
    """A whole number as it is, one drawn from a RandomState, a fresh one for None.

    Raises
        TypeError: anything else
    """
    if given is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(given, np.random.RandomState):
        return int(given.randint(2**31))
    if isinstance(given, (bool, np.bool_)) or not isinstance(given, (int, np.integer)):
        way = "; of a Generator, int(g.integers(2**31))" if isinstance(given, np.random.Generator) else ""
        raise TypeError(f"random_state = {given!r} is neither a whole number nor a RandomState nor None{way}")
    return int(given)


def check_images(*arrays: np.ndarray) -> None:
    """Raise ValueError, with what to do, unless every array is images as a pretrained network takes them."""
    for x in arrays:
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1] != 3 or x.shape[2] != x.shape[3]:
            raise ValueError(f"X {explain_images(x.shape, x.dtype)}")
