"""StochNorm: Stochastic normalisation: every batch norm of the backbone has two branches in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dalib.core.network import Network
from dalib.nn.stoch_norm import StochNorm2d
from tests.support.algorithms import check_refusal, make
from tests.support.image_methods import (
    check_a_backbone_may_be_fitted_twice,
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one,
    check_a_model_file_predicts_what_was_fitted,
    check_every_recipe_trains_to_finite_outputs,
    every_recipe,
    on_images,
)
from tests.support.image_world import copy_state, differing, make_backbone, make_image_task


def test_a_killed_run_on_images_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one("stoch_norm", tmp_path)


def test_a_model_file_predicts_what_was_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_a_model_file_predicts_what_was_fitted("stoch_norm", tmp_path, monkeypatch)


@every_recipe
def test_every_recipe_trains_to_finite_outputs(changes: dict[str, Any]) -> None:
    check_every_recipe_trains_to_finite_outputs("stoch_norm", changes)


def test_a_backbone_may_be_fitted_twice() -> None:
    check_a_backbone_may_be_fitted_twice("stoch_norm")


def test_stoch_norm_replaces_the_backbones_batch_norms_and_keeps_their_state() -> None:
    algorithm = make("stoch_norm", p=0.25)
    algorithm.attach(Network(make_backbone(), 3, bottleneck=8))
    norms = [m for m in algorithm.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert [type(m) for m in norms] == [StochNorm2d, StochNorm2d, nn.BatchNorm1d]
    assert [m.p for m in norms[:2]] == [0.25, 0.25]
    assert differing(copy_state(algorithm.network.backbone), copy_state(make_backbone().module)) == []


def test_stoch_norm_with_p_1_is_fine_tuning_and_with_p_0_trains_on_moving_statistics() -> None:
    logits = {
        p: on_images("stoch_norm", hparams={"p": p}).outputs(make_image_task().test).logits for p in (0.0, 0.5, 1.0)
    }
    plain = on_images("source_only").outputs(make_image_task().test).logits
    torch.testing.assert_close(logits[1.0], plain, rtol=1e-3, atol=1e-4)
    assert all(float((logits[p] - plain).abs().max()) > 0.01 for p in (0.0, 0.5))


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("stoch_norm", {"p": 1.5}, "stoch_norm.p = 1.5 is out of range; give a number in [0, 1]")
