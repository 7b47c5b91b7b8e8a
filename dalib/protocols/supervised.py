"""A part of the target labelled and no source, tested on the other target rows: an upper bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dalib.core.errors import DalibError
from dalib.core.protocol import Parts, Protocol, ProtocolSpec
from dalib.core.splits import draw_shots, hold_out, pick_per_class, split_validation

if TYPE_CHECKING:
    from dalib.core.types import Domain


class Supervised(Protocol):
    """labelled = `fraction` of the target, target = the same rows, test = the others; there is nothing to adapt to.

    With `split = "shots"` the `shots` rows per class are all that is labelled, none of them kept for validation. With
    `holdout`, test = that part of every target class, whatever is labelled of the others, and `fraction` may be 1.
    """

    labels = "target"
    sweeps = ("shots", "fraction")
    words = "supervised: a part of the target is labelled, tested on the rest"

    def split(self, source: Domain, target: Domain) -> Parts:
        spec, note, validation, test = self.spec, self.note, self.spec.validation, None
        if spec.holdout:
            note = f"{note}:holdout={spec.holdout}"
            test, target = hold_out(target, spec.holdout, self.rng, note)
        if spec.split == "shots":
            labelled, rest = draw_shots(target, spec.shots, self.rng, note)
            validation = 0.0
        else:
            note = f"{note}:fraction={spec.fraction}"
            labelled, rest = self._label(target, note)
        train, held = split_validation(labelled, validation, self.rng, note)
        return Parts(train, train, held, rest if test is None else test)

    def _label(self, target: Domain, note: str) -> tuple[Domain, Domain]:
        """(`fraction` of every class, the others), one of which is left for the test unless a part was held out."""
        fraction, most = self.spec.fraction, 0 if self.spec.holdout else 1
        if fraction == 1 and most:
            raise DalibError(f"fraction = {fraction} is out of range; < 1, or set holdout to test on")
        part, rest = pick_per_class(target, lambda n: min(max(1, round(fraction * n)), n - most), self.rng)
        return target.take(part, note), target.take(rest, f"{note}:rest")

    @classmethod
    def ignored(cls, spec: ProtocolSpec) -> tuple[str, ...]:
        return ("fraction", "validation") if spec.split == "shots" else ("shots",)

    @classmethod
    def target_origin(cls, labelled: Domain) -> int:
        """All labelled rows are target rows."""
        return 0
