"""Labelled source, unlabelled target: what unsupervised domain adaptation may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dalib.core.protocol import Parts, Protocol, ProtocolSpec
from dalib.core.splits import draw_shots, split_validation

if TYPE_CHECKING:
    from dalib.core.types import Domain


class UDA(Protocol):
    """labelled = source; target = test = all target rows: transductive, the habit of Office-31.

    With `holdout`, test = that part of the target rows and target = the others (inductive), drawn without looking at
    labels, at least one row on either side. With `split = "shots"`, the `shots` rows per class that other protocols
    label are left out.
    """

    labels = "source"
    rows = ("source, training rows", "source, held-out rows", "target")
    words = "labelled source, unlabelled target, transductive: adapted and tested on the same target images"

    def split(self, source: Domain, target: Domain) -> Parts:
        spec, note = self.spec, self.note
        if spec.split == "shots":
            _, target = draw_shots(target, spec.shots, self.rng, note)
        train, held = split_validation(source, spec.validation, self.rng, note)
        if not spec.holdout:
            return Parts(train, target, held, target)
        order = self.rng.permutation(len(target))
        cut = min(max(1, round(spec.holdout * len(target))), len(target) - 1)
        note = f"{note}:holdout={spec.holdout}"
        seen = target.take(np.sort(order[cut:]), f"{note}:seen")
        return Parts(train, seen, held, target.take(np.sort(order[:cut]), note))

    @classmethod
    def ignored(cls, spec: ProtocolSpec) -> tuple[str, ...]:
        return ("fraction",) if spec.split == "shots" else ("fraction", "shots")

    @classmethod
    def describe(cls, holdouts: Sequence[float]) -> str:
        if not holdouts:
            return cls.words
        parts = " / ".join(f"{part:.0%}" for part in holdouts)
        return (
            f"labelled source, unlabelled target, inductive: tested on {parts} of the target, which is kept out of "
            "adaptation"
        )
