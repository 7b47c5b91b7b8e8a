"""Every corner of every search space, once: how far each lies from source-only.

    python benchmarks/search_corners.py --root DATA --store FOLDER [--only mcc,…] [--write TABLE.csv]

A corner is a setting whose numbers are the least or the greatest of their lists; words and switches take every value.
Closed-set methods run on features of a frozen network, the others where they belong: on images, on few target labels,
on partial, open-set or multi-source tasks. One seed: what is looked for are falls of ten points and more.
Accuracies are those of target test labels, on data that suites report: look, but choose no space by them.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dalib.bench.plan import plan
from dalib.bench.runner import run_suite
from dalib.bench.suite import Suite
from dalib.core.registry import ALGORITHMS
from dalib.records.store import Store

MOBILENET = {"name": "mobilenet_v2", "weights": "mobilenetv2_imagenet_int8.npz", "frozen": True}
ON_FEATURES: dict[str, Any] = {
    "dataset": "office_caltech10",
    "tasks": ["amazon->webcam", "caltech->dslr"],
    "backbone": MOBILENET,
    "train": {"steps": 300, "lr": 0.1, "crop": 128, "resize": 128, "augment": "none", "evaluations": 1},
}
ON_IMAGES: dict[str, Any] = {
    "dataset": "mini_office",
    "tasks": ["amazon->webcam"],
    "backbone": {"name": "tiny", "weights": "pretrained"},
    "train": {"steps": 100, "batch_size": 24, "lr": 0.03, "backbone_rate": 0.3, "augment": "flip", "evaluations": 1,
              "channels_last": True},
}  # fmt: skip
FIRST_HALF = {"target_classes": ["0:5"]}
POOLS: dict[str, dict[str, Any]] = {
    "features": ON_FEATURES,
    "images": ON_IMAGES,
    "few labels": {**ON_FEATURES, "protocol": {"name": "semi_supervised", "shots": 3},
                   "tasks": ["amazon->webcam", "webcam->amazon"]},
    "target labels": {**ON_IMAGES, "protocol": {"name": "supervised"}},
    "partial": {**ON_FEATURES, "protocol": FIRST_HALF},
    "open set": {**ON_FEATURES, "metric": "target_h_score",
                 "protocol": {"source_classes": ["0:5"], "target_classes": ["0:10"], "reject": 0.5},
                 "train": {**ON_FEATURES["train"], "lr": 0.01}},
    "sources": {**ON_FEATURES, "tasks": "multi_source"},
}  # fmt: skip
BY_SETTING = {"partial": "partial", "open-set": "open set", "multi-source": "sources"}
BY_NAME = {
    **dict.fromkeys(("fixmatch", "mean_teacher", "co_tuning", "lwf", "stoch_norm"), "images"),
    **dict.fromkeys(("prototypical", "maml", "reptile", "mme", "independent", "joint"), "few labels"),
    **dict.fromkeys(
        ("adapters", "bi_tuning", "bitfit", "bss", "delta", "discriminative_rates", "fine_tune", "gradient_norm",
         "gradual_unfreezing", "l2_sp", "linear_probe", "lora", "lp_ft", "surgical", "wise_ft"),
        "target labels",
    ),
}  # fmt: skip


def pool_of(name: str) -> str:
    cls = ALGORITHMS.get(name)
    return BY_NAME.get(name) or BY_SETTING.get(cls.setting, "features")


def corners(space: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Settings at the ends of every list of numbers, with every word and switch."""
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*map(ends, space.values()))]


def ends(values: list[Any]) -> list[Any]:
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    rest = [v for v in values if v not in numbers or isinstance(v, bool)]
    return [*rest, *sorted({min(numbers), max(numbers)})] if numbers else rest


def rows_of(pool: str, only: set[str]) -> dict[str, dict[str, Any]]:
    """Label -> row: source-only, and for each method its defaults and its corners."""
    rows: dict[str, dict[str, Any]] = {"source_only": {}}
    for name in ALGORITHMS.names():
        cls = ALGORITHMS.get(name)
        if pool_of(name) != pool or not cls.space or (only and name not in only):
            continue
        small = {"hidden": 256} if "hidden" in cls.hypers else {}
        rows[name] = dict(small)
        for setting in corners(cls.space):
            label = name + "".join(f"__{k}_{v}" for k, v in setting.items())
            rows[label.replace(".", "p").replace("-", "m")] = {"algorithm": name, **small, **setting}
    return rows


def measure(pool: str, root: str, store: str, only: set[str]) -> list[dict[str, Any]]:
    """One line per row: its mean over the tasks, and source-only's."""
    rows = rows_of(pool, only)
    if len(rows) == 1:
        return []
    facts = {"name": "corners_" + pool.replace(" ", "_"), "validators": ["source_accuracy"], **POOLS[pool]}
    suite = Suite.model_validate({**facts, "algorithms": rows})
    place = None if suite.dataset == "mini_office" else root
    run_suite(suite, root=place, store=store)
    kept, metric = Store(Path(store).resolve()), suite.metric or "target_accuracy"
    values: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    for run in plan(suite, place).runs:
        record = kept.get(run.key)
        score = record.candidates[-1].metrics[metric] if record.status == "ok" else math.nan
        values.setdefault(run.label, []).append(100 * score)
        seconds[run.label] = seconds.get(run.label, 0) + sum(record.seconds.values())
    base = float(np.mean(values["source_only"]))
    return [
        {"pool": pool, "algorithm": row.get("algorithm", label), "setting": setting_of(row, label),
         "value": round(float(np.mean(values[label])), 1), "source_only": round(base, 1),
         "difference": round(float(np.mean(values[label])) - base, 1), "seconds": round(seconds[label], 1)}
        for label, row in rows.items()
    ]  # fmt: skip


def setting_of(row: dict[str, Any], label: str) -> str:
    if label == row.get("algorithm", label):
        return "defaults"
    return ", ".join(f"{k} = {v}" for k, v in row.items() if k not in ("algorithm", "hidden"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("--store", default="results/corners", help="folder of the records")
    parser.add_argument("--only", default="", help="names of algorithms, with commas; all")
    parser.add_argument("--pools", default=",".join(POOLS), help="of these; all")
    parser.add_argument("--write", help="file for the table as csv")
    given = parser.parse_args()
    only = {name for name in given.only.split(",") if name}
    lines: list[dict[str, Any]] = []
    for pool in given.pools.split(","):
        lines += measure(pool, given.root, given.store, only)
        frame = pd.DataFrame(lines)
        if given.write and len(frame):
            frame.to_csv(given.write, index=False)
    print(frame[frame["difference"] < -10].to_string(index=False))


if __name__ == "__main__":
    main()
