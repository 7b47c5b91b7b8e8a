"""The accuracy that was to be expected without labels, beside the one measured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dalib.core.errors import DalibError
from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.report.points import Point, choose_point, group_runs
from dalib.report.scale import Scale

EXPECTED = ("expected", "expected_low", "expected_high", "measured", "held", "n_expected")
"""Columns: means over runs of the expected accuracy, of the ends of its interval and of the accuracy at these points;
in how many runs the interval holds it, of how many."""
NOTE = (
    "Expected: accuracy expected without target labels at the selected points, and its 90 % interval, means over the "
    "runs that have one; measured: their accuracy; inside: runs whose own interval holds it."
)


def expect_rows(
    manifest: Manifest, records: Mapping[str, Record], rule: str, scale: Scale
) -> dict[str, dict[str, float]]:
    """label -> `EXPECTED`, for rows with a run that has one.

    Raises
        DalibError: no record has one
    """
    found: dict[str, dict[str, float]] = {}
    for label, tasks in group_runs(manifest, records).items():
        points = [choose_point(draws, rule, scale) for runs in tasks.values() for draws in runs.values()]
        told = [
            (*p.candidate.expected, p.candidate.metrics["target_accuracy"])
            for p in points
            if isinstance(p, Point) and p.candidate.expected and "target_accuracy" in p.candidate.metrics
        ]
        if told:
            value, low, high, true = np.array(told).T
            held = float(((low <= true) & (true <= high)).sum())
            means = [float(column.mean()) for column in (value, low, high, true)]
            found[label] = dict(zip(EXPECTED, (*means, held, float(len(told))), strict=True))
    if not found:
        raise DalibError(
            f"no record of {manifest.name} has an expected accuracy: it takes classes, probabilities and held-out "
            "source rows (protocol.validation); dalib rescore adds it to older records from their stored outputs"
        )
    return found
