"""CoWA: Confidence score weighting adaptation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor

from dalib.core.errors import DalibError
from dalib.core.types import Outputs, Source, Target
from dalib.nn.confidence import joint_confidence
from tests.support.algorithms import array, attached, batch, check_refusal
from tests.support.phases import (
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one,
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda,
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda,
    turned,
)


def test_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda() -> None:
    check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda("CoWA")


def test_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda() -> None:
    check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda("CoWA")


def test_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one("CoWA", tmp_path)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("CoWA", turned, 0.1)


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("CoWA")


def taught(**hparams: Any) -> tuple[Any, Tensor, Tensor]:
    """In phase two, with labels and confidences of ten rows."""
    g = torch.Generator().manual_seed(4)
    z, logits = torch.randn(10, 6, generator=g), 2 * torch.randn(10, 3, generator=g)
    algorithm = attached("CoWA", **hparams)
    algorithm.register_buffer("begun", torch.ones(()))
    algorithm.begin_epoch(SimpleNamespace(outputs=lambda a, d: Outputs(z, logits, None)), None)
    y, w = joint_confidence(z, logits.softmax(1))
    assert torch.equal(algorithm.labels, y) and torch.equal(algorithm.confidence, w)
    return algorithm, y, w


def rows() -> Target:
    _, target = batch()
    return Target(target.x, torch.tensor([9, 2, 3, 3, 0, 1, 7]), target.z, target.logits)


def test_the_term_is_the_cross_entropy_of_the_labels_weighed_by_confidence() -> None:
    algorithm, y, w = taught()
    target = rows()
    log_p = log_softmax(array(target.logits), axis=1)
    expected = np.mean([-float(w[j]) * log_p[i, int(y[j])] for i, j in enumerate(target.index.tolist())])
    source = Source.of(torch.zeros(0, 6), torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    assert algorithm.adapt(source, target, 0.5)["confident"].item() == pytest.approx(expected, abs=1e-6)


def test_a_step_mixes_rows_confidences_and_labels_by_the_same_parts() -> None:
    algorithm, y, w = taught(mixup=1.0)
    target, seen = rows(), []

    class Minimise:
        def forward(self, source: Source, mixed: Target) -> tuple[Source, Target]:
            seen.append(mixed.x)
            return source, Target(mixed.x, mixed.index, mixed.z, mixed.x[:, :3])

        def __call__(self, terms: dict[str, Tensor]) -> None:
            seen.append(terms["confident"])

    nothing = Source.of(torch.zeros(0, 6), torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    torch.manual_seed(0)
    algorithm.step(nothing, target, 0.5, Minimise())
    torch.manual_seed(0)
    other, part = torch.randperm(7), torch.distributions.Beta(1.0, 1.0).sample((7,))
    x, mixed, total = array(target.x), array(seen[0]), 0.0
    for i, j in enumerate(other.tolist()):
        a = float(part[i])
        np.testing.assert_allclose(mixed[i], a * x[i] + (1 - a) * x[j], atol=1e-6)
        one, two = (int(target.index[r]) for r in (i, j))
        log_p = log_softmax(mixed[i, :3])
        confidence = a * float(w[one]) + (1 - a) * float(w[two])
        total -= confidence * (a * log_p[int(y[one])] + (1 - a) * log_p[int(y[two])]) / 7
    assert float(seen[1]) == pytest.approx(total, abs=1e-5)


def test_input_that_cannot_be_mixed_is_refused_in_one_line() -> None:
    algorithm, _, _ = taught()
    target = rows()
    nothing = Source.of(torch.zeros(0, 6), torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    ids = Target(target.index[:, None], target.index, target.z, target.logits)
    with pytest.raises(DalibError, match=r"cannot be mixed; set cowa\.mixup = 0"):
        algorithm.step(nothing, ids, 0.5, None)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("CoWA", {"mixup": -0.1}, "cowa.mixup = -0.1")
