"""Stops runners and writers at random moments, -9 and SIGTERM, and looks at what is there afterwards.

    python -m tests.faults.kills [--tries 60]

A suite of real runs that save their state after every step is stopped some times over and then left to end: its
records and arrays must be those of an undisturbed run bit for bit, what had a record is not touched again, and neither
locks nor half-written files stay. A writer of one file is stopped in the middle of writing: the file is an old or a new
one, whole, and the next writer sweeps what was left. Needs a system that can fork.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import dalib
from dalib.bench.progress import LineProgress
from dalib.bench.runner import run_suite
from dalib.core.files import SUFFIX
from dalib.records.archive import Archive, export
from dalib.records.store import Store
from dalib.train.listeners.checkpoint import Checkpoint
from dalib.train.model_file import load_model, save_model
from tests.faults.children import Child
from tests.faults.flips import digest
from tests.faults.table import show

SUITE = """
dataset = "features:toy.npz"
tasks = ["a->b", "b->a"]
[train]
steps = 40
batch_size = 8
bottleneck = 8
evaluations = 2
[algorithms.source_only]
[algorithms.dann]
hidden = 8
[algorithms.ot_map]
"""


def prepare(folder: Path) -> None:
    """A feature file and a suite in the folder, which becomes the working one."""
    os.chdir(folder)
    os.environ["DALIB_CACHE"] = str(folder / "cache")
    chance = np.random.default_rng(0)
    arrays = {f"{d}_x": chance.normal(size=(40, 6)).astype(np.float32) + (d == "b") for d in "ab"}
    np.savez(folder / "toy.npz", **arrays, **{f"{d}_y": np.arange(40) % 4 for d in "ab"})
    (folder / "demo.toml").write_text(SUITE)


def run(store: Path, jobs: int = 1) -> None:
    """The suite, its state saved after every step."""
    begin = Checkpoint.__init__

    def often(self: Checkpoint, path: Path, key: str = "", seconds: float = 0.0, writes: bool = True) -> None:
        begin(self, path, key, -1.0, writes)

    Checkpoint.__init__ = often  # type: ignore[method-assign]
    run_suite("demo.toml", store=store, jobs=jobs, progress=LineProgress(), device="cpu")


def contents(root: Path) -> dict[str, str]:
    """key -> digest of everything in a record and its arrays that no clock and no machine decides."""
    store = Store(root)
    return {
        r.key: digest(r.model_dump_json(exclude={"seconds", "provenance"})) + digest(store.predictions(r.key))
        for r in store.records()
    }


def stamps(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.glob("??/*.json")}


def left_over(root: Path) -> list[Path]:
    """Half-written files, locks, states of runs that ended."""
    locks = [p for p in (root / "locks").glob("*") if p.name != ".guard"]
    return [*root.rglob(f".*{SUFFIX}"), *locks, *(root / "checkpoints").glob("*")]


def stop_suites(how: signal.Signals, tries: int, jobs: int = 1, seed: int = 0) -> Counter[str]:
    """Outcomes of so many stops of a suite, spread over suites that are each stopped up to eight times."""
    whole = Path(f"whole-{how.name}-{jobs}")
    begun = time.monotonic()
    assert Child(lambda: run(whole, jobs), Path(f"{whole}.txt")).wait() == 0
    takes, right = time.monotonic() - begun, contents(whole)
    counts, chance, number = Counter[str](), random.Random(seed), 0
    while counts.total() < tries:
        number += 1
        root, said, stops, outcome = Path(f"{whole}-{number}"), Path(f"{whole}-{number}.txt"), 0, "right"
        while True:
            before = stamps(root)
            child = Child(lambda: run(root, jobs), said)  # noqa: B023 (it forks at once)
            status = None
            if stops < min(8, tries - counts.total()):
                time.sleep(chance.random() * takes)
                child.stop(how)
                stops += 1
            status = child.wait()
            if not before.items() <= stamps(root).items():
                outcome = "silent"
            if status is None:
                outcome = "hang"
            if status in (0, None):
                break
            if child.has_traceback or status not in (-how, 130):
                outcome = "traceback"
                break
        if outcome == "right" and (contents(root) != right or left_over(root)):
            outcome = "silent"
        counts[outcome] += stops
    return counts


def stop_writer(write: Callable[[int], Any], read: Callable[[], str], folder: Path, tries: int) -> Counter[str]:
    """Outcomes of so many -9 for a process that writes the same file over and over, in two versions."""
    counts, chance, known = Counter[str](), random.Random(0), set()
    for version in (0, 1):
        write(version)
        known.add(read())

    def write_on() -> None:
        for number in range(10**9):
            write(number % 2)

    for number in range(tries):
        child = Child(write_on, Path(f"writer-{number}.txt"))
        time.sleep(0.05 + 0.1 * chance.random())
        child.stop(signal.SIGKILL)
        child.wait()
        try:
            outcome = "right" if read() in known else "silent"
        except Exception:
            outcome = "traceback"
        counts[outcome] += 1
    write(0)
    if list(folder.rglob(f".*{SUFFIX}")):
        counts["silent"] += counts.pop("right", 0)
    return counts


def stop_writers(tries: int) -> dict[str, Counter[str]]:
    """Writers of model files, records and archives."""
    data, backbone = dalib.load_data("features:toy.npz"), dalib.load_backbone("identity", "none", dim=6)
    task, recipe = dalib.make_task(data, "a", "b"), dalib.TrainConfig(steps=3, batch_size=8, bottleneck=8)
    models = [
        dalib.Trainer(recipe, device="cpu", seed=seed).fit(dalib.DANN(hidden=8), task, backbone) for seed in (0, 1)
    ]
    store = Store(Path("whole-SIGKILL-1"))
    manifest = store.manifest("demo")
    two = [manifest, manifest.model_copy(update={"runs": manifest.runs[:2]})]
    records = [r.model_copy(update={"warnings": ["x" * n]}) for n, r in enumerate([store.get(manifest.keys[0])] * 2)]
    arrays, key = store.predictions(manifest.keys[0]), manifest.keys[0]
    other, folder = Store(Path("other")), Path("files")
    folder.mkdir()
    return {
        "-9, writing a model file": stop_writer(
            lambda n: save_model(models[n], folder / "model"),
            lambda: digest(load_model(folder / "model.safetensors", "cpu").outputs(task.test).logits),
            folder,
            tries,
        ),
        "-9, writing an archive": stop_writer(
            lambda n: export(store, two[n], folder / "x.jsonl.gz"),
            lambda: digest([r.key for r in Archive(folder / "x.jsonl.gz").records()]),
            folder,
            tries,
        ),
        "-9, writing a record": stop_writer(
            lambda n: other.put(records[n], arrays),
            lambda: digest(other.get(key).model_dump_json()) + digest(other.predictions(key)),
            other.root,
            tries,
        ),
    }


def tabulate(tries: int, jobs: int = 2) -> dict[str, Counter[str]]:
    """Kind -> outcomes; with `jobs` workers a tenth of the tries, for these have to start.

    Args
        jobs: 1: no suites with workers
    """
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        try:
            prepare(Path(folder))
            table = {
                f"{name} of a suite, one process": stop_suites(how, tries)
                for name, how in (("-9", signal.SIGKILL), ("SIGTERM", signal.SIGTERM))
            }
            if jobs > 1:
                for name, how in (("-9", signal.SIGKILL), ("SIGTERM", signal.SIGTERM)):
                    table[f"{name} of a suite, {jobs} workers"] = stop_suites(how, max(2, tries // 10), jobs)
            return table | stop_writers(max(5, tries // 2))
        finally:
            os.chdir(before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=60)
    print(show(tabulate(parser.parse_args().tries)))


if __name__ == "__main__":
    main()
