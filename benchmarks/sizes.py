"""What every closed form takes at two sizes: seconds, peak memory, or the line with which it is refused.

    OMP_NUM_THREADS=1 python benchmarks/sizes.py [--only kmm] [--limit 4] [--minutes 5] > table.md

Each cell is a process of its own that may take `limit` GB on top of what it holds when libraries are loaded and rows
are drawn. Seconds are of the processor, fit and the prediction of all target rows; memory is how far the largest
resident set lies above its level before the fit. In brackets what `dalib.estimate_cost` said beforehand. Ten classes;
the target is stretched and moved; a method over its minutes is ended.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {"30 000 × 50": (30_000, 50), "5 000 × 2 048": (5_000, 2_048)}
"""Rows of each domain, and columns."""
METHODS: dict[str, dict[str, Any]] = {
    "linear_probe": {},
    "nearest_neighbour": {},
    "pca_map": {},
    "coral": {},
    "subspace_alignment": {},
    "gfk": {},
    "easy_tl": {},
    "sfa": {},
    "tca": {},
    "tca, rbf": {"kernel": "rbf"},
    "tca, rbf, centres = 1000": {"kernel": "rbf", "centres": 1000},
    "jda": {},
    "jda, rbf, centres = 1000": {"kernel": "rbf", "centres": 1000},
    "bda": {},
    "tjm": {},
    "jgsa": {},
    "meda": {},
    "meda, landmarks = 1000": {"landmarks": 1000},
    "ot_map": {},
    "ot_map, block_rows = 1000": {"block_rows": 1000},
    "ot_map, emd, block_rows = 1000": {"method": "emd", "block_rows": 1000},
    "ot_map, class_regularised, block_rows = 1000": {"method": "class_regularised", "block_rows": 1000},
    "ot_map, linear": {"method": "linear"},
    "jdot": {},
    "jdot, block_rows = 1000": {"block_rows": 1000},
    "ot_label_propagation": {},
    "ot_label_propagation, block_rows = 1000": {"block_rows": 1000},
    "jcpot": {},
    "kmm": {},
    "kmm, block_rows = 1000": {"block_rows": 1000},
    "kliep": {},
    "ulsif": {},
    "importance_weighted": {},
    "label_shift": {},
    "bbse": {},
    "feature_augmentation": {},
    "balanced_weighting": {},
    "tradaboost_r2": {},
}


def draw(n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X_s, y_s, X_t, y_t."""
    chance = np.random.default_rng(0)
    means, y = chance.normal(size=(10, d)) * 0.8, chance.integers(0, 10, 2 * n)
    X = (means[y] + 1.5 * chance.normal(size=(2 * n, d))).astype(np.float32)
    move = np.linspace(0.7, 1.4, d, dtype=np.float32)
    return X[:n], y[:n], X[n:] * move + np.float32(0.3), y[n:]


def measure(row: str, size: str, limit: float) -> dict[str, Any]:
    """One cell, in this process."""
    import dalib
    from dalib.core.registry import ALGORITHMS

    warnings.filterwarnings("ignore")
    (n, d), name = SIZES[size], row.split(",")[0]
    X_s, y_s, X_t, y_t = draw(n, d)
    make = lambda: ALGORITHMS.get(name).create(name, METHODS[row])  # noqa: E731
    numbers, several = name == "tradaboost_r2", name == "jcpot"
    few = np.where(np.arange(n) < 100, y_t, -1) if name in ("feature_augmentation", "balanced_weighting") else None
    if numbers:
        y_s, y_t = X_s[:, :3] @ np.ones(3, np.float32), X_t[:, :3] @ np.ones(3, np.float32)
        few = np.where(np.arange(n) < 100, y_t, np.nan)
    kind = dalib.AdaptationRegressor if numbers else dalib.AdaptationClassifier
    small = slice(0, 200)
    kind("linear_probe", device="cpu").fit(X_s[small], y_s[small], X_t[small])
    how: dict[str, Any] = {"X_target": X_t, "y_target": few}
    rows, labels = X_s, y_s
    if several:
        rows, labels = np.concatenate([X_s, X_t]), np.concatenate([y_s, np.full(n, -1)])
        how = {"sample_domain": np.concatenate([1 + np.arange(n) % 2, np.full(n, -3)])}
    told = dalib.estimate_cost(make(), n, n, d, 1 if numbers else 10)
    held = resident("VmSize") * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (int(held + limit * 1e9), resource.RLIM_INFINITY))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, start = resident("VmRSS"), time.process_time()
    found: dict[str, Any] = {"said_seconds": told.seconds, "said_MiB": told.bytes / 2**20}
    try:
        model = kind(make(), device="cpu").fit(rows, labels, **how)
        answers = model.predict(X_t)
    except dalib.DalibError as error:
        return {**found, "refused": str(error)}
    found["right"] = float(np.corrcoef(answers, y_t)[0, 1]) if numbers else float((answers == y_t).mean())
    return {**found, "seconds": time.process_time() - start, "MiB": resident("VmHWM") - before}


def resident(what: str) -> float:
    """VmRSS, VmHWM or VmSize of this process in MiB."""
    with Path("/proc/self/status").open(encoding="ascii") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def spell(cell: dict[str, Any]) -> str:
    """`12 s (10), 300 MiB (350)`, and how much of the target is right."""
    if "refused" in cell:
        return f"refused: {cell['said_MiB'] / 1024:.0f} GiB"
    if "why" in cell:
        return str(cell["why"])
    seconds, said = (
        f"{value:.{0 if value > 99 else 2}{'f' if value > 99 else 'g'}}"
        for value in (cell["seconds"], cell["said_seconds"])
    )
    return f"{seconds} s ({said}), {cell['MiB']:.0f} MiB ({cell['said_MiB']:.0f}), {cell['right']:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="methods that hold this word")
    parser.add_argument("--limit", type=float, default=4.0, help="GB that a process may take")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the processor, after which a method is ended")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        sys.stdout.write(json.dumps(measure(*given.one, given.limit)))
        return
    lines = [f"| method | {' | '.join(SIZES)} |", "|---|" + "---|" * len(SIZES)]
    for row in METHODS:
        if given.only not in row:
            continue
        cells = []
        for size in SIZES:
            command = [sys.executable, __file__, "--limit", str(given.limit), "--one", row, size]
            limit = f'ulimit -t {int(60 * given.minutes)}; exec "$@"'
            done = subprocess.run(
                ["bash", "-c", limit, "_", *command], capture_output=True, text=True, check=False, env=os.environ
            )
            try:
                cell = json.loads(done.stdout[done.stdout.rindex("{") :])
            except ValueError:
                last = (done.stderr.strip().splitlines() or ["no word"])[-1]
                cell = {"why": f"more than {given.minutes:g} min" if done.returncode < 0 else f"fails: {last[:100]}"}
            cells.append(cell)
            sys.stderr.write(f"{row} {size}: {json.dumps(cell)}\n")
        name, *settings = row.split(", ")
        lines.append(f"| {', '.join((f'`{name}`', *settings))} | {' | '.join(map(spell, cells))} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
