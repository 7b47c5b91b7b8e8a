"""Every descending method's defaults against the best of a small search of its own space, on the development pool.

    python benchmarks/method_search.py search     # default and 5 draws, one task of each pool, one seed
    python benchmarks/method_search.py confirm    # where a draw is ahead: both on other tasks, two seeds
    python benchmarks/method_search.py tables     # -> results/tables/method_search.{md,csv}

Measures what is missing and appends a line per run to results/records/method_search.csv, so it can be interrupted, and
split by `--part 0/2`. `{}` are the defaults of the algorithm's version then, and the others depart from them. The rule
is in docs/recipe.md, and was written before the first run.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recipe_study import POOL, Pool

from dalib.core.errors import DalibError, Diverged
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.registry import ALGORITHMS

HERE = Path(__file__).resolve().parent
OUT, TABLES = HERE.parent / "results" / "records" / "method_search.csv", HERE.parent / "results" / "tables"
FIELDS = ("stage", "algorithm", "version", "setting", "pool", "task", "seed", "accuracy", "held_out", "seconds")
FAMILIES = {"adversarial", "discrepancy", "self-training", "regularisation", "optimal transport", "source-free"}
FAMILIES |= {"normalisation"}
RATES = (0.03, 0.03, 0.01, 0.1)
"""The learning rate is drawn too, half of the time the recipe's."""
DRAWS, GAIN = 5, 2.0
ON_FEATURES = ("mini_office", "caltech", "surf", "digits")
PARTIAL = {"target_classes": ["0:5"]}
OPEN = {"source_classes": ["0:5"], "target_classes": ["0:10"]}
OTHER_WORLDS = {"pada": PARTIAL, "osbp": OPEN}
"""Methods for another relation of classes are searched on Office-Caltech10 under their own protocol."""
LEFT_OUT = {"advent", "cbst", "daformer", "fda", "da_faster", "strong_weak", "detection_teacher"}  # pixels and boxes
LEFT_OUT |= {"dd", "rsd", "dare_gram"}  # regression
LEFT_OUT |= {"mdan", "m3sda", "jcpot"}  # several sources


def methods() -> list[str]:
    """Names of the methods that descend, need no target labels, and have something to search."""
    found = []
    for name in sorted(ALGORITHMS.names()):
        cls = ALGORITHMS.get(name)
        descends = cls.family in FAMILIES and not issubclass(cls, FeatureAlgorithm)
        if descends and cls.space and name not in LEFT_OUT:
            found.append(name)
    return found


def draws(name: str) -> list[dict[str, Any]]:
    """The defaults, then settings drawn evenly from the declared space, each once."""
    cls = ALGORITHMS.get(name)
    rng, space, found = np.random.default_rng(zlib.crc32(name.encode())), cls.space, [{}]
    size = len(set(RATES)) * int(np.prod([len(values) for values in space.values()]))
    defaults = cls.defaults()
    while len(found) < min(DRAWS + 1, size):
        setting = {key: values[rng.integers(len(values))] for key, values in space.items()}
        setting = {key: value for key, value in setting.items() if value != defaults[key]}
        rate = RATES[rng.integers(len(RATES))]
        setting |= {} if rate == RATES[0] else {"lr": rate}
        if setting not in found:
            found.append(setting)
    return found


def cells(name: str, stage: str) -> list[tuple[str, str, int]]:
    """Pool, task and seed of each run: the first task in the search, the second to confirm."""
    if name in OTHER_WORLDS:
        first, second = POOL["caltech"].tasks[:2], POOL["caltech"].tasks[2:]
        return [
            ("caltech", t, s) for t in (first if stage == "search" else second) for s in range(1 + (stage != "search"))
        ]
    if stage == "search":
        return [(pool, POOL[pool].tasks[0], 0) for pool in ON_FEATURES]
    return [(pool, POOL[pool].tasks[1], seed) for pool in ON_FEATURES for seed in (0, 1)]


def measure(name: str, setting: dict[str, Any], pool: str, task: str, seed: int) -> tuple[float, float, float]:
    """Accuracy (open set: h-score) on the target's test rows and on held-out source rows at the end; seconds."""
    from dalib import accuracy, fit

    where: Pool = POOL[pool]
    given = dict(setting)
    rate = {"lr": given.pop("lr")} if "lr" in given else {}
    source, target = task.split("->")
    began = time.perf_counter()
    run = fit(
        where.dataset, source, target, name,
        hparams=given, train=where.train | {"evaluations": 1} | rate, protocol=OTHER_WORLDS.get(name),
        backbone=where.backbone, data=where.data, seed=seed,
    )  # fmt: skip
    took = time.perf_counter() - began
    held = run.fitted.outputs(run.task.validation)
    value = run.opened["h_score"] if run.opened else run.values["target"]
    return value, accuracy(held.logits, held.y), took


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values={"accuracy": "", "held_out": "", "seconds": ""})


def spell(setting: dict[str, Any]) -> str:
    return json.dumps(setting, sort_keys=True)


def means(runs: pd.DataFrame) -> pd.Series:
    """Mean accuracy in per cent by algorithm and setting; a run that diverged counts as 0."""
    return 100 * runs.fillna({"accuracy": 0.0}).groupby(["algorithm", "setting"]).accuracy.mean()


def best_draw(runs: pd.DataFrame, name: str) -> tuple[str, float]:
    """The setting with the best mean in one version's search and what it gains over the defaults, in points."""
    found = means(runs[(runs.stage == "search") & (runs.algorithm == name)])[name]
    return str(found.idxmax()), float(found.max() - found["{}"])


def wanted(stage: str) -> list[tuple[str, dict[str, Any]]]:
    """Methods and settings of a stage; draws in turn, so that a search that is cut short is of equal budget."""
    if stage == "search":
        return [(name, draws(name)[i]) for i in range(DRAWS + 1) for name in methods() if i < len(draws(name))]
    runs, found = read(OUT), []
    for name, version in runs[["algorithm", "version"]].drop_duplicates().itertuples(index=False):
        if version != ALGORITHMS.get(name).version:
            continue
        best, gain = best_draw(runs[runs.version == version], name)
        found += [(name, {}), (name, json.loads(best))] if gain > GAIN else []
    return found


def run_stage(stage: str, part: int, parts: int) -> None:
    """Measure what is missing; a run that diverges is a line without numbers."""
    todo = [(n, s, *cell) for n, s in wanted(stage) for cell in cells(n, stage)]
    if not OUT.exists():
        OUT.write_text(",".join(FIELDS) + "\n")
    for i, (name, setting, pool, task, seed) in enumerate(todo):
        cell = (stage, name, str(ALGORITHMS.get(name).version), spell(setting), pool, task, str(seed))
        have = {tuple(line[k] for k in FIELDS[:7]) for line in csv.DictReader(OUT.open())}
        if i % parts != part or cell in have:
            continue
        try:
            numbers = [f"{x:.4f}" for x in measure(name, setting, pool, task, seed)]
        except Diverged:
            numbers = ["", "", ""]
        with OUT.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([*cell, *numbers])


def write_tables(folder: Path = TABLES) -> None:
    """A line per method: the defaults, the best draw, what it gains, and what it gains where it was not chosen.

    Of a method that was searched again with other defaults, that is another version, a line for each.
    """
    every, lines = read(OUT), []
    for name, version in sorted(set(every[["algorithm", "version"]].itertuples(index=False, name=None))):
        runs = every[every.version == version]
        found = means(runs[(runs.stage == "search") & (runs.algorithm == name)])[name]
        best, gain = best_draw(runs, name)
        line = {"method": f"`{name}`", "settings": len(found), "defaults": found["{}"], "best": found.max()}
        line |= {"gain": gain, "elsewhere": np.nan, "setting": "" if best == "{}" else f"`{best}`"}
        again = runs[(runs.stage == "confirm") & (runs.algorithm == name)]
        if len(again):
            line["elsewhere"] = means(again)[name][best] - means(again)[name]["{}"]
        lines.append(line)
    table = pd.DataFrame(lines).round(1)
    table.to_csv(folder / "method_search.csv", index=False, lineterminator="\n")
    head = ["| " + " | ".join(table.columns) + " |", "|---|" + "---:|" * (len(table.columns) - 2) + "---|"]
    rows = ["| " + " | ".join("" if pd.isna(v) else str(v) for v in row) + " |" for row in table.to_numpy()]
    (folder / "method_search.md").write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")
    print(f"mean gain of the best draw: {table.gain.mean():.2f} points over {len(table)} methods")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["search", "confirm", "tables"])
    parser.add_argument("--part", default="0/1", help="which part of how many, as in 0/2")
    given = parser.parse_args()
    if given.what == "tables":
        write_tables()
    else:
        part, parts = map(int, given.part.split("/"))
        try:
            run_stage(given.what, part, parts)
        except DalibError as e:
            raise SystemExit(str(e)) from e


if __name__ == "__main__":
    main()
