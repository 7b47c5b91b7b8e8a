"""A small store whose runs say which pictures they call what: for the page's section of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dalib.data.catalog import load_data
from dalib.data.tasks import make_task
from dalib.records.manifest import Cell
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.records.store import Store
from tests.support.image_sets import encode, write_folder
from tests.support.report_shelf import Shelf

CLASSES = ("cat <b>", "dog", "fox")
SOURCE, TARGET = "photo", "sketch"


def shade(domain: str, cls: int, i: int) -> int:
    """The one grey that a picture is made of, which tells which it is."""
    return 20 + 70 * cls + 8 * i + (4 if domain == TARGET else 0)


def make_pictures(root: Path) -> Path:
    """Two domains of three classes of eight pictures, 40 x 20, each of one grey."""
    content = {}
    for domain in (SOURCE, TARGET):
        for k, cls in enumerate(CLASSES):
            for i in range(8):
                grey = shade(domain, k, i)
                picture = Image.new("RGB", (40, 20), (grey, grey, grey))
                content[f"{domain}/{cls}/{i:02d}.png"] = encode(picture, "PNG")
    return write_folder(root, content)


def spec(root: Path, label: str, **more: Any) -> RunSpec:
    data = DataSpec(dataset="image_folder", fingerprint=load_data("image_folder", root).fingerprint)
    given: dict[str, Any] = {
        "source": SOURCE,
        "target": TARGET,
        "algorithm": "source_only",
        "hparams": {"label": label},
    }
    return RunSpec(data=data, **(given | more))


def keep(store: Store, shelf: Shelf, label: str, run: RunSpec, y: np.ndarray, called: np.ndarray) -> None:
    shelf.toy.runs.append(Cell(label=label, task=run.task, seed=run.seed, key=run.key))
    store.write_manifest(shelf.toy)
    last = [Candidate(step=10, metrics={"target_accuracy": 0.5}, scores={})]
    record = Record(key=run.key, spec=run, status="ok", candidates=last)
    store.put(record, {"target_y": y.astype(np.int16), "step_10_target": 9.0 * np.eye(3)[called]})


def fill_store(store: Store, root: Path) -> None:
    """24 test pictures; the baseline misses the first nine; the row misses three of these, and the last two."""
    shelf = Shelf(baseline="source_only", dataset="image_folder")
    run = spec(root, "source_only")
    y = make_task(load_data("image_folder", root), SOURCE, TARGET, run.protocol, seed=0, resize=8).test.labels
    base, mine = y.copy(), y.copy()
    base[:9] = (y[:9] + 1) % 3
    mine[6:9], mine[-2:] = (y[6:9] + 2) % 3, 0
    keep(store, shelf, "source_only", run, y, base)
    keep(store, shelf, "better", spec(root, "better"), y, mine)
