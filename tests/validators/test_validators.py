"""Validators against loops, at their limits, and without labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy

from dalib.core.registry import VALIDATORS
from dalib.core.types import Outputs
from dalib.core.validator import Validator

ALL = ("source_accuracy", "entropy", "information_maximisation", "oracle")


def make(name: str) -> Validator:
    return VALIDATORS.get(name)()


def outputs(logits: torch.Tensor, y: list[int] | None = None) -> Outputs:
    return Outputs(torch.zeros(len(logits), 2), logits, None if y is None else torch.tensor(y, dtype=torch.int64))


def random_outputs(seed: int) -> Outputs:
    return outputs(3 * torch.randn(20, 4, generator=torch.Generator().manual_seed(seed)))


EMPTY = outputs(torch.zeros(0, 4), [])


def test_all_are_found_by_file() -> None:
    assert set(ALL) <= set(VALIDATORS.names())


def test_source_accuracy_counts_held_out_rows() -> None:
    source = outputs(torch.eye(4), [0, 1, 2, 0])
    assert make("source_accuracy").score(source, random_outputs(0)) == 0.75


def test_source_accuracy_is_nan_without_held_out_rows() -> None:
    assert math.isnan(make("source_accuracy").score(EMPTY, random_outputs(0)))


def test_entropy_and_information_are_scipys_values() -> None:
    target = random_outputs(1)
    p = target.logits.double().softmax(1).numpy()
    mean = np.mean([scipy_entropy(row) for row in p])
    assert make("entropy").score(EMPTY, target) == pytest.approx(-mean, abs=1e-6)
    information = scipy_entropy(p.mean(0)) - mean
    assert make("information_maximisation").score(EMPTY, target) == pytest.approx(information, abs=1e-6)


def test_a_collapsed_model_has_the_best_entropy_and_no_information() -> None:
    collapsed = outputs(torch.tensor([[100.0, 0.0, 0.0, 0.0]] * 8))
    diverse = outputs(100 * torch.eye(4))
    assert make("entropy").score(EMPTY, collapsed) == pytest.approx(0, abs=1e-12)
    assert make("information_maximisation").score(EMPTY, collapsed) == pytest.approx(0, abs=1e-12)
    assert make("information_maximisation").score(EMPTY, diverse) == pytest.approx(math.log(4))


def test_only_the_oracle_reads_target_labels_and_says_so() -> None:
    blind, seen = outputs(torch.eye(4)), outputs(torch.eye(4), [0, 1, 3, 3])
    assert make("oracle").score(EMPTY, seen) == 0.75
    assert math.isnan(make("oracle").score(EMPTY, blind))
    assert [name for name in ALL if make(name).uses_target_labels] == ["oracle"]
    for name in ("entropy", "information_maximisation"):
        assert make(name).score(EMPTY, blind) == make(name).score(EMPTY, seen)


@pytest.mark.parametrize("name", ["entropy", "information_maximisation"])
def test_absent_class_logits_leave_scores_finite(name: str) -> None:
    target = outputs(torch.tensor([[0.5, 1.0, -1e4, -1e4], [1.0, 0.0, -1e4, -1e4]]))
    assert math.isfinite(make(name).score(EMPTY, target))
