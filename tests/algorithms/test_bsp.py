"""BSP: Batch spectral penalisation on top of domain-adversarial training."""

from __future__ import annotations

import torch

from tests.support.algorithms import attached, batch, check_refusal
from tests.support.shifts import (
    check_it_beats_source_only_on_its_shift,
    check_it_does_no_harm_without_a_shift,
    trained,
    translated,
)


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_it_beats_source_only_on_its_shift("BSP", translated, {"hidden": 64})


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("BSP", {"hidden": 64})


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("BSP", {"hidden": 0}, "bsp.hidden = 0")


def test_bsp_keeps_the_largest_singular_value_below_danns() -> None:
    data, largest = translated(), []
    for name, hparams in (("DANN", {}), ("BSP", {"beta": 1e-3})):
        algorithm = trained(name, data, hidden=64, **hparams)
        with torch.no_grad():
            largest.append(float(torch.linalg.svdvals(algorithm.predict(data[2])[0])[0]))
    assert largest[1] < 0.5 * largest[0]


def test_the_adaptation_term_is_weight_times_the_function() -> None:
    source, target = batch()
    term = attached("BSP", beta=0.5, hidden=8).loss(source, target, 0.5)["spectral"]
    torch.testing.assert_close(term, sum(0.5 * torch.linalg.matrix_norm(rows.z, 2) ** 2 for rows in (source, target)))
