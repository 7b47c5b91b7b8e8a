"""ADDA: Adversarial discriminative domain adaptation: an encoder per domain, one head."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import dalib
from dalib.core.types import Source, Target
from tests.support.algorithms import attached, batch, check_refusal
from tests.support.image_world import copy_state
from tests.support.phases import (
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one,
    check_adapting_candidates_does_not_change_what_training_does,
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    check_only_the_parts_that_may_move_in_phase_two,
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda,
    check_predictions_use_the_statistics_of_the_whole_target,
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda,
    make_task,
    norm_first,
    plain_layers,
    reached,
    train,
    turned,
    watched,
)
from tests.support.shifts import translated


def test_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda() -> None:
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda("ADDA")


def test_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda() -> None:
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda("ADDA")


def test_only_the_parts_that_may_move_in_phase_two() -> None:
    check_only_the_parts_that_may_move_in_phase_two("ADDA", ("backbone.", "bottleneck."))


def test_the_head_moves_with_addas_target_encoder_where_the_adversary_sees_logits() -> None:
    check_only_the_parts_that_may_move_in_phase_two("ADDA", ("backbone.", "bottleneck.", "head."), sees="logits")


def test_addas_adversary_compares_the_logits_of_both_networks_where_it_sees_these() -> None:
    told: list[tuple[Tensor, Tensor]] = []

    class Watching(dalib.ADDA):  # type: ignore[misc, name-defined]
        def begin(self) -> None:
            super().begin()
            self.eval()
            self.before = self.network(torch.ones(3, 4))[1].detach()

        def _tell(self, source: Source, target: Target) -> Tensor:
            told.append((self.source_encoder(torch.ones(3, 4)), self._of(target)))
            assert torch.equal(self._of(target), target.logits)
            return super()._tell(source, target)

    algorithm = Watching(8, sees="logits")
    train(algorithm, make_task(translated()), norm_first(), steps=8)
    assert len(told) == 4 and all(torch.equal(m_s, algorithm.before) for m_s, _ in told)
    assert algorithm.discriminator.layers[0].in_features == 4


def test_addas_source_encoder_is_the_network_of_phase_one_and_stays() -> None:
    algorithm, before, _ = watched("ADDA")
    train(algorithm, make_task(translated()), norm_first(), steps=40)
    copies = copy_state(algorithm.source_encoder)  # type: ignore[arg-type]
    expected = [v for k, v in before.items() if not k.startswith("head.")]
    assert len(copies) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(copies.values(), expected, strict=True))


def test_addas_target_encoder_normalises_target_rows_among_themselves() -> None:
    """Although the recipe's forward pass is joint, and the source batch is there."""
    same: list[bool] = []

    class Watching(dalib.ADDA):  # type: ignore[misc, name-defined]
        def _tell(self, source: Source, target: Target) -> Tensor:
            same.append(torch.allclose(target.z, self.network(target.x)[0], atol=1e-5))
            return super()._tell(source, target)

    train(Watching(8), make_task(translated()), norm_first(), steps=8)
    assert same == [True] * 4


def test_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one("ADDA", tmp_path)


@pytest.mark.parametrize("changes", [{}, {"batch_norm": "eval"}, {"backbone_rate": 0.0}])
def test_adapting_candidates_does_not_change_what_training_does(changes: dict[str, Any]) -> None:
    check_adapting_candidates_does_not_change_what_training_does("ADDA", changes)


def test_predictions_use_the_statistics_of_the_whole_target() -> None:
    check_predictions_use_the_statistics_of_the_whole_target("ADDA")


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("ADDA", turned, 0.15)


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("ADDA")


def test_addas_adversary_learns_to_tell_separable_features_and_inverted_labels_make_them_confuse_it() -> None:
    algorithm = attached("ADDA", dtype=torch.float64, hidden=64)
    source, target = batch(40, 30, dtype=torch.float64)
    z_t = (target.z.detach() + 2).requires_grad_()
    right = []
    for term, learning, lr in (("discriminator", [*algorithm.discriminator.parameters()], 0.01), ("fool", [z_t], 0.2)):
        optimiser = torch.optim.Adam(learning, lr=lr)
        for _ in range(60):
            optimiser.zero_grad()
            algorithm.loss(source, Target.of(z_t, target.logits), 0.5)[term].backward()
            optimiser.step()
        told = algorithm.discriminator(torch.cat([source.z, z_t])) > 0
        right += [float(told[:40].double().mean()), float((~told[40:]).double().mean())]
    assert right[0] > 0.9 and right[1] > 0.9 and right[2] == right[0] and right[3] < 0.1


def play_adda(rate: float) -> tuple[float, float]:
    """Accuracy of the adversary in the last 40 steps, and of the classifier on the target."""
    told: list[float] = []

    class Watching(dalib.ADDA):  # type: ignore[misc, name-defined]
        def _tell(self, source: Source, target: Target) -> Tensor:
            with torch.no_grad():
                d_s, d_t = self.discriminator(self.source_encoder(source.x)), self.discriminator(target.z)
            told.append(float((torch.cat([d_s, -d_t]) > 0).float().mean()))
            return super()._tell(source, target)

    task = make_task(translated())
    fitted = train(Watching(64, rate=rate), task, plain_layers(), bottleneck=0, backbone_rate=1.0, steps=400)
    return float(np.mean(told[-40:])), reached(fitted, task)


def test_without_batch_norms_the_target_encoder_of_adda_confuses_the_adversary_by_itself() -> None:
    still, moving = play_adda(1e-9), play_adda(0.2)
    assert still[0] > 0.8 > 0.7 > moving[0]
    assert moving[1] > still[1] + 0.2


def test_addas_terms_are_the_two_cross_entropies_with_inverted_labels() -> None:
    source, target = batch(dtype=torch.float64)
    algorithm = attached("ADDA", dtype=torch.float64, hidden=8)
    terms = algorithm.loss(source, target, 0.5)
    d_s, d_t = (algorithm.discriminator(z).detach().numpy() for z in (source.z, target.z))  # type: ignore[operator]
    told = np.mean([math.log(1 + math.exp(-d)) for d in d_s]) + np.mean([math.log(1 + math.exp(d)) for d in d_t])
    assert terms["discriminator"].item() == pytest.approx(told, abs=1e-8)
    assert terms["fool"].item() == pytest.approx(np.mean([math.log(1 + math.exp(-d)) for d in d_t]), abs=1e-8)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"pretrain": 1.0}, "adda.pretrain = 1.0 is out of range; give a number in (0, 1)"),
        ({"hidden": 0}, "adda.hidden = 0"),
        ({"rate": 0.0}, "adda.rate = 0.0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("ADDA", hparams, message)
