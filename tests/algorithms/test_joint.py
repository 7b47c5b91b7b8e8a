"""Joint: Cross-entropy on all labelled rows, source and target; unlabelled target rows are not used."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import dalib
from dalib.core.backbone import identity
from dalib.core.types import Source
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer
from tests.support.few_rows import D, few_task, seen_origins, train


def test_joint_without_balance_is_source_only_and_with_it_half_are_target_rows() -> None:
    task = few_task(2, sources=2)
    states = [
        train(n, task, steps=5, **h).algorithm.state_dict()
        for n, h in (("SourceOnly", {}), ("Joint", {"balanced": False}))
    ]
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))
    rows: list[Tensor] = []

    class Watching(dalib.Joint):  # type: ignore[misc, name-defined]
        def loss(self, source: Source, *rest: Any) -> Any:
            rows.append(source.origin == 2)
            return super().loss(source, *rest)

    Trainer(TrainConfig(steps=10, batch_size=32, evaluations=1), device="cpu").fit(Watching(), task, identity(D))
    assert torch.cat(rows).float().mean().item() == pytest.approx(0.5, abs=0.02)  # a whole pass: 320 of 320 rows


def test_every_batch_has_labelled_target_rows() -> None:
    assert all(2 in s for s in seen_origins("Joint"))
