"""The tables of `recipe_study.py`: mean ranks of the grid, and what every other level changes, with its interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

DRAWS = 2000
CELL = ["pool", "task", "algorithm"]


def pooled(values: pd.Series) -> float:
    """Mean over cells, pools weighing the same."""
    return float(values.groupby("pool").mean().mean())


def interval(values: pd.Series) -> tuple[float, float]:
    """95 % bootstrap interval of `pooled`: cells drawn within their pools."""
    rng, groups = np.random.default_rng(0), [g.to_numpy() for _, g in values.groupby("pool")]
    draws = [np.mean([rng.choice(g, len(g)).mean() for g in groups]) for _ in range(DRAWS)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def table_of_ranks(runs: pd.DataFrame, stage: str, now: str) -> pd.DataFrame:
    """Levels that were measured on every cell, by mean rank; difference in points of accuracy to the level `now`."""
    wide = runs[runs.stage == stage].pivot_table(index=CELL, columns="level", values="accuracy", sort=False)
    wide = wide.dropna(axis=1, thresh=int(wide.count().max())).dropna()
    ranks = wide.rank(axis=1, ascending=False)
    lines = []
    for level in wide.columns:
        low, high = interval(100 * (wide[level] - wide[now]))
        line = {"level": level, "mean rank": pooled(ranks[level]), "accuracy": 100 * pooled(wide[level])}
        line |= {f"- {now}": 100 * pooled(wide[level] - wide[now]), "from": low, "to": high, "cells": len(wide)}
        lines.append(line | {pool: 100 * x for pool, x in wide[level].groupby("pool").mean().items()})
    return pd.DataFrame(lines).sort_values("mean rank").round(2)


def table_of_factors(runs: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Each level against `as it is`, in points of accuracy, with the cells it was measured on, and its time."""
    runs = runs[runs.stage == stage]
    base = runs[runs.factor == "base"].set_index(CELL)
    lines = []
    for (factor, level), group in runs[runs.factor != "base"].groupby(["factor", "level"], sort=False):
        cells = group.set_index(CELL)
        change = 100 * (cells.accuracy - base.accuracy.reindex(cells.index)).dropna()
        low, high = interval(change)
        line = {"factor": factor, "level": level, "difference": pooled(change), "from": low, "to": high}
        line |= {"cells": len(change), **change.groupby("pool").mean().to_dict()}
        lines.append(line)
    order = ["factor", "level", "difference", "from", "to", "cells", *sorted(set(runs.pool))]
    return pd.DataFrame(lines)[order].round(2)


def write_tables(records: Path, folder: Path) -> None:
    runs = pd.read_csv(records)
    tables = {
        "start": table_of_ranks(runs, "start", "kaiming small lr 0.01"),
        "factors": table_of_factors(runs, "factors"),
        "discriminator": table_of_factors(runs, "discriminator"),
        "fine_tuning": table_of_ranks(runs, "fine_tuning", "torch lr 0.01"),
        "long": table_of_ranks(runs, "long", "lr 0.01"),
        "scratch": table_of_ranks(runs, "scratch", "lr 0.03"),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"recipe_{name}.csv", index=False, lineterminator="\n")
        head = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
        rows = ["| " + " | ".join("" if pd.isna(v) else str(v) for v in row) + " |" for row in table.to_numpy()]
        (folder / f"recipe_{name}.md").write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")
