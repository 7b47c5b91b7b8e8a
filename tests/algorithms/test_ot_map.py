"""OTMap: Barycentric or linear transport map between unit rows, z <- z / ||z||."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import dalib
from dalib.core.network import Network
from tests.support.algorithms import check_refusal
from tests.support.shifts import (
    D,
    K,
    Rows,
    check_a_solved_method_beats_its_own_classifier,
    check_a_solved_method_does_no_harm_without_a_shift,
    translated,
)


@pytest.mark.parametrize(
    "hparams", [{"method": "emd"}, {"method": "sinkhorn"}, {"method": "class_regularised"}, {"method": "linear"}]
)
@pytest.mark.parametrize("classifier", ["logistic", "nearest"])
def test_a_solved_method_beats_its_own_classifier(hparams: dict[str, Any], classifier: str) -> None:
    check_a_solved_method_beats_its_own_classifier("OTMap", translated, hparams, classifier)


def test_a_solved_method_does_no_harm_without_a_shift() -> None:
    check_a_solved_method_does_no_harm_without_a_shift("OTMap")


def test_a_solved_method_returns_the_same_logits_from_its_state() -> None:
    x_s, y_s, x_t, _ = translated()
    first, second = dalib.OTMap(), dalib.OTMap()
    for algorithm in (first, second):
        algorithm.attach(Network.on_features(D, K, bottleneck=0))
    from dalib.core.types import Domain

    first.fit(Rows(), Domain("s", x_s.numpy(), y_s.numpy(), ("a",), ""), Domain("t", x_t.numpy(), None, ("a",), ""))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.predict(x_t)[1], second.predict(x_t)[1])


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"method": "sinkhron"}, "no ot_map.method named 'sinkhron'; did you mean 'sinkhorn'"),
        ({"group": -1.0}, "ot_map.group = -1.0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("OTMap", hparams, message)
