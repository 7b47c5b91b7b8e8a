"""Damages every kind of file that dalib writes and reads again, and counts what becomes of it.

    python -m tests.faults.flips [--tries 200]

refused: told with a line, counted as missing with a warning, or made again; right: nothing was said and the content
is the file's own (the damage hit nothing that counts); silent: another content without a word; traceback: an exception
that is no DalibError. Of every ten tries eight flip one bit, one clears 64 bytes and one cuts the end off.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import dalib
from dalib.bench.progress import LineProgress
from dalib.bench.runner import run_suite
from dalib.core.errors import DalibError
from dalib.records.archive import Archive, export
from dalib.records.store import Store
from dalib.train.model_file import load_model, save_model
from tests.faults.table import show


@dataclass(frozen=True)
class Kind:
    """A file, and what reads it: a digest of the content, or None when it is said to be damaged or missing."""

    path: Path
    read: Callable[[], str | None]


def digest(value: Any) -> str:
    """Of arrays, tensors and anything that prints itself in full."""
    if isinstance(value, dict):
        value = "".join(f"{name}:{digest(part)}" for name, part in sorted(value.items()))
    if isinstance(value, (np.ndarray, torch.Tensor)):
        array = np.asarray(value)
        return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()
    return hashlib.sha256(str(value).encode()).hexdigest()


def damage(content: bytes, chance: random.Random, number: int) -> bytes:
    """One bit flipped, 64 bytes cleared, or the end cut off."""
    place = chance.randrange(len(content))
    if number % 10 == 8:
        cleared = content[:place] + bytes(min(64, len(content) - place)) + content[place + 64 :]
        return cleared if cleared != content else damage(content, chance, 0)
    if number % 10 == 9:
        return content[:place]
    flipped = bytearray(content)
    flipped[place] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def try_kind(kind: Kind, tries: int, seed: int = 0) -> Counter[str]:
    """How often damage ended in which outcome; the file is whole again afterwards."""
    chance, whole = random.Random(seed), kind.path.read_bytes()
    right, counts = kind.read(), Counter[str]()
    for number in range(tries):
        kind.path.write_bytes(damage(whole, chance, number))
        os.utime(kind.path, ns=(number, number))  # another stamp than before, however coarse the clock
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                got = kind.read()
                outcome = "refused" if got is None or said else "right" if got == right else "silent"
            except DalibError:
                outcome = "refused"
            except Exception:
                outcome = "traceback"
        counts[outcome] += 1
        kind.path.parent.mkdir(exist_ok=True)
        kind.path.write_bytes(whole)
    return counts


def make_kinds(folder: Path) -> dict[str, Kind]:
    """One file of every kind, in a folder; the working folder moves there, and so does the cache."""
    os.chdir(folder)
    os.environ["DALIB_CACHE"] = str(folder / "cache")
    os.environ["FAKE_LOG"] = str(folder / "log")
    return make_stored(folder) | make_trained(folder) | make_cached(folder)


def make_stored(folder: Path) -> dict[str, Kind]:
    """Record, arrays, manifest, archives."""
    chance = np.random.default_rng(0)
    arrays = {f"{d}_x": chance.normal(size=(8, 4)).astype(np.float32) for d in "ab"}
    np.savez(folder / "toy.npz", **arrays, **{f"{d}_y": np.arange(8) % 2 for d in "ab"})
    suite = folder / "demo.toml"
    suite.write_text('dataset = "features:toy.npz"\nseeds = [0, 1]\n[algorithms.source_only]\n[algorithms.dann]\n')
    with Path(os.devnull).open("w") as nowhere:
        run_suite(suite, store=folder / "runs", run="tests.support.fake_runs:finish", progress=LineProgress(nowhere))
    store = Store(folder / "runs")
    manifest = store.manifest("demo")
    for name in ("plain.jsonl", "packed.jsonl.gz"):
        export(store, manifest, folder / name)
    key = manifest.keys[0]

    def read_record() -> str | None:
        return digest(store.get(key).model_dump_json()) if key in store else None

    def read_arrays() -> str | None:
        try:
            return digest(store.predictions(key))
        except KeyError:
            return None

    def read_archive(name: str) -> Callable[[], str]:
        def read() -> str:
            archive = Archive(folder / name)
            return digest([archive.manifest(), *(r.model_dump_json() for r in archive.records())])

        return read

    return {
        "record": Kind(store.path(key), read_record),
        "record's arrays": Kind(store.path(key).with_suffix(".npz"), read_arrays),
        "manifest": Kind(store.root / "manifests" / "demo.json", lambda: digest(store.manifest("demo"))),
        "archive": Kind(folder / "plain.jsonl", read_archive("plain.jsonl")),
        "packed archive": Kind(folder / "packed.jsonl.gz", read_archive("packed.jsonl.gz")),
    }


def make_trained(folder: Path) -> dict[str, Kind]:
    """Checkpoint and model file."""
    data, backbone = dalib.load_data("features:toy.npz"), dalib.load_backbone("identity", "none", dim=4)
    task, recipe = dalib.make_task(data, "a", "b"), dalib.TrainConfig(steps=12, batch_size=4, bottleneck=8)
    path = folder / "run.checkpoint"

    def train(stop_at: int = 0) -> Any:
        def stop(step: int, steps: int) -> None:
            if step == stop_at:
                raise KeyboardInterrupt

        how: dict[str, Any] = {"report": stop, "checkpoint_seconds": -1.0} if stop_at else {"checkpoint_seconds": 1e9}
        return dalib.Trainer(recipe, device="cpu", checkpoint=path, **how).fit(dalib.DANN(hidden=8), task, backbone)

    with contextlib.suppress(KeyboardInterrupt):
        train(stop_at=10)
    model = save_model(train_again(path, train), folder / "model")
    return {
        "checkpoint": Kind(path, lambda: digest(train().outputs(task.test).logits)),
        "model file": Kind(model, lambda: digest(load_model(model, "cpu").outputs(task.test).logits)),
    }


def train_again(path: Path, train: Callable[[], Any]) -> Any:
    """The fit that the checkpoint leads to; the file stays."""
    content = path.read_bytes()
    fitted = train()
    path.write_bytes(content)
    return fitted


def make_cached(folder: Path) -> dict[str, Kind]:
    """Decoded images; where they are damaged they are made again."""
    chance = np.random.default_rng(0)
    for domain in ("a", "b"):
        for number in range(6):
            place = folder / "images" / domain / f"class{number % 2}" / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(chance.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(place)

    def read() -> str:
        data = dalib.load_data("image_folder", folder / "images")
        return digest(np.asarray(data.domain("a", 16).x))

    read()
    kept = sorted((folder / "cache").rglob("*.npy"), key=lambda path: path.stat().st_size)
    return {"decoded images": Kind(kept[-1], read)}


def tabulate(tries: int) -> dict[str, Counter[str]]:
    """Kind -> outcomes."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: try_kind(kind, tries) for name, kind in make_kinds(Path(folder)).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=200)
    table = tabulate(parser.parse_args().tries)
    print(show(table))


if __name__ == "__main__":
    main()
