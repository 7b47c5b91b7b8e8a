"""Networks by methods of the suites `what_to_try_first_*`, from their committed records.

    python benchmarks/first_tables.py             # -> results/tables/what_to_try_first.{md,csv}
    python benchmarks/first_tables.py seconds     # time every method in one go -> results/records/first_seconds.csv

Records were made on several days beside other work, so their seconds do not compare; keep the machine quiet for these.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from dalib.records.archive import Archive

RESULTS = Path(__file__).resolve().parent.parent / "results"
SETS = {"office31": "Office-31 W795/A1000 subset", "office_caltech10": "Office-Caltech10"}
NETWORKS = ("mobilenet_v2", "lite0", "lite2")
SECONDS = RESULTS / "records" / "first_seconds.csv"
Cells = dict[tuple[str, str], dict[int, list[float]]]
"""(network, method) -> seed -> accuracies in % of its tasks."""


def read(name: str) -> tuple[Cells, list[str]]:
    """(accuracies of the last model, tasks)."""
    suite = f"what_to_try_first_{name}"
    archive = Archive(RESULTS / "records" / f"{suite}.jsonl.gz")
    cells: Cells = defaultdict(lambda: defaultdict(list))
    runs = archive.manifest(suite).runs
    for run in runs:
        network = next(n for n in NETWORKS if run.label.startswith(f"{n}_"))
        method, record = run.label.removeprefix(f"{network}_"), archive.get(run.key)
        if record.status != "ok":
            raise SystemExit(f"{suite}: {run.label} {run.task} seed {run.seed} did not succeed")
        cells[network, method][run.seed].append(100 * record.candidates[-1].metrics["target_accuracy"])
    return cells, list(dict.fromkeys(run.task for run in runs))


def time_methods(repeats: int = 3) -> None:
    """Medians of a fit of every method on MobileNetV2's features of the first task, in turn, on one core."""
    from dalib.assemble import RunContext
    from dalib.bench.run import run_one

    suite = "what_to_try_first_office31"
    archive = Archive(RESULTS / "records" / f"{suite}.jsonl.gz")
    runs = [r for r in archive.manifest(suite).runs if r.label.startswith("mobilenet_v2_") and r.seed == 0]
    runs = [r for r in runs if r.task == runs[0].task]
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        for run in runs:
            record, _ = run_one(archive.get(run.key).spec, RunContext(device="cpu", threads=1))
            seconds[run.label.removeprefix("mobilenet_v2_")].append(record.seconds["fit"])
    with SECONDS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("method", "seconds"))
        writer.writerows((method, f"{np.median(found):.3f}") for method, found in seconds.items())


def write_tables() -> None:
    lines, rows = [], []
    with SECONDS.open() as file:
        seconds = {line["method"]: float(line["seconds"]) for line in csv.DictReader(file)}
    for name, title in SETS.items():
        cells, tasks = read(name)
        lines += [f"**{title}**, mean of {', '.join(t.replace('->', '→') for t in tasks)}", ""]
        lines += [f"| method | {' | '.join(NETWORKS)} | fit, s |", "|---|" + "---:|" * (len(NETWORKS) + 1)]
        for method, cost in seconds.items():
            shown = []
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["tables", "seconds"], default="tables")
    if parser.parse_args().what == "seconds":
        time_methods()
    write_tables()


if __name__ == "__main__":
    main()
