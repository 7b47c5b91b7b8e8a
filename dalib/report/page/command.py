"""A run as the command that does it again."""

from __future__ import annotations

import json
from shlex import quote
from typing import Any

from dalib.records.spec import RunSpec


def train_command(spec: RunSpec) -> str:
    """`dalib train …` with every setting that is not the default's; all hyper-parameters are spelled out.

    The data's place (`--data-root`, or DALIB_DATA) is not part of a run and is left to the reader.
    """
    words = ["dalib", "train", "--dataset", spec.data.dataset, "--source", spec.source, "--target", spec.target]
    words += ["--algorithm", spec.algorithm]
    given: dict[str, dict[str, Any]] = {
        "backbone": spec.backbone.model_dump(exclude={"hash", "options"}) | spec.backbone.options,
        "data": spec.data.model_dump(mode="json", exclude_defaults=True, exclude={"dataset", "fingerprint"}),
        "protocol": spec.protocol.model_dump(mode="json", exclude_defaults=True),
        "train": spec.train.model_dump(mode="json", exclude_defaults=True),
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
