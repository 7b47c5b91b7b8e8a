"""Run committed records again and say which numbers are the same: the check of a change that must not change any.

    python benchmarks/rerun_records.py --runs 200 --most-seconds 60 --csv rerun.csv
    python benchmarks/rerun_records.py --save before.jsonl        # before a change; goes on where it stopped
    python benchmarks/rerun_records.py --save after.jsonl --against before.jsonl     # after it: the same runs
    python benchmarks/rerun_records.py --compare after.jsonl --against before.jsonl  # two files, nothing is run

The draw is seeded: one record of every suite, one of every algorithm, one failure of every suite that has any, the rest
at random. Records are told by suite, row, task, seed and draw, never by key, and data by their fingerprint. Other
processors and versions of torch round otherwise, so the strict test is `--against` a file saved on the same machine.
Algorithms without a committed record are run at their defaults on fine-tuning rows cut to a few steps.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from _record_differences import KINDS, Difference, compare, compare_specs, pool
from _record_draws import KEPT, Drawn, draw_runs, first_of, read_lines, read_records, unrecorded_runs
from rekey_records import RENAMED_HPARAMS

import dalib

RECORDS = Path(__file__).resolve().parent.parent / "results" / "records"
COLUMNS = (
    "suite", "run", "algorithm", "kind", "accuracy", "metric", "curve", "term", "score", "validator", "renamed",
    "notes", "seconds",
)  # fmt: skip


@cache
def find_fault(text: str) -> str:
    """What is wrong with the data of a DataSpec (as JSON) here; an empty string where their fingerprint is right."""
    data = json.loads(text)
    load_data = first_of("dalib.data.catalog:load_data")
    try:
        loaded = load_data(
            data["dataset"], None, partial=data.get("partial", False), normalise=tuple(data.get("normalise", ()))
        )
    except Exception as error:
        return str(error)
    return "" if loaded.fingerprint == data["fingerprint"] else f"{data['dataset']} has another fingerprint here"


def run_again(run: Drawn) -> dict[str, Any]:
    """Result and spec of a run done now through the package's own function for one run."""
    spec_class = first_of("dalib.records.spec:RunSpec", "dalib.bench.spec:RunSpec")
    context_class = first_of(
        "dalib.bench.context:RunContext", "dalib.assemble:RunContext", "dalib.records.context:RunContext"
    )
    run_one = first_of("dalib.bench.run:run_one", "dalib.assemble:run_one", "dalib.bench.runner:run_one")
    scored = run.result["candidates"] if run.result else []
    validators = tuple(name for name in (scored[-1]["scores"] if scored else ()) if name != "oracle")
    spec = spec_class.model_validate(run.spec | {"hparams": name_hparams(run.spec)})
    begun = time.perf_counter()
    record, arrays = run_one(spec, context_class(device="cpu", validators=validators))
    content = json.loads(record.model_dump_json())
    predictions = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in sorted(arrays.items())}
    return {
        "name": run.name, "suite": run.suite, "spec": spec.model_dump(mode="json"),
        "result": {**{part: content[part] for part in KEPT}, "predictions": predictions},
        "seconds": round(time.perf_counter() - begun, 3), "committed_seconds": run.seconds,
    }  # fmt: skip


def name_hparams(spec: dict[str, Any]) -> dict[str, Any]:
    """A record's hyper-parameters by the names that they have in the package at hand."""
    renamed = RENAMED_HPARAMS.get(spec["algorithm"], {})
    known = first_of("dalib.core.registry:ALGORITHMS").get(spec["algorithm"]).defaults() if renamed else {}
    return {renamed[k] if renamed.get(k) in known else k: value for k, value in spec["hparams"].items()}


def read_saved(path: Path) -> dict[str, dict[str, Any]]:
    """Name -> line of a saved file; its first line tells of the machine."""
    return {line["name"]: line for line in read_lines(path) if "name" in line}


def describe_machine() -> dict[str, Any]:
    from importlib.metadata import version

    import torch

    packages = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pot")
    return {
        "versions": {package: version(package) for package in packages}, "python": platform.python_version(),
        "capability": torch.backends.cpu.get_cpu_capability(), "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }  # fmt: skip


def run_all(runs: list[Drawn], path: Path | None) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """(name -> line of `run_again`, what is wrong with data -> suites); lines that `path` holds are not run again."""
    done = read_saved(path) if path and path.exists() else {}
    if path:
        kept = [describe_machine(), *done.values()]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    missing: dict[str, list[str]] = defaultdict(list)
    for number, run in enumerate(sorted(runs, key=lambda run: (run.spec["data"]["dataset"], run.name)), 1):
        if run.name in done:
            continue
        if wrong := find_fault(json.dumps(run.spec["data"], sort_keys=True)):
            missing[wrong].append(run.suite)
            continue
        line = done[run.name] = run_again(run)
        print(f"{number:4d}/{len(runs)} {line['seconds']:7.1f} s  {run.name}", file=sys.stderr, flush=True)
        if path:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    names = {run.name for run in runs}
    return {name: line for name, line in done.items() if name in names}, missing


def print_table(title: str, groups: dict[str, list[Difference]]) -> None:
    """A line per group: how many of each kind, the largest differences."""
    width = max(map(len, [*groups, title]))
    print(f"\n{title:{width}s}  runs  {'  '.join(KINDS)}  largest: accuracy, curve (term), score (validator)")
    for name, results in groups.items():
        kinds = Counter(result.kind for result in results)
        counts = "  ".join(f"{kinds[kind] or '·':>{len(kind)}}" for kind in KINDS)
        print(f"{name:{width}s}  {len(results):4d}  {counts}  {pool(results).largest}".rstrip())


def print_differences(differences: dict[str, Difference], lines: dict[str, dict[str, Any]]) -> None:
    by_algorithm, by_suite = defaultdict(list), defaultdict(list)
    for name, result in sorted(differences.items()):
        by_algorithm[lines[name]["spec"]["algorithm"]].append(result)
        by_suite[lines[name]["suite"]].append(result)
    print_table("algorithm", dict(sorted(by_algorithm.items())))
    print_table("suite", {**dict(sorted(by_suite.items())), "all": list(differences.values())})
    print_counts("terms renamed", (f"{a} -> {b}" for d in differences.values() for a, b in d.renamed.items()))
    print()
    for name, result in sorted(differences.items()):
        if result.kind not in KINDS[:2] or result.notes:
            print(f"{name}: {result.kind}: {'; '.join([result.largest, *result.notes])}")


def print_counts(title: str, items: Iterable[str]) -> None:
    for text, number in sorted(Counter(items).items()):
        print(f"{title}: {text} ({number} runs)")


def compare_all(
    lines: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]
) -> tuple[dict[str, Difference], list[str], list[str]]:
    """(name -> difference, fields of specs with other values, fields that one side lacks) of the runs in both."""
    differences, other, single = {}, [], []
    for name in sorted(lines.keys() & before.keys()):
        differences[name] = compare(before[name]["result"], lines[name]["result"])
        changed, lone = compare_specs(before[name]["spec"], lines[name]["spec"])
        other += changed
        single += lone
    return differences, other, single


def write_csv(path: Path, differences: dict[str, Difference], lines: dict[str, dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name, d in sorted(differences.items()):
            renamed = "; ".join(f"{a} -> {b}" for a, b in d.renamed.items())
            line = lines[name]
            writer.writerow([
                line["suite"], name, line["spec"]["algorithm"], d.kind, d.accuracy, d.metric, d.curve, d.term, d.score,
                d.validator, renamed, "; ".join(d.notes), line["seconds"],
            ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="records to draw; 0: the strata only")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--most-seconds", type=float, default=60.0, help="longest record that is drawn freely")
    parser.add_argument("--budget", type=float, default=3600.0, help="committed seconds after which no more are drawn")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of the archives")
    parser.add_argument("--save", type=Path, help="JSON-lines file that the results go to")
    parser.add_argument("--against", type=Path, help="a saved file: its runs, compared with it, not with the records")
    parser.add_argument("--compare", type=Path, help="a saved file instead of new runs")
    parser.add_argument("--csv", type=Path, help="a line per run")
    args = parser.parse_args()

    print(f"the package: {dalib.__file__}", file=sys.stderr)
    committed = {run.name: run for run in read_records(args.records)}
    saved = read_saved(args.against) if args.against else {}
    missing: dict[str, list[str]] = {}
    if args.compare:
        lines = read_saved(args.compare)
    else:
        runs = draw_runs(list(committed.values()), args.runs, args.most_seconds, args.budget, args.seed)
        runs += unrecorded_runs(list(committed.values()))
        if saved:
            known = {run.name: run for run in [*committed.values(), *runs]}
            runs = [known[name] for name in saved if name in known]
            print_counts("not in the records", (name for name in saved if name not in known))
        lines, missing = run_all(runs, args.save)
    records = {name: {"spec": run.spec, "result": run.result} for name, run in committed.items()}
    differences, other, single = compare_all(lines, saved or records)
    if not differences:
        raise SystemExit("nothing to compare")
    print(json.dumps(describe_machine()))
    print(f"compared with {args.against or args.records}")
    print_differences(differences, lines)
    print_counts("spec differs", other)
    print_counts("only in one spec", single)
    print_counts("compared with nothing", (name for name in lines if name not in differences))
    for wrong, suites in missing.items():
        print(f"data missing for {', '.join(sorted(set(suites)))}: {wrong}")
    if args.csv:
        write_csv(args.csv, differences, lines)


if __name__ == "__main__":
    main()
