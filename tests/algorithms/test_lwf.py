"""LwF: Learning without forgetting: knowledge distillation from the network before it was fine-tuned."""

from __future__ import annotations

import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor, nn

import dalib
from dalib.checks.world import attached, batches, make_task
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer
from tests.support.old_heads import (
    check_a_frozen_backbones_head_takes_its_features,
    check_it_learns_and_drops_the_old_head,
    check_without_a_pretrained_head_one_line_says_which_backbones_have_one,
    layers,
)


def test_lwfs_term_is_the_old_answers_cross_entropy_at_temperature_two() -> None:
    algorithm = attached(dalib.LwF, weight=0.7)
    algorithm.begin()
    before = algorithm.before[1](batches(algorithm)[0].x).detach().numpy()
    nn.init.normal_(algorithm.old_head.weight)
    source, _ = batches(algorithm)
    now = algorithm.old_head(source.z).detach().numpy()
    expected = -(softmax(before / 2, axis=1) * log_softmax(now / 2, axis=1)).sum(1).mean()
    assert algorithm.adapt(*batches(algorithm), 0.5)["old_answers"].item() == pytest.approx(0.7 * expected, rel=1e-5)


def old_answers(algorithm: nn.Module, head: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return head(algorithm.eval().network.backbone(x)).softmax(1)


def test_lwf_changes_the_old_answers_less_than_fine_tuning() -> None:
    task, moved = make_task(), {}
    x = torch.as_tensor(task.labelled.x)
    for weight in (0.0, 3.0):
        kept: list[nn.Module] = []

        class Keeping(dalib.LwF):  # type: ignore[misc, name-defined]
            def end(self, kept: list[nn.Module] = kept) -> None:
                kept.append(self.old_head)
                super().end()

        backbone = layers()
        first = torch.nn.Sequential(backbone.module, backbone.head)
        with torch.no_grad():
            start = first(x).softmax(1)
        config = TrainConfig(steps=60, batch_size=16, lr=0.05, backbone_rate=1.0, bottleneck=8, evaluations=1)
        fitted = Trainer(config, device="cpu").fit(Keeping(weight=weight), task, backbone)
        moved[weight] = (old_answers(fitted.algorithm, kept[0], x) - start).abs().mean().item()
    assert moved[3.0] < moved[0.0] / 2


def test_it_learns_and_drops_the_old_head() -> None:
    check_it_learns_and_drops_the_old_head("LwF")


def test_without_a_pretrained_head_one_line_says_which_backbones_have_one() -> None:
    check_without_a_pretrained_head_one_line_says_which_backbones_have_one("LwF")


def test_a_frozen_backbones_head_takes_its_features() -> None:
    check_a_frozen_backbones_head_takes_its_features("LwF")


def test_the_network_of_before_never_moves() -> None:
    algorithm = attached(dalib.LwF)
    algorithm.begin()
    rates = {p: rate for module, rate in algorithm.rates(0.5) for p in module.parameters()}
    assert {rates[p] for p in algorithm.before.parameters()} == {0.0}
    assert not any(p.requires_grad for p in algorithm.before.parameters())
