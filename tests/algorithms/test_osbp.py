"""OSBP: Open set domain adaptation by backpropagation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.algorithms import DIM, K, array, attached, batch, check_refusal
from tests.support.settings import (
    blobs,
    check_a_method_with_a_classification_term_of_its_own_is_not_added,
    check_each_says_what_it_is_for,
    measure,
)


def test_osbp_separates_a_foreign_class_better_than_rejection_by_entropy() -> None:
    source, target = blobs(0), blobs(2, (0.8, 0.3, 0, 0), classes=(0, 1, 2, 3, 4))
    plain = measure("SourceOnly", source, target, "target_h_score", reject=0.5)
    osbp = measure("OSBP", source, target, "target_h_score")
    assert osbp > plain + 0.1, f"OSBP: {osbp:.3f}, source only with rejection at 0.5: {plain:.3f}"


def test_a_method_with_a_classification_term_of_its_own_is_not_added() -> None:
    check_a_method_with_a_classification_term_of_its_own_is_not_added("OSBP")


@pytest.mark.parametrize("boundary", [0.5, 0.3])
def test_osbp_terms_are_the_papers_and_features_go_against_the_boundary(boundary: float) -> None:
    algorithm = attached("OSBP", weight=0.5, boundary=boundary)
    torch.nn.init.normal_(algorithm.classifier.weight)
    source, target = batch()
    W, b = array(algorithm.classifier.weight), array(algorithm.classifier.bias)
    total, ce = 0.0, []
    for row in array(target.z):
        e = np.exp(W @ row + b)
        p = e[-1] / e.sum()
        total -= boundary * math.log(p) + (1 - boundary) * math.log(1 - p)
    for row, k in zip(array(source.z), source.y.tolist(), strict=True):
        e = np.exp(W @ row + b)
        ce.append(-math.log(e[k] / e.sum()))
    terms = algorithm.loss(source, target, 0.5)
    assert terms["boundary"].item() == pytest.approx(0.5 * total / len(target), abs=1e-5)
    assert terms["classification"].item() == pytest.approx(np.mean(ce), abs=1e-5)
    z = target.z.detach().clone().requires_grad_()
    p = algorithm.classifier(z).softmax(1)[:, -1]
    straight = -0.5 * (boundary * p.log() + (1 - boundary) * (1 - p).log()).mean()
    (expected,) = torch.autograd.grad(straight, z)
    (found,) = torch.autograd.grad(terms["boundary"], target.z)
    torch.testing.assert_close(found, -expected, atol=1e-6, rtol=1e-4)


def test_osbp_predicts_an_unknown_class_from_a_head_of_its_own() -> None:
    algorithm, x = attached("OSBP"), torch.randn(5, DIM)
    z, logits = algorithm.predict(x)
    assert type(algorithm).rejects and logits.shape == (5, K + 1)
    torch.testing.assert_close(logits, algorithm.classifier(z))
    sum(algorithm.loss(*batch(), 0.5).values()).backward()
    assert all(p.grad is None for p in algorithm.network.head.parameters())


def test_osbp_stays_finite_when_it_is_certain() -> None:
    algorithm = attached("OSBP")
    torch.nn.init.normal_(algorithm.classifier.weight, 0.0, 1000.0)
    source, target = batch()
    term = algorithm.loss(source, target, 0.5)["boundary"]
    (gradient,) = torch.autograd.grad(term, target.z)
    assert term.isfinite() and gradient.isfinite().all() and gradient.abs().max() > 0


def test_each_says_what_it_is_for() -> None:
    check_each_says_what_it_is_for("OSBP", "open-set")


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"boundary": 0.0}, "osbp.boundary = 0.0 is out of range"),
        ({"boundary": 1.0}, "osbp.boundary = 1.0 is out of range; give a number in (0, 1)"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("OSBP", hparams, message)
