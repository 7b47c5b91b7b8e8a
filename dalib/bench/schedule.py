"""Which run starts first, and on which device: the longest ones, in turn on all GPUs; no number depends on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.registry import ALGORITHMS

if TYPE_CHECKING:
    from dalib.bench.plan import PlannedRun
    from dalib.records.spec import RunSpec

UNKNOWN, NETWORK, SOLUTION = 2.0, 300.0, 100.0
"""In steps of source-only on features: an algorithm not in the table, a step of a trained network, a linear probe."""


def longest_first(runs: Sequence[PlannedRun], jobs: int) -> list[PlannedRun]:
    """For several workers, so that the last run to end is a short one; one worker keeps the plan's order.

    Runs of the same expected length stay in the plan's order: by seed, then task, then row.
    """
    return sorted(runs, key=lambda r: -expected_cost(r.spec)) if jobs > 1 else list(runs)


def expected_cost(spec: RunSpec) -> float:
    """Length of a run in steps of source-only on features, from the catalogue: for an order, not for a clock."""
    factor = _costs().get(spec.algorithm, UNKNOWN)
    if issubclass(ALGORITHMS.get(spec.algorithm), FeatureAlgorithm):
        return SOLUTION * factor
    trained = spec.backbone.name != "identity" and not spec.backbone.frozen
    return spec.train.steps * spec.train.batch_size / 32 * (factor + (NETWORK if trained else 0))


def assign_devices(device: str, runs: int) -> list[str]:
    """A device per run: `auto` and `cuda` take the GPUs in turn where there are several, any other name stays."""
    import torch

    gpus = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    return [f"cuda:{i % gpus}" if gpus > 1 else device for i in range(runs)]


@cache
def _costs() -> dict[str, float]:
    path = Path(__file__).parent.parent / "algorithms" / "costs.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))
