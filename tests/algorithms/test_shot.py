"""SHOT: Source hypothesis transfer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy as scipy_entropy

import dalib
from dalib.checks.world import fit
from dalib.core.errors import DalibError
from dalib.core.types import Domain, Outputs
from dalib.nn.centroids import centroid_labels
from tests.support.algorithms import attached, batch, check_refusal
from tests.support.phases import (
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one,
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    check_only_the_parts_that_may_move_in_phase_two,
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda,
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda,
    make_task,
    reached,
    source_only,
    train,
    turned,
)


def test_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda() -> None:
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda("SHOT")


def test_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda() -> None:
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda("SHOT")


def test_only_the_parts_that_may_move_in_phase_two() -> None:
    check_only_the_parts_that_may_move_in_phase_two("SHOT", ("backbone.", "bottleneck."))


def test_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one("SHOT", tmp_path)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("SHOT", turned, 0.3)


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("SHOT")


def test_shots_pseudo_labels_add_to_information_maximisation() -> None:
    task = make_task(turned())
    without, with_labels = (reached(train(dalib.SHOT(weight=w), task), task) for w in (0.0, 0.3))
    assert with_labels > without + 0.02


def test_shot_labels_the_whole_target_before_each_pass_of_phase_two() -> None:
    calls: list[int | None] = []

    class Watching(dalib.SHOT):  # type: ignore[misc, name-defined]
        def begin_epoch(self, trainer: Any, target: Domain) -> None:
            super().begin_epoch(trainer, target)
            calls.append(None if self.labels is None else len(self.labels))

    task = make_task(turned())
    fitted = train(Watching(), task, steps=40)
    assert calls == [None] * 3 + [240] * 3
    agree = fitted.algorithm.labels == torch.as_tensor(task.test.labels)  # type: ignore[operator]
    assert float(agree.float().mean()) > source_only(turned)


def test_shot_labels_by_two_rounds_of_centroids() -> None:
    g = torch.Generator().manual_seed(0)
    differ = 0
    for _ in range(20):
        z, logits = 9 * torch.randn(8, 2, generator=g), 2 * torch.randn(8, 5, generator=g)

        algorithm = attached("SHOT")
        algorithm.register_buffer("begun", torch.ones(()))
        trainer = SimpleNamespace(outputs=lambda algorithm, domain, told=(z, logits): Outputs(*told, None))
        algorithm.begin_epoch(trainer, None)
        one, two = (centroid_labels(z, logits.softmax(1), rounds) for rounds in (1, 2))
        assert torch.equal(algorithm.labels, two)
        differ += not torch.equal(one, two)
    assert differ > 3


def test_shots_terms_are_entropies_and_the_cross_entropy_of_the_stored_labels() -> None:
    source, target = batch(dtype=torch.float64)
    algorithm = attached("SHOT", dtype=torch.float64, weight=0.5)
    assert {*algorithm.adapt(source, target, 0.5)} == {"information"}
    algorithm.labels = torch.tensor([2, 1, 0, 2, 2, 1, 0])
    terms = algorithm.adapt(source, target, 0.5)
    logits = target.logits.detach().numpy()
    p, log_p = softmax(logits, axis=1), log_softmax(logits, axis=1)
    information = np.mean([scipy_entropy(row) for row in p]) - scipy_entropy(p.mean(0))
    labels = np.mean([-log_p[i, y] for i, y in enumerate(algorithm.labels.tolist())])
    assert terms["information"].item() == pytest.approx(information, abs=1e-8)
    assert terms["pseudo_label"].item() == pytest.approx(0.5 * labels, abs=1e-8)


def test_shot_smooths_the_labels_of_phase_one() -> None:
    source, _ = batch(dtype=torch.float64)
    log_p = log_softmax(source.logits.detach().numpy(), axis=1)
    each = [-0.8 * log_p[i, y] - 0.2 * log_p[i].mean() for i, y in enumerate(source.y.tolist())]
    term = attached("SHOT", dtype=torch.float64, smoothing=0.2).supervise(source)
    assert term.item() == pytest.approx(np.mean(each), abs=1e-8)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"pretrain": 0.0}, "shot.pretrain = 0.0"),
        ({"smoothing": 1.0}, "shot.smoothing = 1.0 is out of range; give a number in [0, 1)"),
        ({"weight": -0.1}, "shot.weight = -0.1"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("SHOT", hparams, message)


def test_nothing_left_to_train_is_one_clear_line() -> None:
    with pytest.raises(DalibError, match="nothing is left to train"):
        fit(dalib.SHOT, bottleneck=0)
