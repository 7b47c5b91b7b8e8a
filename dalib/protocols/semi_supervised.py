"""Labelled source and a few labelled target rows per class, tested on the other target rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dalib.core.protocol import Parts, Protocol, ProtocolSpec
from dalib.core.splits import concatenate, draw_shots, hold_out, split_validation

if TYPE_CHECKING:
    from dalib.core.types import Domain


class SemiSupervised(Protocol):
    """labelled = source + `shots` target rows per class, an origin of their own; target = test = the other target rows.

    With `holdout`, test = that part of every target class and the shots are drawn from the others.
    """

    labels = "both"
    words = "semi-supervised: a few target images per class are labelled, tested on the rest"

    def split(self, source: Domain, target: Domain) -> Parts:
        spec, note, test = self.spec, self.note, None
        if spec.holdout:
            note = f"{note}:holdout={spec.holdout}"
            test, target = hold_out(target, spec.holdout, self.rng, note)
        few, rest = draw_shots(target, spec.shots, self.rng, note)
        train, held = split_validation(source, spec.validation, self.rng, note)
        return Parts(concatenate([train, few]), rest, held, rest if test is None else test)

    @classmethod
    def ignored(cls, spec: ProtocolSpec) -> tuple[str, ...]:
        return ("fraction",)

    @classmethod
    def target_origin(cls, labelled: Domain) -> int:
        """The last."""
        return int(labelled.origin.max(initial=0))
