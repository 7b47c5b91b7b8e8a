"""Model selection as a step of reporting: which evaluated point of a run counts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from dalib.bench.record import Candidate, Record
from dalib.core.errors import DalibError, suggest

_WORDS = {
    "last": "last: the model at the end of training, no selection",
    "oracle": "oracle: best epoch by TARGET TEST LABELS, an upper bound, not attainable in practice",
    "source_accuracy": "source_accuracy: epoch with the best accuracy on held-out source images, no target labels",
}


def rules(records: Iterable[Record]) -> tuple[str, ...]:
    """Every selection rule that at least one of the records can answer."""
    found = {name for record in records for candidate in record.candidates for name in candidate.scores}
    return ("last", "oracle", *sorted(found - {"last", "oracle"}))


def check_rule(rule: str, known: Collection[str]) -> None:
    """Raises DalibError naming the rules that the records hold."""
    if rule not in known:
        raise DalibError(
            f"no selection rule named '{rule}'{suggest(rule, known)}; the records hold: {', '.join(sorted(known))}"
        )


def describe_rule(rule: str) -> str:
    """The rule in words, for a caption."""
    return _WORDS.get(rule, f"{rule}: epoch with the highest score of the validator {rule}, no target labels")


def select(record: Record, rule: str, known: Collection[str] | None = None) -> Candidate | None:
    """The candidate that the rule picks; None for a failed run and where every score is absent or nan.

    Args
        rule: `last`, `oracle` (highest target accuracy: reads target labels) or a validator's name; ties go to the
            later step
        known: rules that are legal; default those of this record. Anything else raises DalibError
    """
    if record.status != "ok" or not record.candidates:
        return None
    check_rule(rule, rules([record]) if known is None else known)
    if rule == "last":
        return max(record.candidates, key=lambda candidate: candidate.step)
    scored = [(_score(candidate, rule), candidate.step, candidate) for candidate in record.candidates]
    scored = [entry for entry in scored if not math.isnan(entry[0])]
    return max(scored, key=lambda entry: entry[:2])[2] if scored else None


def _score(candidate: Candidate, rule: str) -> float:
    if rule == "oracle":
        return candidate.metrics.get("target_accuracy", math.nan)
    return candidate.scores.get(rule, math.nan)
