"""Independent: Two fits one after the other; the second may be held near the first."""

from __future__ import annotations

import torch
from torch import Tensor

import dalib
from dalib.core.backbone import identity
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer
from tests.support.few_rows import D, few_task, seen_origins


def test_a_pull_keeps_the_second_phase_near_the_first() -> None:
    distance = {}
    for pull in (0.0, 10.0):
        start: list[Tensor] = []

        class Watching(dalib.Independent):  # type: ignore[misc, name-defined]
            def begin(self, start: list[Tensor] = start) -> None:
                super().begin()
                start.append(torch.cat([p.detach().flatten() for p in self.network.parameters()]))

        config = TrainConfig(steps=60, batch_size=32, bottleneck=8, lr=0.02, evaluations=1)
        fitted = Trainer(config, device="cpu").fit(Watching(pull=pull), few_task(3), identity(D))
        now = torch.cat([p.detach().flatten() for p in fitted.algorithm.network.parameters()])
        distance[pull] = (now - start[0]).norm().item()
    assert distance[10.0] < distance[0.0] / 2


def test_the_first_phase_sees_the_sources_and_the_second_the_target() -> None:
    assert seen_origins("Independent", pretrain=0.6) == [(0, 1)] * 6 + [(2,)] * 4
