"""What a store of many runs costs: planning, writing, looking what is there, listing, a table; seconds and memory.

    python benchmarks/store_scale.py [--runs 1000,10000,100000] [--folder DIR]

Records are synthetic, of the size of the demonstration's, and every step is a process of its own, so that its memory is
seen. Seconds are of the processor, so that a busy machine does not change them; a disk that is waited for comes on top.
MiB are the most that the process held. An empty process has the first line's of both. Nothing is trained.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS, TASKS = 10, 2
SUITE = 'dataset = "features:toy.npz"\ntasks = ["a->b", "b->a"]\nseeds = {seeds}\n[train]\nsteps = 7\n'
METRICS = ("accuracy", "macro_f1", "macro_precision", "macro_recall")


def prepare(folder: Path, runs: int) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"{d}_x": rng.normal(size=(8, 4)).astype(np.float32) for d in "ab"}
    np.savez(folder / "toy.npz", **arrays, **{f"{d}_y": np.arange(8) % 2 for d in "ab"})
    rows = "".join(f'[algorithms.row{n}]\nalgorithm = "dann"\nweight = {n + 1}.5\n' for n in range(ROWS))
    (folder / "many.toml").write_text(SUITE.format(seeds=list(range(runs // (ROWS * TASKS)))) + rows)


def plan_suite(folder: Path) -> None:
    from dalib.bench.plan import plan
    from dalib.bench.suite import load_suite

    plan(load_suite(folder / "many.toml"))


def write_records(folder: Path) -> None:
    """Without the waits for the disk of real runs; records of one row and task are alike but for the seed."""
    from dalib.bench.plan import plan
    from dalib.bench.suite import load_suite
    from dalib.core.checksum import seal_json
    from dalib.records.record import Candidate, Record
    from dalib.records.store import Store

    planned, store, rng = plan(load_suite(folder / "many.toml")), Store(folder / "store"), np.random.default_rng(1)
    store.write_manifest(planned.manifest())
    curve = {name: [round(x, 6) for x in rng.random(50)] for name in ("step", "classification", "adversarial")}
    templates: dict[str, tuple[str, str, int]] = {}
    for run in planned.runs:
        path = store.path(run.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        if made := templates.get(f"{run.label} {run.spec.task}"):
            text = made[0].replace(made[1], run.key).replace(f'"seed": {made[2]}\n', f'"seed": {run.spec.seed}\n')
            path.write_text(seal_json(text))
            continue
        points = [
            Candidate(
                step=step,
                metrics={f"{side}_{name}": float(rng.random()) for side in ("target", "source") for name in METRICS},
                scores={name: float(rng.random()) for name in ("source_accuracy", "ami", "oracle")},
            )
            for step in range(1, 6)
        ]
        record = Record(key=run.key, spec=run.spec, status="ok", candidates=points, curve=curve, seconds={"total": 1.0})
        templates[f"{run.label} {run.spec.task}"] = (record.model_dump_json(indent=1), run.key, run.spec.seed)
        path.write_text(seal_json(record.model_dump_json(indent=1)))


def look(folder: Path) -> None:
    """What `dalib run` does before it begins: plan, and read what is there."""
    from dalib.bench.progress import LineProgress
    from dalib.bench.runner import run_suite

    summary = run_suite(folder / "many.toml", store=folder / "store", progress=LineProgress(open(os.devnull, "w")))  # noqa: SIM115, PTH123
    if summary.done or not summary.skipped:
        raise RuntimeError(f"{summary} is no suite that has its records")


def list_files(folder: Path) -> None:
    from dalib.records.store import Store

    sum(1 for _ in Store(folder / "store").root.glob("[0-9a-f][0-9a-f]/*.json"))


def read_all(folder: Path) -> None:
    from dalib.records.store import Store

    sum(1 for _ in Store(folder / "store").records())


def make_table(folder: Path) -> None:
    from dalib.report.reports import table

    table("many", store=folder / "store")


def state(folder: Path) -> None:
    from dalib.bench.status import suite_status

    suite_status("many", folder / "store")


def nothing(folder: Path) -> None:
    import dalib.bench.runner
    import dalib.report.reports  # noqa: F401


STEPS = {
    "an empty process": nothing,
    "plan": plan_suite,
    "write records (unsynced)": write_records,
    "list files": list_files,
    "read every record": read_all,
    "dalib run, all there": look,
    "dalib table": make_table,
    "dalib status": state,
}


def measure(step: str, folder: Path) -> tuple[float, float]:
    """(seconds of the processor, MiB) of one step in a process of its own, imports included."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory = answer.stdout.split()[-2:]
    return float(seconds), float(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="1000,10000,100000")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--step", choices=STEPS)
    asked = parser.parse_args()
    if asked.step:
        os.chdir(asked.folder)
        STEPS[asked.step](asked.folder)
        print(f"{time.process_time():.2f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
        return
    print(f"{'runs':>8}  {'step':26}{'seconds':>9}{'ms per run':>12}{'MiB':>7}")
    for runs in map(int, asked.runs.split(",")):
        with tempfile.TemporaryDirectory(dir=asked.folder) as place:
            prepare(Path(place), runs)
            for step in STEPS:
                seconds, memory = measure(step, Path(place))
                print(f"{runs:>8}  {step:26}{seconds:>9.2f}{1000 * seconds / runs:>12.3f}{memory:>7.0f}", flush=True)
            files = list(Path(place, "store").glob("??/*.json"))
            print(f"{runs:>8}  bytes per record: {sum(f.stat().st_size for f in files) / len(files):.0f}", flush=True)


if __name__ == "__main__":
    main()
