"""FixMatch: Pseudo-labels and consistency between two views of the target."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor

from tests.support.algorithms import check_refusal
from tests.support.views import attached_double, check_a_method_beats_itself_without_its_term, target_cues, two_views


def ce(logits: Tensor, y: Tensor) -> float:
    log_p = log_softmax(logits.detach().numpy(), axis=1)
    return -sum(row[label] for row, label in zip(log_p, y.tolist(), strict=True)) / len(y)


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.0])
def test_fixmatch_takes_the_confident_labels_of_the_mild_view_for_the_strong_one(threshold: float) -> None:
    algorithm = attached_double("FixMatch", threshold=threshold, weight=0.5)
    source, target = two_views(algorithm)
    p, log_strong = (
        softmax(target.logits.detach().numpy(), axis=1),
        log_softmax(target.strong.logits.detach().numpy(), 1),
    )
    taken = [(q.argmax(), row) for q, row in zip(p, log_strong, strict=True) if q.max() >= threshold]
    assert {0.0: len(taken) == 7, 0.7: 0 < len(taken) < 7, 1.0: not taken}[threshold]
    terms = algorithm.loss(source, target, 0.5)
    assert terms["consistency"].item() == pytest.approx(0.5 * -sum(row[c] for c, row in taken) / 7, abs=1e-8)
    assert terms["classification"].item() == pytest.approx(ce(source.logits, source.y), abs=1e-8)
    mild = torch.autograd.grad(terms["consistency"], target.logits, allow_unused=True, retain_graph=True)[0]
    assert mild is None


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"threshold": 1.1}, "threshold"),
        ({"weight": -1.0}, "weight"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("FixMatch", hparams, message)


def test_a_method_beats_itself_without_its_term() -> None:
    check_a_method_beats_itself_without_its_term("FixMatch", target_cues, {}, {"weight": 0.0})
