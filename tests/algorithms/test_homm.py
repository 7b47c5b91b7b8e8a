"""HoMM: Higher-order moment matching."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.algorithms import array, attached, batch, check_refusal
from tests.support.shifts import check_its_estimator_beats_source_only


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_its_estimator_beats_source_only("HoMM", {})


def test_homm_compares_all_products_of_three_features() -> None:
    source, target = batch()
    moment = []
    for z in (array(source.z), array(target.z)):
        c = np.tanh(z) - np.tanh(z).mean(0)
        moment.append(np.einsum("ni,nj,nk->ijk", c, c, c) / len(c))
    expected = 2 * ((moment[0] - moment[1]) ** 2).mean()
    term = attached("HoMM", weight=2.0).loss(source, target, 0.5)["discrepancy"]
    assert term.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"weight": -1.0}, "weight = -1.0 is out of range; give a number >= 0"),
        ({"order": 0}, "order = 0 is out of range; give a whole number >= 1"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("HoMM", hparams, message)
