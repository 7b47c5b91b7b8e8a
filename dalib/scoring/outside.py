"""What was trained elsewhere: a module's answers to a domain, and an ordinary record of how good they are."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dalib.core.backbone import Backbone, Preprocess
from dalib.core.checksum import seal_lines
from dalib.core.errors import DalibError
from dalib.core.files import write_atomic
from dalib.core.rows import row_shape
from dalib.core.types import Domain
from dalib.feed.stores import open_store
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.train.device import pick_device

ELSEWHERE = "elsewhere"
"""The algorithm of a record whose training is not known here."""
BATCH = 256


@torch.no_grad()
def answer_rows(module: nn.Module, rows: Domain, preprocess: Preprocess | None, device: str) -> Tensor:
    """Logits (n, K) float32 of a module in evaluation mode; its mode is afterwards what it was.

    Raises
        DalibError: it does not take the rows, or gives no (rows, classes)
    """
    where, kind = pick_device(device), type(module).__name__
    if rows.is_images and rows.x.dtype.kind == "u" and preprocess is None:
        raise DalibError(
            f"'{rows.name}' holds images as bytes; say how {kind} wants them (preprocess=dalib.Preprocess(256, 224))"
        )
    store = open_store(
        Backbone("module", module, 1, [], preprocess, rows=None if preprocess else row_shape(rows.x)), rows, where
    )
    modes = {part: part.training for part in module.modules()}
    parts = []
    try:
        module.to(where).eval()
        for start in range(0, len(rows), BATCH):
            parts.append(module(store.batch(torch.arange(start, min(start + BATCH, len(rows))))))
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise DalibError(f"{kind} does not take rows of '{rows.name}' ({type(error).__name__}: {reason})") from None
    finally:
        for part, mode in modes.items():
            part.training = mode
    if not parts or not all(isinstance(p, Tensor) and p.ndim == 2 for p in parts):
        raise DalibError(f"{kind} gives no table of logits (rows, classes) for '{rows.name}'")
    return torch.cat(parts).float().cpu()


def read_logits(given: np.ndarray | Tensor) -> Tensor:
    """Logits as a caller hands them over, float32 on the CPU, with no part in a gradient.

    Raises
        DalibError: words, objects or complex numbers
    """
    kind = given.dtype.kind if isinstance(given, np.ndarray) else "c" if given.is_complex() else "f"
    if kind not in "iufb":
        raise DalibError(f"answers are of type {given.dtype}; give logits, a real number per row and class")
    if isinstance(given, np.ndarray):
        with np.errstate(over="ignore"):
            return torch.from_numpy(np.array(given, np.float32))
    return given.detach().cpu().float()


def write_record(
    path: str | Path, label: str, task: str, seed: int, about: dict[str, Any], metrics: dict[str, float]
) -> Path:
    """One run as an archive of one record, which `dalib table a.jsonl b.jsonl` joins with others of the same data.

    Args
        label: the row's name
        task: `amazon->webcam`; the rows measured are those of its target
        about: `dataset`, `fingerprint`, `partial`, `counts`, `answers` (logits), `per_class`
        metrics: of the target's rows

    Raises
        DalibError: a task whose target is another domain
    """
    source, arrow, target = task.partition("->")
    if not arrow or target != about["domain"]:
        raise DalibError(f"task '{task}' does not end in the domain measured; write SOURCE->{about['domain']}")
    told = np.ascontiguousarray(about["answers"], dtype=np.float32)
    kind, colon, file = about["dataset"].partition(":")
    spec = RunSpec(
        data=DataSpec(
            dataset=f"{kind}{colon}{Path(file).name}", fingerprint=about["fingerprint"], partial=about["partial"]
        ),
        source=source,
        target=target,
        algorithm=ELSEWHERE,
        hparams={"label": label, "answers": hashlib.sha256(told.tobytes()).hexdigest()},
        seed=seed,
    )
    named = {f"target_{name}": value for name, value in metrics.items()}
    record = Record(
        key=spec.key, spec=spec, status="ok", candidates=[Candidate(step=0, metrics=named, scores={})],
        per_class=about["per_class"], counts={"test": len(told)},
    )  # fmt: skip
    manifest = Manifest(
        name=re.sub(r"^\.|[/\\\x00-\x1f]", "_", label)[:200] or "_", title=label,
        dataset=kind, partial=about["partial"], counts=about["counts"],
        runs=[Cell(label=label, task=task, seed=seed, key=spec.key)],
    )  # fmt: skip
    path = Path(path) if str(path).endswith(".jsonl") else Path(f"{path}.jsonl")
    write_atomic(path, seal_lines(f"{manifest.model_dump_json()}\n{record.model_dump_json()}\n".encode()))
    return path
