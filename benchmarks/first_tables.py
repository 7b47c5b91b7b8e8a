"""Networks by methods of the suites `what_to_try_first_*`, from their committed records.

python benchmarks/first_tables.py                     # -> results/tables/what_to_try_first.{md,csv}
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from dalib.records.archive import Archive

RESULTS = Path(__file__).resolve().parent.parent / "results"
SETS = {"office31": "Office-31 W795/A1000 subset", "office_caltech10": "Office-Caltech10"}
NETWORKS = ("mobilenet_v2", "lite0", "lite2")
Cells = dict[tuple[str, str], dict[int, list[float]]]
"""(network, method) -> seed -> accuracies in % of its tasks."""


def read(name: str) -> tuple[Cells, dict[str, list[float]], list[str]]:
    """(accuracies of the last model, seconds of a method's fits, tasks)."""
    suite = f"what_to_try_first_{name}"
    archive = Archive(RESULTS / "records" / f"{suite}.jsonl.gz")
    cells: Cells = defaultdict(lambda: defaultdict(list))
    seconds: dict[str, list[float]] = defaultdict(list)
    runs = archive.manifest(suite).runs
    for run in runs:
        network = next(n for n in NETWORKS if run.label.startswith(f"{n}_"))
        method, record = run.label.removeprefix(f"{network}_"), archive.get(run.key)
        if record.status != "ok":
            raise SystemExit(f"{suite}: {run.label} {run.task} seed {run.seed} did not succeed")
        cells[network, method][run.seed].append(100 * record.candidates[-1].metrics["target_accuracy"])
        seconds[method].append(record.seconds["fit"])
    return cells, seconds, list(dict.fromkeys(run.task for run in runs))


def main() -> None:
    lines, rows = [], []
    for name, title in SETS.items():
        cells, seconds, tasks = read(name)
        lines += [f"**{title}**, mean of {', '.join(t.replace('->', '→') for t in tasks)}", ""]
        lines += [f"| method | {' | '.join(NETWORKS)} | fit, s |", "|---|" + "---:|" * (len(NETWORKS) + 1)]
        for method, fits in seconds.items():
            cost, shown = float(np.median(fits)), []
            for network in NETWORKS:
                means = [float(np.mean(v)) for v in cells[network, method].values()]
                spread = float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")
                shown.append(f"{np.mean(means):.1f} ± {spread:.1f}")
                rows.append(
                    (name, network, method, f"{np.mean(means):.2f}", f"{spread:.2f}", len(means), f"{cost:.2f}")
                )
            lines.append(f"| {method} | {' | '.join(shown)} | {cost:.1f} |")
        lines.append("")
    out = RESULTS / "tables" / "what_to_try_first"
    out.with_suffix(".md").write_text("\n".join(lines))
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("set", "network", "method", "accuracy", "deviation", "seeds", "fit_seconds"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
