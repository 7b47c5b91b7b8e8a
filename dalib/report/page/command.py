"""A run as the command that does it again."""

from __future__ import annotations

import json
from shlex import quote
from typing import Any

from dalib.records.spec import RunSpec

FILLED = frozenset(
    {"answers", "augment", "backbone_rate", "beta1", "bottleneck", "fourier", "lr", "optimiser", "sampler"}
)
"""Settings of the recipe that a backbone, an algorithm or an objective may fill where a run leaves them open."""


def train_command(spec: RunSpec) -> str:
    """`dalib train …` with every setting that is not the default's; hyper-parameters and `FILLED` are spelled out.

    A setting of `FILLED` that has its default here may be another number where it is left out. The data's place
    (`--data-root`, or DALIB_DATA) is not part of a run and is left to the reader.
    """
    words = ["dalib", "train", "--dataset", spec.data.dataset, "--source", spec.source, "--target", spec.target]
    words += ["--algorithm", spec.algorithm]
    given: dict[str, dict[str, Any]] = {
        "backbone": spec.backbone.model_dump(exclude={"hash", "options"}) | spec.backbone.options,
        "data": spec.data.model_dump(mode="json", exclude_defaults=True, exclude={"dataset", "fingerprint"}),
        "protocol": spec.protocol.model_dump(mode="json", exclude_defaults=True),
        "train": spec.train.model_dump(mode="json", include=set(FILLED))
        | spec.train.model_dump(mode="json", exclude_defaults=True),
        "algorithm": spec.hparams,
    }
    for section, values in given.items():
        words += [part for key, value in values.items() for part in (f"--{section}.{key}", _value(value))]
    words += ["--seed", str(spec.seed)]
    return " ".join(map(quote, words))


def _value(value: Any) -> str:
    """As a suite's file would hold it, but that names need no quotation marks."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except json.JSONDecodeError:
            return value
    return json.dumps(value, ensure_ascii=False)
