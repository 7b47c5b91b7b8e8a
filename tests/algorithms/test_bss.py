"""BSS: Batch spectral shrinkage: against negative transfer of what the pretrained features hold by accident."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dalib.train.loop import Loop
from tests.support.algorithms import check_refusal
from tests.support.image_methods import (
    attached_to_images,
    check_a_backbone_may_be_fitted_twice,
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one,
    check_a_model_file_predicts_what_was_fitted,
    check_every_recipe_trains_to_finite_outputs,
    every_recipe,
    image_batch,
)


def test_a_killed_run_on_images_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_killed_run_on_images_ends_as_an_uninterrupted_one("bss", tmp_path)


def test_a_model_file_predicts_what_was_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_a_model_file_predicts_what_was_fitted("bss", tmp_path, monkeypatch)


@every_recipe
def test_every_recipe_trains_to_finite_outputs(changes: dict[str, Any]) -> None:
    check_every_recipe_trains_to_finite_outputs("bss", changes)


def test_a_backbone_may_be_fitted_twice() -> None:
    check_a_backbone_may_be_fitted_twice("bss")


def test_bss_shrinks_the_smallest_singular_values() -> None:
    algorithm = attached_to_images("bss", weight=0.1, k=2)
    source, target = image_batch(algorithm)
    s = np.linalg.svd(source.z.detach().numpy(), compute_uv=False)
    term = algorithm.loss(source, target, 0.5)["shrinkage"]
    assert float(term.detach()) == pytest.approx(0.1 * float(s[-1] ** 2 + s[-2] ** 2), rel=1e-4)
    smallest = []
    for weight in (0.0, 1.0):
        torch.manual_seed(0)
        trained = attached_to_images("bss", weight=weight)
        loop = Loop(trained, torch.optim.SGD(trained.parameters(), lr=0.02))
        for _ in range(40):
            loop.step(source.x, source.y, source.x[:0], 0.5)
        z = trained.network(source.x)[0].detach()
        smallest.append(float(torch.linalg.svdvals(z)[-1] / torch.linalg.svdvals(z)[0]))
    assert smallest[1] < 0.2 * smallest[0]


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"k": 0}, "bss.k = 0 is out of range; give a whole number >= 1"),
        ({"weight": math.nan}, "bss.weight = nan"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("bss", hparams, message)
