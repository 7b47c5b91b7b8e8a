"""Source-free from a model file against both phases in one fit: target accuracy, mean ± deviation over three seeds.

    python benchmarks/source_free.py office31       # MobileNetV2 frozen, webcam and an amazon subset; DALIB_DATA
    python benchmarks/source_free.py mini_office shot    # tiny frozen, six tasks; needs no data; of these algorithms

Both ways have as many steps on the source (500) and on the target (500), and the same recipe in each.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import dalib
from dalib.core.registry import ALGORITHMS
from dalib.train.continuation import source_free_algorithms

STEPS, SEEDS = 500, (0, 1, 2)
RECIPE = {"lr": 0.1, "augment": "none"}  # as the suites on frozen features
SETS: dict[str, dict[str, Any]] = {
    "office31": {
        "tasks": [("amazon", "webcam"), ("webcam", "amazon")],
        "backbone": {"name": "mobilenet_v2", "weights": "mobilenetv2_imagenet_int8.npz", "frozen": True},
        "data": {"partial": True},
    },
    "mini_office": {
        "tasks": [(s, t) for s in ("amazon", "dslr", "webcam") for t in ("amazon", "dslr", "webcam") if s != t],
        "backbone": {},
        "data": {},
    },
}


def measure(name: str, folder: Path, algorithms: Sequence[str]) -> dict[tuple[str, str], list[list[float]]]:
    """(algorithm, way) -> target accuracy in per cent by task and seed."""
    how, found = SETS[name], {}
    for source, target in how["tasks"]:
        for seed in SEEDS:
            common = {"backbone": how["backbone"], "data": how["data"], "seed": seed, "device": "cpu"}
            start = folder / f"{source}_{target}_{seed}.safetensors"
            run = dalib.fit(name, source, target, "source_only", train=RECIPE | {"steps": STEPS}, out=start, **common)
            cells = {("source_only", "as it is"): run.values["target"]}
            for algorithm in algorithms or source_free_algorithms():
                steps = 2 * STEPS if "pretrain" in ALGORITHMS.get(algorithm).defaults() else STEPS
                both = dalib.fit(name, source, target, algorithm, train=RECIPE | {"steps": steps}, **common)
                cells[algorithm, "both phases"] = both.values["target"]
                result = dalib.adapt(
                    start, name, algorithm, domain=target, train={"steps": STEPS}, seed=seed, device="cpu"
                )
                cells[algorithm, "from a file"] = result.values["accuracy after"]
            for key, value in cells.items():
                found.setdefault(key, {}).setdefault((source, target), []).append(100 * value)
            print(f"{source}->{target} seed {seed}", file=sys.stderr, flush=True)
    return {key: list(tasks.values()) for key, tasks in found.items()}


def main(name: str, *algorithms: str) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = measure(name, Path(folder), algorithms)
    tasks = [f"{s[0].upper()}→{t[0].upper()}" for s, t in SETS[name]["tasks"]]
    print("| algorithm | way |", *(f"{t} |" for t in (*tasks, "mean")))
    print("|---|---|" + "---:|" * (len(tasks) + 1))
    for (algorithm, way), values in found.items():
        cells = [f"{np.mean(v):.1f} ± {np.std(v, ddof=1):.1f}" for v in values]
        print(f"| {algorithm} | {way} |", *(f"{c} |" for c in (*cells, f"{np.mean(values):.1f}")))


if __name__ == "__main__":
    main(*sys.argv[1:])
