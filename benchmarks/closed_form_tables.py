"""The levels of `closed_form_study.py` against the defaults of their time, as the rule of docs/recipe.md reads them.

python benchmarks/closed_form_tables.py                     # -> results/tables/closed_forms.{md,csv}
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).resolve().parent.parent / "results"
POOLS = ("mini_office", "caltech", "surf", "digits")
HEADER = ("factor", "level", "difference", "low", "high", "rank", *POOLS, "per algorithm", "seconds")
Cells = dict[tuple[str, str, str], tuple[float, float]]
"""(pool, task, algorithm) -> accuracy, seconds."""


def read(path: Path) -> dict[tuple[str, str], Cells]:
    found: dict[tuple[str, str], Cells] = defaultdict(dict)
    with path.open() as f:
        for row in csv.DictReader(f):
            cell = row["pool"], row["task"], row["algorithm"]
            found[row["factor"], row["level"]][cell] = float(row["accuracy"]), float(row["seconds"])
    return dict(found)


def mean_of_pools(values: dict[tuple[str, str, str], float]) -> tuple[float, dict[str, float]]:
    pools: dict[str, list[float]] = defaultdict(list)
    for (pool, _, _), value in values.items():
        pools[pool].append(value)
    means = {pool: float(np.mean(v)) for pool, v in pools.items()}
    return float(np.mean(list(means.values()))), means


def interval(values: dict[tuple[str, str, str], float], draws: int = 2000) -> tuple[float, float]:
    """95 % of bootstrap means: tasks drawn within pools, all algorithms of a task together."""
    tasks: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (pool, task, _), value in values.items():
        tasks[pool][task].append(value)
    rng, means = np.random.default_rng(0), np.zeros(draws)
    for pool in tasks.values():
        rows = list(pool.values())
        picked = rng.integers(len(rows), size=(draws, len(rows)))
        total, count = np.array([sum(r) for r in rows]), np.array([len(r) for r in rows])
        means += total[picked].sum(1) / count[picked].sum(1) / len(tasks)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def rows_of(levels: dict[tuple[str, str], Cells]) -> list[list[str]]:
    base = levels["default", "default"]
    rows = []
    for factor in dict.fromkeys(f for f, _ in levels if f != "default"):
        own = {name: cells for (f, name), cells in levels.items() if f == factor}
        for name, cells in own.items():
            shared = [c for c in cells if c in base]
            differences = {c: cells[c][0] - base[c][0] for c in shared}
            mean, pools = mean_of_pools(differences)
            low, high = interval(differences)
            ranks = {c: float(sum(o[c][0] > cells[c][0] for o in [base, *own.values()] if c in o)) + 1 for c in shared}
            algorithms = sorted({c[2] for c in shared})
            each = {a: mean_of_pools({c: v for c, v in differences.items() if c[2] == a})[0] for a in algorithms}
            slower = np.median([cells[c][1] / max(base[c][1], 1e-3) for c in shared])
            rows.append([
                factor, name, f"{mean:+.2f}", f"{low:+.2f}", f"{high:+.2f}", f"{mean_of_pools(ranks)[0]:.2f}",
                *(f"{pools[p]:+.2f}" if p in pools else "" for p in POOLS),
                ", ".join(f"{a} {v:+.1f}" for a, v in each.items()), f"x {slower:.1f}",
            ])  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--study", type=Path, nargs="+", default=[RESULTS / "records" / "closed_form_study.csv"])
    parser.add_argument("--out", type=Path, default=RESULTS / "tables" / "closed_forms")
    given = parser.parse_args()
    levels: dict[tuple[str, str], Cells] = {}
    for path in given.study:
        for name, cells in read(path).items():
            levels.setdefault(name, {}).update(cells)
    rows = rows_of(levels)
    with given.out.with_suffix(".csv").open("w", newline="") as f:
        csv.writer(f, lineterminator="\n").writerows([HEADER, *rows])
    lines = ["| " + " | ".join(r) + " |" for r in (HEADER, ["---"] * len(HEADER), *rows)]
    given.out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
