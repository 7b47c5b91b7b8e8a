"""What stored outputs add: confusion matrices, and maps of features before and after."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.report.projection import METHODS, project, thin
from dalib.report.source import RecordSource
from dalib.report.table import ResultTable

ROWS = 250
"""Of each domain in a map."""
MAPS = 12
"""Tasks of which maps are drawn, for t-SNE takes a second each."""


class Arrays:
    """The outputs kept beside records; none in an archive, which holds records only."""

    def __init__(self, source: RecordSource) -> None:
        self._read = getattr(source, "predictions", None)
        self._called: dict[str, tuple[np.ndarray, np.ndarray] | None] = {}

    def of(self, record: Record | None) -> dict[str, np.ndarray]:
        """By name, as `dalib.scoring.rescore` lists them; empty where nothing is kept or it is damaged."""
        if self._read is None or record is None or not record.predictions:
            return {}
        try:
            found: dict[str, np.ndarray] = self._read(record.key)
        except KeyError:
            return {}
        return found

    def called(self, record: Record | None) -> tuple[np.ndarray, np.ndarray] | None:
        """(what every test row is, what it was called at the end of training), numbers of classes.

        None where labels are no classes, or where rows are rejected, for the outputs alone do not tell which.
        """
        if record is None or record.objective != "classification" or not record.candidates:
            return None
        if record.key not in self._called:
            kept = self.of(record) if record.spec.protocol.reject == 1 else {}
            logits, y = kept.get(f"step_{record.candidates[-1].step}_target"), kept.get("target_y")
            sound = logits is not None and y is not None and len(logits) == len(y) and logits.size > 0
            self._called[record.key] = (y.astype(int), logits.argmax(1)) if sound else None  # type: ignore[union-attr]
        return self._called[record.key]


def count_confusions(manifest: Manifest, records: dict[str, Record], arrays: Arrays) -> dict[str, Any]:
    """`row/task` -> [true, called, rows] of what was called so, at the end of training, all seeds together.

    Labels are numbers of the classes as the record lists them; where rows are rejected by `protocol.reject` there is
    no matrix.
    """
    found: dict[str, dict[tuple[int, int], int]] = {}
    for run in manifest.runs:
        told = None if run.draw else arrays.called(records.get(run.key))
        if told is None:
            continue
        place = f"{manifest.labels.index(run.label)}/{manifest.tasks.index(run.task)}"
        pairs, n = np.unique(np.stack(told), axis=1, return_counts=True)
        cell = found.setdefault(place, {})
        for (true, called), rows in zip(pairs.T.tolist(), n.tolist(), strict=True):
            cell[true, called] = cell.get((true, called), 0) + rows
    return {place: [[*pair, n] for pair, n in sorted(cell.items())] for place, cell in found.items()}


def draw_maps(
    table: ResultTable, manifest: Manifest, records: dict[str, Record], arrays: Arrays
) -> list[dict[str, Any]]:
    """Features of the baseline (before) and of the best row (after) on each task, first seed, end of training.

    Points are [x, y] in 0 … 1000 with class and domain (0 = held-out source rows, 1 = target); needs `keep_features`.
    """
    ranked = [row for row in table.rows if row.label != table.baseline and not math.isnan(row.average.mean)]
    ranked.sort(key=lambda row: -table.scale.sign * row.average.mean)
    wanted = [label for label in (table.baseline, ranked[0].label if ranked else "") if label]
    maps = []
    for task in manifest.tasks[:MAPS]:
        for label in wanted:
            runs = [run for run in manifest.runs if (run.label, run.task, run.draw) == (label, task, 0)]
            found = arrays.of(records.get(min(runs, key=lambda run: run.seed).key)) if runs else {}
            last = max((int(n.split("_")[1]) for n in found if n.endswith("_target_z")), default=None)
            if last is None:
                continue
            sides = [(found[f"step_{last}_{side}_z"], found[f"{side}_y"]) for side in ("source", "target")]
            drawn = [(z[i], y[i]) for z, y in sides for i in [thin(len(z), ROWS)]]
            for method in METHODS:
                flat = np.concatenate(project([z for z, _ in drawn], method))
                low, size = flat.min(0), max(float(np.ptp(flat, axis=0).max()), 1e-30)
                points = (1000 * (flat - low) / size).round().astype(int).tolist()
                marks = [[int(c), side] for side, (_, y) in enumerate(drawn) for c in y]
                place = {"row": manifest.labels.index(label), "task": manifest.tasks.index(task), "method": method}
                maps.append(place | {"points": [p + m for p, m in zip(points, marks, strict=True)]})
    return maps
