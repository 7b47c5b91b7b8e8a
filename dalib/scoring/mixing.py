"""Several runs as one: the mean of the probabilities that they gave the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Outputs
from dalib.records.record import Candidate, Record
from dalib.scoring.metrics import measure
from dalib.scoring.rescore import count_known, read_outputs

AGREE = 0.02
"""How far the accuracy of stored outputs, which are float16, may lie from the record's own."""


class Arrays(Protocol):
    """A store: records with their arrays, KeyError without."""

    def predictions(self, key: str, /) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class Member:
    """A row's label, its run of one task and seed, and the point of it that counts."""

    label: str
    record: Record
    point: Candidate

    @property
    def what(self) -> str:
        """For messages: `dann (amazon->webcam, seed 0)`."""
        return f"{self.label} ({self.record.spec.task}, seed {self.record.spec.seed})"


def mix_metrics(store: Arrays, members: Sequence[Member]) -> dict[str, float]:
    """`target_<metric>` of mean_m softmax(logits_m) over the members, which are of one task and seed.

    Raises
        DalibError: outputs that are not stored or are no probabilities of classes; other data, rows or classes; stored
            outputs that do not give the record's own accuracy
    """
    first = members[0]
    p, y = _probabilities(store, first)
    total = p
    for member in members[1:]:
        _refuse_other_rows(first, member)
        q, own = _probabilities(store, member)
        if q.shape != p.shape or not torch.equal(own, y):
            raise DalibError(
                f"{member.what} answers other rows or classes than {first.label}; an ensemble needs the same"
            )
        total = total + q
    return _measure(first.record, (total / len(members)).clamp(min=1e-300).log(), y)


def _probabilities(store: Arrays, member: Member) -> tuple[Tensor, Tensor]:
    """p (n, K) float64 and y (n,) of the target's rows at the member's point."""
    record = member.record
    if record.objective != "classification":
        raise DalibError(f"{member.what} answers {record.objective}; an ensemble is a mean of probabilities of classes")
    try:
        algorithm = ALGORITHMS.get(record.spec.algorithm).create(record.spec.algorithm, record.spec.hparams)
    except DalibError as error:
        raise DalibError(
            f"{member.what}: nobody says here whether the scores of {record.spec.algorithm} are log-probabilities "
            f"({error}); a plug-in's file is loaded by --plugin FILE.py (dalib.load_plugin)"
        ) from None
    if not algorithm.probabilistic:
        raise DalibError(f"{member.what} gives no probabilities, so they have no mean; leave it out of the ensemble")
    try:
        arrays = store.predictions(record.key)
        outputs = read_outputs(arrays, f"step_{member.point.step}_target", arrays["target_y"], False)
    except (KeyError, ValueError, TypeError, IndexError):
        raise DalibError(
            f"the outputs of {member.what} are not stored or damaged; run it again in this store"
        ) from None
    assert outputs.y is not None
    p = outputs.logits.double().softmax(1)
    if not bool(p.isfinite().all()):
        raise DalibError(
            f"the stored outputs of {member.what} hold nan, or scores beyond half precision, which give no "
            "probabilities; leave it out of the ensemble"
        )
    if bool((outputs.y < 0).any()):
        raise DalibError(f"{member.what} was tested on rows without labels, so nothing says what an ensemble is worth")
    told, found = member.point.metrics.get("target_accuracy"), _measure(record, outputs.logits, outputs.y)
    if told is not None and abs(found["target_accuracy"] - told) > AGREE:
        raise DalibError(
            f"the stored outputs of {member.what} give an accuracy of {found['target_accuracy']:.3f}, its record says "
            f"{told:.3f}; run it again in this store"
        )
    return p, outputs.y


def _measure(record: Record, logits: Tensor, y: Tensor) -> dict[str, float]:
    known = count_known(record, logits.shape[1])
    return measure(Outputs(logits[:, :0], logits, y), "target", known, "classification", record.spec.protocol.reject)


def _refuse_other_rows(first: Member, other: Member) -> None:
    """DalibError where the runs may have been tested on other rows."""
    a, b = first.record.spec, other.record.spec
    if (a.data.fingerprint, a.data.dataset) != (b.data.fingerprint, b.data.dataset):
        raise DalibError(f"{other.what} and {first.label} are of other data; an ensemble needs the same rows")
    if a.protocol != b.protocol:
        differ = [k for k, v in a.protocol.model_dump().items() if v != getattr(b.protocol, k)]
        raise DalibError(
            f"{other.what} and {first.label} have other protocols ({', '.join(differ)}), so they may be tested on "
            "other rows or have seen other labels; an ensemble needs the same"
        )
