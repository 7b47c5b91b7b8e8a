"""PseudoLabel: Self-training on the batch's own predictions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy.special import softmax

from tests.support.algorithms import attached, batch, check_refusal
from tests.support.phases import check_it_beats_source_only_on_its_shift, check_it_does_no_harm_without_a_shift
from tests.support.shifts import translated


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("PseudoLabel", translated, 0.05)


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("PseudoLabel")


@pytest.mark.parametrize(("progress", "part"), [(0.0, 0.0), (0.1, 0.0), (0.35, 0.5), (0.6, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("threshold", [0.0, 0.8])
def test_pseudo_labels_of_confident_rows_count_more_as_training_goes_on(
    progress: float, part: float, threshold: float
) -> None:
    source, target = batch(dtype=torch.float64)
    logits = target.logits.detach().numpy()
    p = softmax(logits, axis=1)
    total = sum(-math.log(row.max()) for row in p if row.max() >= threshold) / len(p)
    assert 0 < sum(row.max() >= 0.8 for row in p) < len(p)
    algorithm = attached("PseudoLabel", dtype=torch.float64, weight=2.0, threshold=threshold)
    for given in (progress, torch.tensor(progress, dtype=torch.float64)):
        term = algorithm.loss(source, target, given)["pseudo_label"]
        assert term.item() == pytest.approx(2 * part * total, abs=1e-8)
    (gradient,) = torch.autograd.grad(term, target.logits)
    used = gradient.abs().sum(1) > 0
    assert used.tolist() == [bool(part) and row.max() >= threshold for row in p]


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"threshold": 1.5}, "pseudo_label.threshold = 1.5"),
        ({"start": 0.6}, "pseudo_label.start, end = 0.6, 0.6; give 0 <= start < end <= 1"),
        ({"end": 1.5}, "pseudo_label.start, end = 0.1, 1.5"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("PseudoLabel", hparams, message)
