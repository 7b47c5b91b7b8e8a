"""DELTA: Deep learning transfer using feature maps, all channels alike."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dalib
from dalib.core.network import Network
from tests.support.algorithms import check_refusal
from tests.support.image_methods import (
    attached_to_images,
    check_a_backbone_may_be_fitted_twice,
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one,
    check_a_model_file_predicts_what_was_fitted,
    check_every_recipe_trains_to_finite_outputs,
    every_recipe,
    hiding,
    image_batch,
    on_images,
    reached,
    world,
)
from tests.support.image_world import copy_state, differing, make_backbone


def test_a_killed_run_on_images_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one("delta", tmp_path)


def test_a_model_file_predicts_what_was_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_a_model_file_predicts_what_was_fitted("delta", tmp_path, monkeypatch)


@every_recipe
def test_every_recipe_trains_to_finite_outputs(changes: dict[str, Any]) -> None:
    check_every_recipe_trains_to_finite_outputs("delta", changes)


def test_a_backbone_may_be_fitted_twice() -> None:
    check_a_backbone_may_be_fitted_twice("delta")


def test_delta_is_half_the_squared_distance_of_both_blocks_maps() -> None:
    algorithm = attached_to_images("delta", weight=0.3)
    module = algorithm.network.backbone
    with torch.no_grad():
        module[0][0].weight.mul_(1.5)
        module[1][0].bias.add_(0.2)
    pretrained = make_backbone().module.eval()
    source, target = image_batch(algorithm)
    expected = 0.0
    with torch.no_grad():
        mine, kept = copy.deepcopy(module)[0](source.x), pretrained[0](source.x)
        pairs = [(mine, kept), (copy.deepcopy(module)[1](mine), pretrained[1](kept))]
    for a, b in pairs:
        rows, channels, height, width = a.shape
        difference = (a - b).double().numpy() ** 2
        each = [sum(difference[i, c].sum() / (height * width) for c in range(channels)) for i in range(rows)]
        expected += 0.3 * 0.5 * float(np.mean(each))
    term = algorithm.loss(source, target, 0.5)["feature_maps"]
    assert float(term.detach()) == pytest.approx(expected, rel=1e-4)
    term.backward()
    assert module[1][0].bias.grad is not None and all(p.grad is None for p in algorithm.pretrained.parameters())


def test_deltas_distance_is_zero_before_training_without_batch_statistics() -> None:
    algorithm = attached_to_images("delta", make_backbone(norm=False))
    assert float(algorithm.loss(*image_batch(algorithm), 0.0)["feature_maps"].detach()) == 0


def test_delta_keeps_maps_near_those_of_a_network_that_does_not_learn() -> None:
    kept, distances = make_backbone().module.state_dict(), []
    for weight in (0.0, 0.64):
        algorithm = on_images("delta", hparams={"weight": weight}, batch_norm="eval").algorithm
        assert differing(copy_state(algorithm.pretrained), kept) == []
        algorithm.weight = 1.0
        distances.append(float(algorithm.loss(*image_batch(algorithm), 1.0)["feature_maps"].detach()))
    assert 0 < distances[1] < 0.5 * distances[0], distances


def test_delta_beats_plain_fine_tuning_where_rows_are_few_and_the_pretrained_maps_are_good() -> None:
    task = world(lambda x: x[:, 0] > 0, 400, few=12)
    free, near = (reached("delta", task, hiding(), {"weight": w}) for w in (0.0, 3.0))
    assert near > free + 0.03, (free, near)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("delta", {"weight": -1.0}, "delta.weight = -1.0 is out of range")


def test_a_penalty_may_be_added_to_another_method() -> None:
    both = dalib.DELTA(weight=0.5) + dalib.BSS()
    both.attach(Network(make_backbone(), 3, bottleneck=0))
    both.train()
    assert {*both.loss(*image_batch(both), 0.5)} == {"classification", "feature_maps", "shrinkage"}
    assert not any(m.training for m in both.get_submodule("delta.pretrained").modules())
