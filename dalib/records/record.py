"""What one run left behind: a record for a success and for a failure alike."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dalib.core.protocol import STORED
from dalib.records.spec import RunSpec


class Candidate(BaseModel):
    """The model at one evaluation point.

    step: optimiser steps taken
    metrics: `target_accuracy`, `target_macro_precision|recall|f1`, `source_accuracy` (held-out), … in [0, 1]
    scores: validator name -> score, higher is better; computed without target labels except `oracle`
    expected: target accuracy to expect without labels, and the ends of its interval; None where nothing can be said
    """

    step: int
    metrics: dict[str, float]
    scores: dict[str, float]
    expected: tuple[float, float, float] | None = None


class Failure(BaseModel):
    """type and message of the exception; step and term when a loss diverged; the traceback as text."""

    type: str
    message: str
    step: int | None = None
    term: str | None = None
    traceback: str = ""


class Record(BaseModel):
    """One JSON file of the store.

    candidates: in order of step; the last one is the end of training
    per_class: class name -> {`target_recall`, `target_precision`, `target_f1`, `n`} at the end
    per_output: of answers that are no classes, output -> {`target_<metric>`, `n`} at the end
    objective: what a label is
    curve: `step` and one list per loss term, window means
    seconds: `data`, `fit`, `evaluate`, `total`; wall clock
    warnings: what may have gone wrong all the same (a dead adversary, collapsed predictions), a sentence each
    provenance: versions, device, host, peak memory, time; nothing here changes a number
    predictions: file name beside the record: float16 logits of every candidate, target and held-out source
    """

    model_config = ConfigDict(extra="forbid")

    key: str
    spec: RunSpec
    status: Literal["ok", "failed"]
    candidates: list[Candidate] = Field(default_factory=list)
    per_class: dict[str, dict[str, float]] = Field(default_factory=dict)
    per_output: dict[str, dict[str, float]] = Field(default_factory=dict)
    objective: str = "classification"
    curve: dict[str, list[float]] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    error: Failure | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    predictions: str | None = None

    @classmethod
    def read(cls, text: str | bytes) -> Record:
        """From its JSON; plug-ins that it names need not be registered here.

        One made before there was a choice of initialisation had `kaiming`, not today's default.
        """
        given = text.encode() if isinstance(text, str) else text
        if b'"train"' in given and b'"initialisation"' not in given:
            given = re.sub(rb'"train":\s*\{(?=\s*")', b'"train":{"initialisation":"kaiming",', given, count=1)
        return cls.model_validate_json(given, context=STORED)
