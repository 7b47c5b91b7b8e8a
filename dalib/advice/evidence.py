"""What the committed tables say about a method: its gain over the baseline, suite by suite.

`evidence.csv` beside this file is what is read, in a checkout as in an installed package, so that advice is the same
everywhere. `python -m dalib.advice.evidence results/tables` writes it again; `make tables` ends with that.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

from dalib.core.errors import DalibError
from dalib.core.files import write_text
from dalib.core.protocol import uses_target_labels

EVIDENCE = Path(__file__).with_name("evidence.csv")
BASELINES = ("source_only", "linear_probe")
"""What gains are over: the first of these that a suite has."""
LEFT_OUT = ("finetune", "digits", "zero_shot", "conditional_map")
"""Suites with one of these in their name train the backbone too, while the advice is about frozen features, or measure
the methods of another suite again on its data."""
OTHER_SETTINGS = {"partial": "partial", "open_set": "open-set"}
"""Suites whose domains do not have the same classes: the setting of their tasks."""
SEVERAL = ("multi_source",)
"""Suites of tasks with several sources."""

Gains = dict[str, dict[str, float]]
"""suite -> row -> points of accuracy over the suite's baseline, mean over its tasks."""


def load_gains(path: Path = EVIDENCE) -> Gains:
    """The gains as `write_evidence` wrote them."""
    gains: Gains = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            gains[row["suite"]][row["row"]] = float(row["gain"])
    return dict(gains)


def read_tables(folder: Path) -> Gains:
    """The gains of every suite whose table `<suite>.csv` is in a folder."""
    files = sorted(folder.glob("*.csv"))
    return {f.stem: g for f in files if not any(w in f.stem for w in LEFT_OUT) and (g := read_table(f))}


def read_table(path: Path) -> dict[str, float]:
    """Rows of one table that use no target labels and have all tasks; empty without a baseline or accuracies."""
    cells: dict[str, dict[str, float]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            plain = row.get("kind") == "run" and row.get("select") == "last"
            plain = plain and not uses_target_labels(row.get("protocol") or "")
            if plain and row.get("metric") == "target_accuracy" and row.get("mean"):
                cells[row["label"]][row["task"]] = float(row["mean"])
    baseline = next((b for b in BASELINES if b in cells), "")
    if not baseline:
        return {}
    tasks = set(cells[baseline])
    means = {label: fmean(of_task.values()) for label, of_task in cells.items() if set(of_task) == tasks}
    return {label: round(mean - means[baseline], 1) + 0.0 for label, mean in means.items() if label != baseline}


def suit(gains: Gains, setting: str, several: bool) -> Gains:
    """The gains in suites of a setting (a value of `facts.SETTINGS`); of those with several sources only for `several`.

    A target without labels is taken as closed-set, which is what its advice is for.
    """
    setting = "closed-set" if setting == "unlabelled" else setting
    return {
        suite: rows
        for suite, rows in gains.items()
        if OTHER_SETTINGS.get(suite, "closed-set") == setting and (several or suite not in SEVERAL)
    }


def rank(labels: Iterable[str], gains: Gains) -> list[str]:
    """Labels by their gain as a share of a suite's largest, mean over the suites that have them, best first.

    Unmeasured ones come last, in their order.
    """
    most = {suite: max((*g.values(), 0.1)) for suite, g in gains.items()}
    shares = {label: [g[label] / most[suite] for suite, g in gains.items() if label in g] for label in labels}
    return sorted(shares, key=lambda label: -fmean(shares[label]) if shares[label] else float("inf"))


def describe(label: str, gains: Gains) -> str:
    """`+12.2 office31_subset, +6.6 office_caltech10` points; what was measured nowhere says so."""
    points = [f"{g[label]:+.1f} {suite}".replace("-", "−") for suite, g in gains.items() if label in g]
    return ", ".join(points) if points else "not in the committed tables"


def write_evidence(tables: Path, path: Path = EVIDENCE) -> None:
    """What the tables of a folder say, into `path`.

    Raises
        DalibError: no table there
    """
    gains = read_tables(tables)
    if not gains:
        raise DalibError(f"no tables with a baseline in {tables}; give the folder that make tables writes")
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(("suite", "row", "gain"))
    out.writerows((suite, label, gain) for suite, rows in gains.items() for label, gain in rows.items())
    write_text(path, text.getvalue())


if __name__ == "__main__":
    write_evidence(Path(sys.argv[1]))
