"""One record as the page needs it: few digits, few points, all texts fit to be looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dalib.core.text import show_control
from dalib.records.record import Record
from dalib.report.page.command import train_command

KEPT = ("device", "versions", "python", "host", "threads", "peak_memory_bytes", "warnings")


def pack_record(
    record: Record, metrics: Sequence[str], scores: Sequence[str], classes: Sequence[str], points: int
) -> dict[str, Any]:
    """Candidates as [step, values of `metrics`, values of `scores`]; `points`: of a loss curve, the last one included.

    classes: recall and precision in 1/10 000 and rows, in the order of `classes`; empty where it has none
    """
    packed: dict[str, Any] = {
        "key": record.key[:16], "status": record.status,
        "candidates": [
            [c.step, [digits(c.metrics.get(m), 6) for m in metrics], [digits(c.scores.get(s), 4) for s in scores]]
            for c in record.candidates
        ],
        "seconds": {name: digits(value, 4) for name, value in record.seconds.items()},
    }  # fmt: skip
    if record.warnings:
        packed["warnings"] = record.warnings
    if record.error:
        packed["error"] = record.error.model_dump()
    if record.per_class:
        packed["classes"] = [_class(record.per_class.get(name)) for name in classes]
    if record.curve.get("step"):
        chosen = np.unique(np.linspace(0, len(record.curve["step"]) - 1, points).round().astype(int))
        packed["curve"] = {name: [digits(values[i], 4) for i in chosen] for name, values in record.curve.items()}
    return packed


def pack_setting(record: Record) -> dict[str, Any]:
    """What many records share: the command, less domains and seed, what it ran on, and its rows."""
    spec = record.spec.model_copy(update={"source": "SOURCE_DOMAIN", "target": "TARGET_DOMAIN", "seed": 0})
    kept = {k: record.provenance[k] for k in KEPT if record.provenance.get(k)}
    return {"command": train_command(spec).removesuffix(" --seed 0"), "provenance": kept, "counts": record.counts}


def digits(value: float | None, number: int) -> float | int | None:
    """With so many significant digits; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{number}g}")
    return int(short) if short == int(short) else short


def spell(value: Any) -> Any:
    """The same with every text's control characters spelled out, keys too."""
    if isinstance(value, str):
        return show_control(value)
    if isinstance(value, dict):
        return {show_control(str(k)): spell(v) for k, v in value.items()}
    return [spell(v) for v in value] if isinstance(value, (list, tuple)) else value


def _class(found: dict[str, float] | None) -> list[int] | None:
    if found is None:
        return None
    share = [found.get(f"target_{name}", math.nan) for name in ("recall", "precision")]
    return [round(1e4 * v) if math.isfinite(v) else -1 for v in share] + [int(found.get("n", 0))]
