"""Model selection as a step of reporting: which evaluated point of a run counts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from scipy.stats import rankdata

from dalib.core.errors import DalibError, suggest
from dalib.records.record import Candidate, Record
from dalib.report.scale import Scale

ENSEMBLE = ("source_accuracy", "ami", "information_maximisation")
"""One validator of each kind: held-out source, structure of the features, certainty and variety of the predictions."""
ACCURACY = Scale()
_WORDS = {
    "ensemble": f"ensemble: point with the best mean rank by {', '.join(ENSEMBLE)}, no target labels",
    "last": "last: the model at the end of training, no selection",
    "oracle": "oracle: best point by TARGET TEST LABELS, an upper bound, not attainable in practice",
    "source_accuracy": "source_accuracy: point with the best accuracy on held-out rows of the labelled domain, "
    "without test labels",
}


def rules(records: Iterable[Record]) -> tuple[str, ...]:
    """Every selection rule that at least one of the records can answer."""
    scored = {name for record in records for candidate in record.candidates for name in candidate.scores}
    ensemble = ("ensemble",) if scored.issuperset(ENSEMBLE) else ()
    return ("last", "oracle", *ensemble, *sorted(scored - {"last", "oracle"}))


def check_rule(rule: str, known: Collection[str]) -> None:
    """Raises DalibError naming the rules that the records hold."""
    if rule not in known:
        raise DalibError(
            f"no selection rule named '{rule}'{suggest(rule, known)}; the records hold: {', '.join(sorted(known))}"
        )


def describe_rule(rule: str, scale: Scale = ACCURACY) -> str:
    """The rule in words, for a caption."""
    if rule == "oracle" and scale != ACCURACY:
        labels = " (TARGET TEST LABELS)" if scale.metric.startswith("target_") else ""
        return f"oracle: best point by {scale.metric}{labels}, an upper bound, not attainable in practice"
    return _WORDS.get(rule, f"{rule}: point with the highest score of the validator {rule}, no target labels")


def select(
    draws: Sequence[Record], rule: str, known: Collection[str] | None = None, scale: Scale = ACCURACY
) -> Candidate | None:
    """The candidate that the rule picks among the points along all draws of one row, task and seed.

    None when no run succeeded and where every score is absent or nan. Collapsed candidates (`is_collapsed`) come last
    whatever their score, except by the oracle and for partial targets (the diversity guard).

    Args
        draws: successful or not; the first is the row as it stands, and `last` is its end
        rule: `last`, `oracle` (the best of the reported metric: reads target labels), `ensemble` or a validator's name;
            ties go to the earlier draw and the later step
        known: rules that are legal; default those of these records. Anything else raises DalibError
        scale: of the reported metric
    """
    check_rule(rule, rules(draws) if known is None else known)
    points = [(n, c) for n, record in enumerate(draws) if record.status == "ok" for c in record.candidates]
    if rule == "last":
        return max((c for n, c in points if n == 0), key=lambda candidate: candidate.step, default=None)
    return pick(points, rule, not any(record.spec.protocol.is_partial for record in draws), scale)


def pick(
    points: Sequence[tuple[int, Candidate]], rule: str, guard: bool = True, scale: Scale = ACCURACY
) -> Candidate | None:
    """The best of (number of the draw, candidate) by a rule other than `last`; None where no score is a number.

    Args
        guard: collapsed candidates come last, except by the oracle
        scale: of the reported metric, which the oracle goes by
    """
    values = score(points, rule, scale)
    free = not guard or rule == "oracle"
    scored = [
        ((free or not is_collapsed(c), value, -n, c.step), c)
        for (n, c), value in zip(points, values, strict=True)
        if not math.isnan(value)
    ]
    return max(scored, key=lambda entry: entry[0])[1] if scored else None


def score(points: Sequence[tuple[int, Candidate]], rule: str, scale: Scale = ACCURACY) -> list[float]:
    """What the rule thinks of each candidate, higher is better; nan where it has no answer."""
    candidates = [c for _, c in points]
    return _ensemble(candidates) if rule == "ensemble" else [_score(c, rule, scale) for c in candidates]


def is_collapsed(candidate: Candidate) -> bool:
    """Its predictions spread over an effective half of the classes or less (metric `effective_classes`).

    Records of before this was measured count as diverse.
    """
    return candidate.metrics.get("target_effective_classes", 1.0) <= 0.5


def _ensemble(candidates: Sequence[Candidate]) -> list[float]:
    """Minus the mean rank of each candidate over the validators of `ENSEMBLE`; nan where one of them has no score."""
    total = np.zeros(len(candidates))
    for name in ENSEMBLE:
        values = np.array([c.scores.get(name, math.nan) for c in candidates])
        total += np.where(np.isnan(values), math.nan, rankdata(-values, method="average", nan_policy="omit"))
    return (-total / len(ENSEMBLE)).tolist()


def _score(candidate: Candidate, rule: str, scale: Scale) -> float:
    if rule == "oracle":
        return scale.sign * candidate.metrics.get(scale.metric, math.nan)
    return candidate.scores.get(rule, math.nan)
