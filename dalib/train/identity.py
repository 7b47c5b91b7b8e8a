"""What a fit is, in words that a checkpoint keeps: another run's state is told by them."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dalib.core.types import Domain

if TYPE_CHECKING:
    from dalib.train.engine import Engine

_ROWS = 4096


def identify_fit(engine: Engine, content: bool) -> dict[str, str]:
    """Task, seed, algorithm, backbone and every setting of the recipe; rows by shape and fingerprint.

    content: the values of the rows and of the network's initial weights count as well, whatever a fingerprint says
    """
    fitted = engine.fitted
    told: dict[str, Any] = {
        "task": engine.task,
        "seed": engine.seed,
        "algorithm": type(fitted.algorithm).__name__,
        "hyper-parameters": fitted.algorithm.hparams,
        "backbone": [fitted.backbone.name, fitted.backbone.weights_hash, fitted.backbone.dim],
        "classes": fitted.classes,
        "source": _identify_rows(engine.labelled, content),
        "target": _identify_rows(engine.target, content),
        **engine.recipe,
    }
    if content:
        told["initial weights"] = _sum_weights(fitted.algorithm)
    return {name: value if isinstance(value, str) else json.dumps(value, default=str) for name, value in told.items()}


def _identify_rows(domain: Domain, content: bool) -> str:
    labels = np.ascontiguousarray(domain.y) if domain.y is not None else np.zeros(0)
    sums = zlib.crc32(np.ascontiguousarray(domain.origin).tobytes(), zlib.crc32(labels.tobytes()))
    if content:
        for start in range(0, len(domain.x), _ROWS):
            block = np.ascontiguousarray(domain.x[start : start + _ROWS])
            sums = zlib.crc32(block.tobytes(), sums)
    return f"{domain.name} {tuple(domain.x.shape)} {domain.x.dtype} {domain.fingerprint} {sums:08x}"


def _sum_weights(module: torch.nn.Module) -> str:
    sums = 0
    for name, tensor in module.state_dict().items():
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        sums = zlib.crc32(raw, zlib.crc32(name.encode(), sums))
    return f"{sums:08x}"
