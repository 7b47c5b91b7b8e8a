"""What one run gets right, class by class."""

from __future__ import annotations

import pandas as pd

from dalib.core.errors import DalibError
from dalib.records.record import Record
from dalib.report.formats.md import escape, markdown_grid
from dalib.report.source import RecordSource

_COLUMNS = ("n", "target_recall", "target_precision", "target_f1")

_HEADS = {
    "n": "n",
    "target_recall": "Recall",
    "target_precision": "Precision",
    "target_f1": "F1",
    "target_iou": "IoU",
    "target_ap": "AP",
    "target_ap50": "AP50",
}


def class_report(record: Record) -> pd.DataFrame:
    """Index class; columns n (test images), target_recall, target_precision, target_f1 in %. Worst recall first.

    Of masks n is the number of pixels, and target_iou is there too. Of boxes n is their number, and the columns are
    target_ap and target_ap50, lowest first.
    Where answers are no classes: index output; columns `target_<metric>` as they are, and n.

    Measured at the end of training. Raises DalibError for a run that failed or holds no classes.
    """
    if record.per_output:
        return pd.DataFrame.from_dict(record.per_output, orient="index").rename_axis("output")
    if not record.per_class:
        raise DalibError(
            f"{record.spec.algorithm} on {record.spec.task}, seed {record.spec.seed}, has no per-class numbers"
            f" (status {record.status}); run it again with --redo failed (redo='failed')"
        )
    columns, boxes = _columns(record), record.objective == "detection"
    table = pd.DataFrame.from_dict(record.per_class, orient="index").reindex(columns=list(columns))
    table = table.rename_axis("class").astype({"n": int})
    table[list(columns[1:])] *= 100
    return table.sort_values(["target_ap", "target_ap50"] if boxes else ["target_recall", "target_f1"], kind="stable")


def _columns(record: Record) -> tuple[str, ...]:
    if record.objective == "detection":
        return ("n", "target_ap", "target_ap50")
    return (*_COLUMNS, "target_iou") if record.objective == "segmentation" else _COLUMNS


def render_classes(record: Record) -> str:
    """`class_report` as a GitHub table with one decimal."""
    spec = record.spec
    title = escape(f"{spec.algorithm}, {spec.task}, seed {spec.seed}")
    if record.per_output:
        table = class_report(record)
        heads = [str(column).removeprefix("target_") for column in table.columns]
        rows = [[escape(str(name)), *(f"{value:.4g}" for value in row)] for name, row in table.iterrows()]
        grid = markdown_grid(["Output", *heads], rows)
        return f"## {title}\n\n{grid}\n\nOf the target's test rows, at the end of training.\n"
    lines = [
        [escape(str(name)), str(int(row["n"])), *(f"{row[column]:.1f}" for column in _columns(record)[1:])]
        for name, row in class_report(record).iterrows()
    ]
    what = {"segmentation": "pixels", "detection": "boxes"}.get(record.objective, "test images")
    grid = markdown_grid(["Class", *(_HEADS[column] for column in _columns(record))], lines)
    first = "AP" if record.objective == "detection" else "recall"
    return f"## {title}\n\n{grid}\n\nIn % of the target's {what}, at the end of training; lowest {first} first.\n"


def find_records(source: RecordSource, suite: str, label: str, task: str) -> list[Record]:
    """The records of one cell, in order of seed. task: `amazon->webcam`. DalibError where the suite has no such cell
    or nothing of it has run."""
    runs = [run for run in source.manifest(suite).runs if run.label == label and run.task == task]
    if not runs:
        raise DalibError(f"suite '{suite}' has no row '{label}' on task '{task}'; see `dalib table {suite}`")
    records = [source.get(run.key) for run in sorted(runs, key=lambda run: run.seed) if run.key in source]
    if not records:
        raise DalibError(f"no run of '{label}' on '{task}' is in the store; run the suite first")
    return records
