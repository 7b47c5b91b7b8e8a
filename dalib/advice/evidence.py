"""What the committed tables say about a method: its gain over the baseline, suite by suite.

In a checkout `results/tables/*.csv` is read as it is; an installed package has a copy of what they said when
`python -m dalib.advice.evidence` was last run.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean

from dalib.core.files import write_text

TABLES = Path(__file__).resolve().parents[2] / "results" / "tables"
COPY = Path(__file__).with_name("evidence.csv")
BASELINES = ("source_only", "linear_probe")
"""What gains are over: the first of these that a suite has."""
END_TO_END = ("finetune", "digits")
"""Suites with one of these in their name train the backbone too; the advice is about frozen features."""

Gains = dict[str, dict[str, float]]
"""suite -> row -> points of accuracy over the suite's baseline, mean over its tasks."""


def load_gains(tables: Path = TABLES) -> Gains:
    """From the tables where they are, else from the copy."""
    files = sorted(tables.glob("*.csv"))
    if files:
        return {f.stem: g for f in files if not any(w in f.stem for w in END_TO_END) and (g := read_table(f))}
    gains: Gains = defaultdict(dict)
    with COPY.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            gains[row["suite"]][row["row"]] = float(row["gain"])
    return dict(gains)


def read_table(path: Path) -> dict[str, float]:
    """Rows of one table that use no target labels and have all tasks; empty without a baseline or accuracies."""
    cells: dict[str, dict[str, float]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            plain = row.get("kind") == "run" and row.get("protocol") == "uda" and row.get("select") == "last"
            if plain and row.get("metric") == "target_accuracy" and row.get("mean"):
                cells[row["label"]][row["task"]] = float(row["mean"])
    baseline = next((b for b in BASELINES if b in cells), "")
    if not baseline:
        return {}
    tasks = set(cells[baseline])
    means = {label: fmean(found.values()) for label, found in cells.items() if set(found) == tasks}
    return {label: round(mean - means[baseline], 1) + 0.0 for label, mean in means.items() if label != baseline}


def rank(labels: Iterable[str], gains: Gains) -> list[str]:
    """Labels by their gain as a share of a suite's largest, mean over the suites that have them, best first.

    Unmeasured ones come last, in their order.
    """
    most = {suite: max((*g.values(), 0.1)) for suite, g in gains.items()}
    found = {label: [g[label] / most[suite] for suite, g in gains.items() if label in g] for label in labels}
    return sorted(found, key=lambda label: -fmean(found[label]) if found[label] else float("inf"))


def describe(label: str, gains: Gains) -> str:
    """`+12.2 office31_subset, +6.6 office_caltech10` points; what was measured nowhere says so."""
    found = [f"{g[label]:+.1f} {suite}".replace("-", "−") for suite, g in gains.items() if label in g]
    return f"{', '.join(found)}" if found else "not in the committed tables"


def write_copy(gains: Mapping[str, Mapping[str, float]], path: Path = COPY) -> None:
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(("suite", "row", "gain"))
    out.writerows((suite, label, gain) for suite, rows in gains.items() for label, gain in rows.items())
    write_text(path, text.getvalue())


if __name__ == "__main__":
    write_copy(load_gains(Path(sys.argv[1]) if len(sys.argv) > 1 else TABLES))
