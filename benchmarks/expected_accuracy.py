"""How far forecasts of target accuracy are off, and how often their interval holds it, over the records of suites.

    python benchmarks/expected_accuracy.py --store FOLDER SUITE…

Records must keep their outputs (a store, not an archive), held-out source rows included. Of every run the last
candidate counts; `agreement` compares a run with that of the next seed. One table by suite, one by algorithm.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from dalib.core.registry import FORECASTS
from dalib.core.types import Outputs
from dalib.records.store import Store
from dalib.scoring.expected import expected_accuracy


def read_outputs(store: Store, suite: str) -> dict[tuple[str, str, int], tuple[Outputs, Outputs]]:
    """(row, task, seed) -> (held-out source rows, target rows), labels included."""
    found = {}
    for run in store.manifest(suite).runs:
        record = store.get(run.key)
        if record.status != "ok":
            continue
        arrays, start = store.predictions(run.key), f"step_{record.candidates[-1].step}"
        pair = []
        for side in ("source", "target"):
            logits = torch.from_numpy(arrays[f"{start}_{side}"].astype(np.float32))
            pair.append(Outputs(logits[:, :0], logits, torch.from_numpy(arrays[f"{side}_y"].astype(np.int64))))
        found[run.label, run.task, run.seed] = (pair[0], pair[1])
    return found


def measure(store: Store, suite: str) -> Iterator[dict[str, object]]:
    runs = read_outputs(store, suite)
    for (row, task, seed), (source, target) in runs.items():
        later = sorted(s for r, t, s in runs if (r, t) == (row, task) and s != seed)
        second = runs[row, task, next((s for s in later if s > seed), later[0])][1] if later else None
        expected = expected_accuracy(source, target, second)
        if expected is None:
            continue
        true = float((target.logits.argmax(1) == target.y).double().mean())
        errors = {name: abs(value - true) for name, value in expected.forecasts.items()}
        yield {
            "suite": suite, "row": row, "true": true, "source accuracy": abs(expected.source - true), **errors,
            "expected": abs(expected.value - true), "held": expected.low <= true <= expected.high,
            "below": true < expected.low, "width": expected.high - expected.low, "doubted": bool(expected.doubts),
        }  # fmt: skip


def table(frame: pd.DataFrame, by: str) -> str:
    """Mean absolute errors in points, then coverage, width and doubts in per cent."""
    lines = []
    names = ["source accuracy", *FORECASTS.names(), "expected"]
    head = [by, "runs", "accuracy", *names, "interval holds", "lies above", "width", "doubted"]
    lines.append("| " + " | ".join(head) + " |")
    lines.append("|---|" + "---:|" * (len(head) - 1))
    for key, part in frame.groupby(by, sort=False):
        cells = [f"{100 * part[c].astype(float).mean():.1f}" for c in ("true", *names)]
        cells += [f"{100 * part[c].astype(float).mean():.0f}" for c in ("held", "below", "width", "doubted")]
        lines.append(f"| {key} | {len(part)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True)
    parser.add_argument("suites", nargs="+")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    frame = pd.DataFrame([row for suite in given.suites for row in measure(Store(given.store), suite)])
    print(table(frame, "suite"), table(frame, "row"), table(frame, "doubted"), sep="\n\n")


if __name__ == "__main__":
    main()
