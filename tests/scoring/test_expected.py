"""The expected accuracy and its interval: the formula, what it is blind to, and what it covers where nothing shifts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import dalib
from dalib.core.errors import DalibError
from dalib.core.types import Outputs
from dalib.scoring.expected import _doubts, cannot_expect, expected_accuracy
from tests.forecasts.test_forecasts import OTHER, SOURCE, TARGET, draw


@pytest.mark.parametrize("falls", [True, False])
def test_the_interval_is_the_forecasts_spread_chance_and_half_the_fall(falls: bool) -> None:
    source, target = (SOURCE, TARGET) if falls else (draw(80, 1.5, 1), draw(200, 2.5, 0))
    found = expected_accuracy(source, target)
    assert found is not None and (found.source > found.value) == falls
    counting = [found.forecasts[n] for n in ("atc", "average_confidence", "difference_of_confidences")]
    value, acc = np.median(counting), found.source
    assert acc == pytest.approx(float((source.logits.argmax(1) == source.y).double().mean()))
    a, b = (acc * 80 + 1) / 82, (value * 200 + 1) / 202
    reach = 1.6448536 * np.sqrt(a * (1 - a) / 80 + b * (1 - b) / 200) + max(0, acc - value) / 2
    assert found.value == pytest.approx(value)
    assert found.low == pytest.approx(max(0, min(counting) - reach), abs=1e-6)
    assert found.high == pytest.approx(min(1, max(counting) + reach), abs=1e-6)
    assert (found.held_out, found.rows) == (80, 200)
    assert str(found) == f"{value:.1%} ({found.low:.0%} to {found.high:.0%})"


def test_labels_of_the_target_change_nothing_and_a_second_model_adds_agreement() -> None:
    plain = expected_accuracy(SOURCE, TARGET)
    assert plain == expected_accuracy(SOURCE, replace(TARGET, y=None)) and "agreement" not in plain.forecasts
    second = expected_accuracy(SOURCE, TARGET, OTHER)
    assert second is not None and "agreement" in second.forecasts and second.value == plain.value


def test_without_a_shift_the_interval_covers_the_accuracy() -> None:
    hits = 0
    for seed in range(60):
        target = draw(150, 2.0, 1000 + seed)
        found = expected_accuracy(draw(60, 2.0, seed), target)
        assert found is not None
        hits += found.low <= float((target.logits.argmax(1) == target.y).double().mean()) <= found.high
    assert hits >= 54


def test_too_few_rows_say_nothing() -> None:
    few = Outputs(SOURCE.z[:9], SOURCE.logits[:9], SOURCE.y[:9])
    assert expected_accuracy(few, TARGET) is None
    assert expected_accuracy(SOURCE, Outputs(TARGET.z[:9], TARGET.logits[:9], None)) is None
    assert expected_accuracy(replace(SOURCE, y=None), TARGET) is None


def test_what_was_seen_to_fail_is_a_doubt() -> None:
    sure = replace(TARGET, logits=20 * torch.nn.functional.one_hot(torch.arange(200) % 4, 4).float())
    found = expected_accuracy(SOURCE, sure)
    assert found is not None and "as sure on the target as on the source" in found.doubts[0]
    far = replace(TARGET, logits=0.01 * TARGET.logits)
    found = expected_accuracy(SOURCE, far)
    assert found is not None and any("further falls were underestimated" in text for text in found.doubts)


def test_a_model_that_answers_few_classes_is_expected_nothing_of() -> None:
    one = replace(TARGET, logits=torch.tensor([[2.0, 0, 0, 0]]).repeat(200, 1))
    assert expected_accuracy(SOURCE, one) is None
    with pytest.raises(DalibError, match="only 1 of 4 classes are answered in 200 target rows"):
        dalib.expect(SOURCE, one)


def test_outputs_kept_elsewhere_are_enough() -> None:
    assert dalib.expect(SOURCE, TARGET, second=OTHER) == expected_accuracy(SOURCE, TARGET, OTHER)
    with pytest.raises(DalibError, match="give Outputs of held-out source rows and of the target, both"):
        dalib.expect(SOURCE, np.zeros((3, 2)))
    with pytest.raises(DalibError, match="80 held-out source rows and 3 target rows are too few"):
        dalib.expect(SOURCE, Outputs(TARGET.z[:3], TARGET.logits[:3], None))


def certain(sure: float, n: int, right: float = 1.0) -> Outputs:
    """n rows whose likeliest class has probability `sure`, answered rightly in that part; four classes in turn."""
    y = torch.arange(n) % 4
    told = torch.where(torch.arange(n) < right * n, y, (y + 1) % 4)
    p = torch.full((n, 4), (1 - sure) / 3).scatter(1, told[:, None], sure)
    return Outputs(torch.zeros(n, 0), p.log(), y)


@pytest.mark.parametrize(("sure", "told"), [(0.8, True), (0.795, True), (0.785, False), (0.6, False)])
def test_a_model_that_is_a_hundredth_less_sure_on_the_target_is_not_doubted(sure: float, told: bool) -> None:
    found = expected_accuracy(certain(0.8, 80, 0.8), certain(sure, 80))
    assert found is not None and any("as sure on the target" in text for text in found.doubts) == told


def test_a_fall_of_a_quarter_is_doubted() -> None:
    assert not any("underestimated" in text for text in _doubts(SOURCE, TARGET, 0.9, 0.66))
    assert any("lies 26 points below" in text for text in _doubts(SOURCE, TARGET, 0.9, 0.64))


def test_few_rows_may_leave_classes_out() -> None:
    source, one = draw(80, 2.0, 0), torch.tensor([[2.0, 0, 0, 0]])
    for n, refused in ((11, False), (12, True), (13, True)):
        assert bool(cannot_expect(source, Outputs(torch.zeros(n, 0), one.repeat(n, 1), None))) == refused
