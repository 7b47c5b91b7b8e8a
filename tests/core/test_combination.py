"""`DANN() + MCC()`: the terms of both, one classification loss, one network, one name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import dalib
from dalib import DANN, MCC, MCD
from dalib.bench.row import Row
from dalib.checks.algorithm import checks_for
from dalib.checks.runner import check_algorithm
from dalib.checks.world import attached, batches
from dalib.core.algorithm import Algorithm
from dalib.core.combination import Combination, can_combine
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Domain
from tests.support.algorithms import DIM, K, batch


@pytest.mark.parametrize("names", [("DANN", "ATDOC"), ("MCC", "MSTN"), ("HoMM", "ATDOC")])
def test_ideas_that_are_a_loss_can_be_added(names: tuple[str, str]) -> None:
    both = getattr(dalib, names[0])() + getattr(dalib, names[1])()
    both.attach(Network.on_features(DIM, K, bottleneck=0))
    both.begin_epoch(None, Domain("target", np.zeros((20, DIM), np.float32), None, ("a", "b", "c"), ""))  # type: ignore[arg-type]
    assert all(term.isfinite() for term in both.loss(*batch(), 0.5).values())


PAIRS = ("dann+mcc", "cdan+mcc", "afn+dann", "entropy_minimisation+mmd", "bsp+mcc")


@pytest.mark.parametrize("name", PAIRS)
def test_a_combination_keeps_the_contract(name: str) -> None:
    failed = [r for r in check_algorithm(ALGORITHMS.get(name), name) if not r.passed and r.name != "docstring"]
    assert failed == []


def test_the_terms_are_the_parts_and_classification_counts_once() -> None:
    both = DANN(weight=0.3) + MCC(temperature=2.0)
    both.attach(Network.on_features(DIM, K, bottleneck=0))
    source, target = batch()
    terms = both.loss(source, target, 0.5)
    dann, mcc = both.get_submodule("dann"), both.get_submodule("mcc")
    first, second = dann.loss(source, target, 0.5), mcc.loss(source, target, 0.5)
    assert set(terms) == {"classification", "adversarial", "confusion"}
    assert torch.equal(terms["adversarial"], first["adversarial"])
    assert torch.equal(terms["confusion"], second["confusion"])
    assert torch.equal(terms["classification"], cross_entropy(source.logits, source.y))


def test_order_of_writing_changes_nothing_and_hyper_parameters_carry_their_part() -> None:
    one, other = DANN(weight=0.3) + MCC(), MCC() + DANN(weight=0.3)
    assert type(one) is type(other) is ALGORITHMS.get("mcc+dann")
    assert one.hparams == other.hparams == json.loads(json.dumps(one.hparams))
    assert one.hparams["dann.weight"] == 0.3
    assert ALGORITHMS.canonical("mcc+dann") == "dann+mcc"
    three = DANN(hidden=64) + MCC() + dalib.BNM()
    assert isinstance(three, Combination) and three.names == ("bnm", "dann", "mcc")
    assert three.hparams["dann.hidden"] == 64


def test_two_terms_of_one_name_are_both_kept() -> None:
    both = DANN() + dalib.CDAN()
    both.attach(Network.on_features(DIM, K, bottleneck=0))
    assert {"adversarial", "dann.adversarial"} <= set(both.loss(*batch(), 0.5))


def test_the_network_is_stored_once() -> None:
    both = DANN() + MCC()
    both.attach(Network.on_features(DIM, K))
    assert not [k for k in both.state_dict() if ".network." in k]
    assert len(list(both.parameters())) == len({id(p) for p in both.parameters()})


def test_a_suite_takes_a_list_and_dotted_hyper_parameters() -> None:
    row = Row.model_validate({"algorithm": ["mcc", "dann"], "dann": {"weight": 0.3}, "mcc.temperature": 2.0})
    assert row.algorithm == "mcc+dann"
    assert row.hparams == {"dann.weight": 0.3, "mcc.temperature": 2.0}


def test_versions_of_the_parts_make_the_version() -> None:
    class Newer(MCC):
        version = 7

    ALGORITHMS.add("newer", Newer)
    try:
        assert ALGORITHMS.get("dann+newer").version == 1000 * DANN.version + 7
    finally:
        ALGORITHMS._extra.pop("newer")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: DANN() + MCD(), "mcd cannot be combined"),
        (lambda: DANN() + dalib.CORAL(), "coral cannot be combined"),
        (lambda: DANN() + DANN(), "at least two different"),
        (lambda: ALGORITHMS.get("dann+mcx"), "did you mean"),
        (lambda: ALGORITHMS.get("dann+mcc").create("dann+mcc", {"dann.wieght": 1.0}), "did you mean 'dann.weight'"),
        (lambda: attached(ALGORITHMS.get("dann+mcc"), **{"mcc.temperature": 0.0}), "temperature"),
    ],
)
def test_mistakes_are_one_clear_line(call: Any, text: str) -> None:
    with pytest.raises(DalibError, match=text):
        call()


@pytest.mark.parametrize("name", [n for n in ALGORITHMS.names() if can_combine(ALGORITHMS.get(n))])
def test_what_combines_calls_plain_cross_entropy_classification(name: str) -> None:
    cls: type[Algorithm] = ALGORITHMS.get(name)
    algorithm = attached(cls)
    source, target = batches(algorithm)
    terms = algorithm.loss(source, target, 0.5)
    torch.testing.assert_close(terms["classification"], cross_entropy(source.logits, source.y))
    assert checks_for(cls)
