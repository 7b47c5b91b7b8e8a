"""PADA: Partial adversarial domain adaptation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.network import Network
from dalib.core.types import Domain, Outputs
from tests.support.algorithms import (
    DIM,
    K,
    array,
    attached,
    batch,
    check_features_meet_the_adversary_by_degrees,
    check_refusal,
)
from tests.support.settings import (
    HIDDEN,
    blobs,
    check_each_says_what_it_is_for,
    cross_entropies,
    log_loss,
    measure,
)


def test_absent_classes_make_dann_worse_than_source_only_and_not_pada() -> None:
    source, target = blobs(0), blobs(2, (0.5, 0.2, 0, 0.5), classes=(0,))
    plain, dann, pada = (
        measure(name, source, target, seeds=range(4), **h)  # type: ignore[arg-type]
        for name, h in (("SourceOnly", {}), ("DANN", HIDDEN), ("PADA", HIDDEN))
    )
    assert dann < plain - 0.03, f"DANN: {dann:.3f}, source only: {plain:.3f}"
    assert pada > max(plain, dann + 0.05), f"PADA: {pada:.3f}, DANN: {dann:.3f}, source only: {plain:.3f}"


def test_in_a_sum_its_weights_of_classes_are_the_supervised_loss() -> None:
    both = dalib.PADA(hidden=8) + dalib.MCC()
    both.attach(Network.on_features(DIM, K, bottleneck=0))
    pada = both.parts["pada"]
    pada.gamma.copy_(torch.tensor([1.0, 0.25, 0.0]))
    source, target = batch()
    terms = both.loss(source, target, 0.5)
    assert set(terms) == {"classification", "adversarial", "confusion"}
    assert torch.equal(terms["classification"], pada.supervise(source))


def test_pada_weighs_both_source_terms_by_the_class() -> None:
    algorithm = attached("PADA", weight=0.5, hidden=8, dropout=0.0)
    algorithm.gamma.copy_(torch.tensor([1.0, 0.25, 0.0]))
    source, target = batch()
    gamma = [[1.0, 0.25, 0.0][k] for k in source.y.tolist()]
    d_s, d_t = (array(algorithm.discriminator(z)) for z in (source.z, target.z))
    ce = sum(w * v for w, v in zip(gamma, cross_entropies(source), strict=True)) / sum(gamma)
    bce_s = np.mean([w * log_loss(v, 1) for w, v in zip(gamma, d_s, strict=True)])
    bce_t = np.mean([log_loss(v, 0) for v in d_t])
    terms = algorithm.loss(source, target, 1.0)
    assert terms["classification"].item() == pytest.approx(ce, abs=1e-5)
    assert terms["adversarial"].item() == pytest.approx(0.5 * (bce_s + bce_t) / 2, abs=1e-5)


def test_pada_stays_finite_when_no_class_of_a_batch_counts() -> None:
    algorithm = attached("PADA", hidden=8, dropout=0.0)
    algorithm.gamma.copy_(torch.tensor([0.0, 0.0, 1.0]))
    source, target = batch()
    terms = algorithm.loss(source, target, 1.0)
    gradients = torch.autograd.grad(sum(terms.values()), [source.z, source.logits, target.z])
    assert terms["classification"].item() == 0
    assert all(g.isfinite().all() for g in gradients)


def test_pada_asks_for_the_mean_prediction_of_the_target_before_each_pass() -> None:
    class Predictions:
        """The trainer's part."""

        def outputs(self, algorithm: Algorithm, domain: Domain) -> Outputs:
            return Outputs(torch.zeros(2, DIM), torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]).log(), None)

    algorithm = attached("PADA")
    assert algorithm.gamma.tolist() == [1, 1, 1]
    algorithm.begin_epoch(Predictions(), Domain("t", np.zeros((2, DIM), np.float32), None, ("a", "b", "c"), ""))
    np.testing.assert_allclose(algorithm.gamma.numpy(), [0.8, 1.0, 0.2], atol=1e-6)
    assert "gamma" in algorithm.state_dict()


def test_each_says_what_it_is_for() -> None:
    check_each_says_what_it_is_for("PADA", "partial")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("PADA", {"weight": -1.0}, "pada.weight = -1.0")


def test_features_meet_the_adversary_by_degrees() -> None:
    check_features_meet_the_adversary_by_degrees("PADA", "adversarial", hidden=8, dropout=0.0)
