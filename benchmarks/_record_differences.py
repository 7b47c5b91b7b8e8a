"""How one result of a run differs from another of the same run: accuracies, curves term by term, scores, failures.

A result is a dictionary with a record's `status`, `error`, `candidates`, `curve`, `per_class` and `counts`;
`predictions` (name -> sha256 of an array) is compared where each side has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

KINDS = ("identical", "scores differ", "curves differ", "accuracies differ", "failures differ")
LABEL_FREE = ("_predicted_classes", "_effective_classes")
"""Metrics that count as scores: as validators' scores do, those of some records come from outputs kept as float16."""


@dataclass
class Difference:
    """What `compare` saw.

    Attributes
        kind: one of KINDS, the gravest that applies
        accuracy: largest difference of a candidate's metric, else of a class's, in [0, 1]; `metric` is its name
        curve: largest difference of a term, relative to the term's largest size; `term` is its name
        score: largest difference of a score or LABEL_FREE metric, relative to the larger size; `validator` is its name
        renamed: old name of a term -> the name under which its values stand now
        notes: everything else that is not as it was, a few words each
    """

    kind: str = "identical"
    accuracy: float = 0.0
    metric: str = ""
    curve: float = 0.0
    term: str = ""
    score: float = 0.0
    validator: str = ""
    renamed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def largest(self) -> str:
        """The three differences in words, without those that are none."""
        parts = [f"{100 * self.accuracy:.3f} points ({self.metric})" if self.accuracy else ""]
        parts += [f"{self.curve:.1e} ({self.term})" if self.curve else ""]
        parts += [f"{self.score:.1e} ({self.validator})" if self.score else ""]
        return ", ".join(part for part in parts if part)

    def say(self, kind: str) -> None:
        """Keep the graver of what is known and what is new."""
        self.kind = max(self.kind, kind, key=KINDS.index)


def pool(results: list[Difference]) -> Difference:
    """The largest differences of several runs."""
    gap = max(results, key=lambda result: result.accuracy)
    curve = max(results, key=lambda result: result.curve)
    score = max(results, key=lambda result: result.score)
    return Difference(
        max((result.kind for result in results), key=KINDS.index),
        gap.accuracy, gap.metric, curve.curve, curve.term, score.score, score.validator,
    )  # fmt: skip


def compare(before: dict[str, Any], after: dict[str, Any]) -> Difference:
    """The difference between two results of one run."""
    result = Difference()
    _compare_status(before, after, result)
    _compare_metrics(before, after, result)
    _compare_curves(before["curve"], after["curve"], result)
    for name in sorted(before["counts"].keys() | after["counts"].keys()):
        old, new = before["counts"].get(name), after["counts"].get(name)
        if old is not None and old != new:
            result.notes.append(f"counts.{name} {old} is now {new}")
    old, new = before.get("predictions") or {}, after.get("predictions") or {}
    other = [name for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]
    if other:
        result.say("scores differ")
        result.notes.append(f"predictions differ: {', '.join(other[:3])}{' …' if other[3:] else ''}")
    gone = sorted(old.keys() - new.keys()) if new else []
    if gone:
        result.say("scores differ")
        result.notes.append(f"predictions gone: {', '.join(gone[:3])}{' …' if gone[3:] else ''}")
    return result


def _compare_status(before: dict[str, Any], after: dict[str, Any], result: Difference) -> None:
    old, new = (_failure(side) for side in (before, after))
    if old[:2] != new[:2]:
        result.say("failures differ")
        result.notes.append(f"{old[0] or 'ok'} is now {new[0] or 'ok'}: {new[2][:200]}")
    elif old[2] != new[2]:
        result.notes.append(f"message '{old[2][:100]}' is now '{new[2][:100]}'")


def _failure(side: dict[str, Any]) -> tuple[str, int | None, str]:
    """(type of the error or an empty string, its step, its message)."""
    error = side["error"] or {}
    return error.get("type", ""), error.get("step"), error.get("message", "")


def _compare_metrics(before: dict[str, Any], after: dict[str, Any], result: Difference) -> None:
    steps = [[candidate["step"] for candidate in side["candidates"]] for side in (before, after)]
    if steps[0] != steps[1]:
        result.say("accuracies differ")
        result.notes.append(f"candidates at steps {steps[0]} are now at {steps[1]}")
        return
    for old, new in zip(before["candidates"], after["candidates"], strict=True):
        _compare_values(_accuracies(old), _accuracies(new), "", result)
        now = {**new["metrics"], **new["scores"]}
        for name, value in {**old["metrics"], **old["scores"]}.items():
            gap = _relative(value, now.get(name, math.nan)) if name in old["scores"] or name.endswith(LABEL_FREE) else 0
            if gap:
                result.say("scores differ")
            if gap > result.score:
                result.score, result.validator = gap, name
    per_class = {} if result.accuracy else before["per_class"]
    for name, values in per_class.items():
        _compare_values(values, after["per_class"].get(name, {}), f"{name}: ", result)


def _accuracies(candidate: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in candidate["metrics"].items() if not name.endswith(LABEL_FREE)}


def _compare_values(old: dict[str, float], new: dict[str, float], prefix: str, result: Difference) -> None:
    gone = sorted(old.keys() - new.keys())
    if gone:
        result.say("accuracies differ")
        result.notes.append(f"{prefix}{', '.join(gone)} gone")
    for name in old.keys() & new.keys():
        gap = _absolute(old[name], new[name])
        if gap:
            result.say("accuracies differ")
        if gap > result.accuracy:
            result.accuracy, result.metric = gap, prefix + name


def _compare_curves(old: dict[str, list[float]], new: dict[str, list[float]], result: Difference) -> None:
    """Terms of one name, then terms of other names with equal values, then what is left."""
    lost = [name for name in old if name not in new]
    added = [name for name in new if name not in old]
    for name in list(lost):
        twin = next((other for other in added if _same(old[name], new[other])), None)
        if twin is not None:
            result.renamed[name] = twin
            lost.remove(name)
            added.remove(twin)
    if len(lost) == len(added) == 1:
        result.renamed[lost[0]] = added[0]
        lost, added = [], []
    if lost or added:
        result.say("curves differ")
        text = f"terms {', '.join(lost) or 'none'} are now {', '.join(added) or 'none'}"
        sums = [_total(curve, names) for curve, names in ((old, lost), (new, added))]
        gap = _curve_gap(*sums) if lost and added else math.inf
        result.notes.append(text + (f", their sums within {gap:.1e}" if gap < math.inf else ""))
    for name, values in old.items():
        other = new.get(result.renamed.get(name, name))
        if other is None or _same(values, other):
            continue
        result.say("curves differ")
        gap = _curve_gap(values, other)
        if gap > result.curve:
            result.curve, result.term = gap, name


def _total(curve: dict[str, list[float]], names: list[str]) -> list[float]:
    return [math.fsum(values) for values in zip(*(curve[name] for name in names), strict=True)]


def _same(old: list[float], new: list[float]) -> bool:
    """Equal number by number, a nan as good as another."""
    return len(old) == len(new) and all(a == b or (a != a and b != b) for a, b in zip(old, new, strict=True))


def _curve_gap(old: list[float], new: list[float]) -> float:
    """Largest difference relative to the largest size; infinite for other lengths."""
    if len(old) != len(new):
        return math.inf
    largest = max((abs(value) for value in (*old, *new) if math.isfinite(value)), default=0.0)
    gap = max((_absolute(a, b) for a, b in zip(old, new, strict=True)), default=0.0)
    return gap / largest if largest else gap


def _absolute(old: float, new: float) -> float:
    if old == new or (old != old and new != new):
        return 0.0
    gap = abs(old - new)
    return gap if math.isfinite(gap) else math.inf


def _relative(old: float, new: float) -> float:
    gap = _absolute(old, new)
    return gap / max(abs(old), abs(new)) if 0 < gap < math.inf else gap


def flatten(spec: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"protocol": {"shots": 3}}` -> `{"protocol.shots": 3}`; hyper-parameters keep their own dots."""
    flat: dict[str, Any] = {}
    for name, value in spec.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def compare_specs(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[str], list[str]]:
    """(fields whose values differ, fields that only one side has), a few words each.

    A data set's path and the file name of weights whose hash is known say where, not what, and do not count.
    """
    old, new = flatten(before), flatten(after)
    for flat in (old, new):
        flat["data.dataset"] = flat["data.dataset"].partition(":")[0]
        if flat.get("backbone.hash"):
            flat.pop("backbone.weights", None)
    other = [
        f"{name} {old[name]} is now {new[name]}" for name in sorted(old.keys() & new.keys()) if old[name] != new[name]
    ]
    single = [f"{name} = {old[name]} gone" for name in sorted(old.keys() - new.keys())]
    single += [f"{name} = {new[name]} added" for name in sorted(new.keys() - old.keys())]
    return other, single
