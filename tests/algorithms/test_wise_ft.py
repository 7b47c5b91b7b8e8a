"""WiseFt: Weight-space ensemble of a probe of the pretrained backbone and its fine-tuned successor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import dalib
from dalib.core.network import Network
from dalib.train.fitted import Fitted
from tests.support.algorithms import check_refusal
from tests.support.image_world import CLASSES, copy_state, differing, make_backbone, make_image_task
from tests.support.pretrained import check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything
from tests.support.strategies import (
    check_a_backbone_rate_of_zero_freezes_the_backbone,
    check_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one,
    check_fewer_steps_than_descents_are_no_error,
    check_the_classes_are_learnt,
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used,
    check_the_probe_moves_no_backbone_weight_and_what_follows_moves_all,
    train,
)


def test_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything() -> None:
    check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything("WiseFt", {})


def test_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used() -> None:
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used("WiseFt")


def test_the_classes_are_learnt() -> None:
    check_the_classes_are_learnt("WiseFt")


@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_descents_are_no_error(steps: int) -> None:
    check_fewer_steps_than_descents_are_no_error("WiseFt", steps)


def test_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one("WiseFt", tmp_path)


def test_a_backbone_rate_of_zero_freezes_the_backbone() -> None:
    check_a_backbone_rate_of_zero_freezes_the_backbone("WiseFt")


def test_the_probe_moves_no_backbone_weight_and_what_follows_moves_all() -> None:
    check_the_probe_moves_no_backbone_weight_and_what_follows_moves_all("WiseFt")


class Watched(dalib.WiseFt):  # type: ignore[misc, name-defined]
    """Keeps both ends and the predictions of its candidates."""

    ends: list[dict[str, Tensor]]
    alphas: list[float]

    def begin(self) -> None:
        super().begin()
        self.ends = [copy_state(self.network)]

    def _mixture(self) -> dict[str, Tensor]:
        self.ends[1:] = [copy_state(self.network)]
        return super()._mixture()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.8, 1.0])
def test_wise_fts_network_is_the_mixture_of_both_ends(alpha: float) -> None:
    fitted = train(Watched(alpha=alpha), steps=20, bottleneck=8)
    start, end = fitted.algorithm.ends
    state = copy_state(fitted.algorithm.network)
    for key, value in state.items():
        if value.is_floating_point():
            expected = (1 - alpha) * start[key].double().numpy() + alpha * end[key].double().numpy()
            np.testing.assert_allclose(value.numpy(), expected, rtol=0, atol=1e-6)
    assert not any(k.startswith("start.") for k in fitted.algorithm.state_dict())


def test_wise_ft_evaluates_and_saves_the_mixture() -> None:
    """A candidate in the middle, the end, and the state that a file holds."""
    task, found = make_image_task(), []

    def evaluate(fitted: Fitted, step: int) -> dict[str, Any]:
        algorithm, given = fitted.algorithm, fitted.outputs(task.test).logits
        if step == 30:
            mean = Network(make_backbone(), len(CLASSES), 8)
            ends = algorithm.start.state_dict(), algorithm.network.state_dict()
            mean.load_state_dict(
                {
                    k: (a + b) / 2 if b.is_floating_point() else b
                    for (k, b), a in zip(ends[1].items(), ends[0].values(), strict=True)
                }
            )
            x = torch.cat(list(fitted.batches(fitted.store(task.test))))
            torch.testing.assert_close(given, mean.eval()(x)[1], rtol=1e-4, atol=1e-5)
            assert not torch.allclose(given, algorithm.network(x)[1], atol=1e-2)
        found.append(step)
        return {}

    fitted = train(dalib.WiseFt(), evaluate=evaluate, steps=40, evaluations=4)
    assert found == [10, 20, 30, 40]
    x = torch.cat(list(fitted.batches(fitted.store(task.test))))
    torch.testing.assert_close(fitted.outputs(task.test).logits, fitted.algorithm.network(x)[1])


def test_wise_ft_with_alpha_1_is_lp_ft() -> None:
    states = [copy_state(train(a, steps=20).algorithm.network) for a in (dalib.WiseFt(alpha=1.0), dalib.LpFt())]
    assert differing(*states) == []


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"alpha": 1.5}, "wise_ft.alpha = 1.5 is out of range; give a number between 0 and 1"),
        ({"alpha": -0.1}, "wise_ft.alpha = -0.1"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("WiseFt", hparams, message)
