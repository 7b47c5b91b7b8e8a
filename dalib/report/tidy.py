"""One line per row and task, for pandas."""

from __future__ import annotations

import math

import pandas as pd

from dalib.report.published import is_checked
from dalib.report.table import ResultTable, TableRow

COLUMNS = (
    "suite", "kind", "label", "algorithm", "protocol", "dataset", "backbone", "pretraining", "task", "source", "target",
    "metric", "select", "mean", "std", "n_ok", "n_expected", "n_failed", "n_missing", "n_unavailable", "reported_by",
)  # fmt: skip


def tidy(table: ResultTable) -> pd.DataFrame:
    """The table as `COLUMNS`.

    kind: `run` (competing), `reference` (uses target labels), `paper` or `rerun` (published by others)
    pretraining: what the row's backbone has seen; `none` from scratch, empty for features and published rows
    label, algorithm, protocol, dataset, backbone, task (`source->target`), source, target: what the numbers belong to;
        of a row without a run backbone is the suite's, or all of them
    metric, select: the metric and the selection rule; empty for published rows, whose rule is theirs
    mean, std: over seeds (ddof 1), in % to 3 decimals, of another unit to 6 digits; empty where there is none
    n_ok, n_expected, n_failed, n_missing, n_unavailable: runs; n_unavailable succeeded but have no score for the rule
    reported_by: source of a published number, and whether it was not read where it was printed
    """
    lines = [_line(table, row, name) for row in (*table.rows, *table.references) for name in row.cells]
    if table.published is not None:
        names = [column.name for column in table.columns]
        for entry in table.published.to_dict("records"):
            shared = {key: entry[key] for key in ("kind", "algorithm", "dataset", "backbone", "reported_by")}
            shared |= {"suite": table.suite, "label": entry["method"]}
            if not is_checked(entry["checked"]):
                shared["reported_by"] += "; not checked"
            lines += [shared | _task(name) | {"mean": entry[name]} for name in names if not math.isnan(entry[name])]
    counts = [name for name in COLUMNS if name.startswith("n_")]
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(dict.fromkeys(counts, "Int64"))


def _line(table: ResultTable, row: TableRow, name: str) -> dict[str, object]:
    cell, scale = row.cells[name], table.scale
    seen = " + ".join(row.backbone.seen) or ("" if row.backbone.name == "identity" else "none")
    begun = any(cell.n_missing < cell.n_expected for cell in row.cells.values())
    backbone = row.backbone.name if begun else "/".join(table.backbones)

    def number(value: float) -> float:
        return round(100 * value, 3) if scale.unit == "%" else float(f"{value:.6g}")

    return {
        "suite": table.suite, "kind": "reference" if row.reference else "run",
        "label": row.label, "algorithm": row.algorithm, "protocol": row.protocol, "dataset": table.dataset,
        "backbone": backbone, "pretraining": seen, "metric": table.metric, "select": table.select,
        "mean": number(cell.mean), "std": number(cell.std),
        "n_ok": cell.n_ok, "n_expected": cell.n_expected, "n_failed": cell.n_failed, "n_missing": cell.n_missing,
        "n_unavailable": cell.n_unavailable, **_task(name),
    }  # fmt: skip


def _task(name: str) -> dict[str, object]:
    source, _, target = name.partition("->")
    return {"task": name, "source": source, "target": target}
