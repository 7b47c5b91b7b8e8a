"""Numbers that others published, shown below ours and never ranked with them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from dalib.core.protocol import labels_of
from dalib.report.table import ResultTable, TableRow

_DOMAINS = {
    "office31": {"A": "amazon", "D": "dslr", "W": "webcam"},
    "digits": {"M": "mnist", "U": "usps"},
}
_PROTOCOLS = {
    "digits": "theirs train on MNIST's training images, or on 2 000 and 1 800 images, and most test on test splits "
    "(ours: MNIST is its 10 000 test images, USPS all of its images, adapted and tested on the same target images)"
}
"""What else differs, where it is known."""
_ALIASES = {"dan": "mmd"}
"""Published method -> our algorithm, where the names differ."""
_KEYS = ["dataset", "backbone", "algorithm", "method", "kind", "reported_by", "checked"]


@lru_cache(maxsize=1)
def _read() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("published.csv"))


def published_rows(dataset: str, backbone: str | None = None) -> pd.DataFrame:
    """Published accuracies in %, one row per method and source; empty for a data set without any.

    Columns: dataset, backbone, algorithm (our name for the method), method, kind (`paper` or `rerun`), reported_by,
    checked, one per task (`amazon->webcam`, …), average. Not reported = nan.

    checked: against what the numbers were held: `source` (the one named), `printed by …` (a table of others),
    `average in …` (the tasks were not) or `no` (nothing that can be named)
    """
    table = _read()
    table = table[table["dataset"] == dataset]
    if backbone is not None:
        table = table[table["backbone"] == backbone]
    letters = _DOMAINS.get(dataset, {})
    tasks = {f"{s}-{t}": f"{letters[s]}->{letters[t]}" for s in letters for t in letters if s != t}
    table = table.assign(algorithm=table["method"].replace(_ALIASES)).rename(columns=tasks)
    return table[[*_KEYS, *tasks.values(), "average"]].reset_index(drop=True)


def is_checked(checked: str) -> bool:
    """Whether the numbers of all tasks were read where they are printed."""
    return not checked.startswith(("no", "average"))


def add_published(table: ResultTable) -> ResultTable:
    """The table with a block of the published rows of its algorithms and a note on what differs in protocol.

    The average of a published row is over the tasks of this table; nan unless all of them are reported.
    """
    if table.metric != "target_accuracy":
        return replace(table, published_note=f"Published numbers are accuracies, not {table.metric}: none are shown.")
    rows = published_rows(table.dataset)
    if rows.empty:
        return replace(table, published_note=f"No published numbers are kept for {table.dataset}.")
    names = {_published_name(row) for row in (*table.rows, *table.references)}
    rows = rows[rows["algorithm"].isin(names)]
    tasks = [column.name for column in table.columns]
    rows = rows.reindex(columns=[*_KEYS, *tasks, "average"])
    everything = set(tasks) == {name for name in published_rows(table.dataset).columns if "->" in name}
    if not everything:
        rows = rows.assign(average=np.asarray(rows[tasks], dtype=float).mean(axis=1))
    if rows.empty:
        return replace(table, published_note=f"No published numbers on {table.dataset} for these algorithms.")
    return replace(table, published=rows.reset_index(drop=True), published_note=_differences(table, rows, everything))


def _published_name(row: TableRow) -> str:
    return "target_only" if labels_of(row.protocol) == "target" and row.algorithm == "source_only" else row.algorithm


def _differences(table: ResultTable, rows: pd.DataFrame, everything: bool) -> str:
    theirs, ours = " / ".join(sorted(set(rows["backbone"]))), " / ".join(table.backbones) or "none yet"
    data = "full data set, ours a partial copy" if table.partial else "full data set"
    data = _PROTOCOLS.get(table.dataset, data)
    parts = [
        f"Published numbers are not comparable one to one: backbone {theirs} fine-tuned end to end (ours: {ours})",
        f"most choose the epoch on target test labels (ours: selection '{table.select}')",
        f"{data}, other seeds and recipes",
    ]
    if not everything:
        parts.append("their average here is over the tasks shown")
    if not all(map(is_checked, rows["checked"])):
        parts.append("° was not read where it was printed")
    remarks = sorted(name for name in set(rows["reported_by"]) if "(" in name)
    return f"{'; '.join(parts)}." + (f" Sources: {'; '.join(remarks)}." if remarks else "")
