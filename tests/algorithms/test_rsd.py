"""RSD: the supervised loss and the weighted distance of spans, and what it does on a shift."""

from __future__ import annotations

import pytest
import torch

from dalib.nn.principal_angles import subspace_distance
from tests.support.algorithms import check_refusal
from tests.support.numbers import attached, batch, error, fit, make_task


def test_its_loss_is_squared_error_and_the_weighted_distance_of_spans() -> None:
    source, target = batch()
    terms = attached("rsd", weight=0.3, mismatch=0.2).loss(source, target, 1.0)
    assert list(terms) == ["regression", "subspace"]
    torch.testing.assert_close(terms["regression"], (source.prediction - source.y).square().mean())
    torch.testing.assert_close(terms["subspace"], 0.3 * subspace_distance(source.z, target.z, 0.2))


def test_training_on_it_brings_the_spans_together() -> None:
    task = make_task(turned=0.3)
    from dalib.core.registry import ALGORITHMS

    def apart(weight: float) -> float:
        fitted = fit(ALGORITHMS.get("rsd")(weight=weight), task, steps=100, bottleneck=32)
        z_s, z_t = (fitted.outputs(d).z[:12] for d in (task.labelled, task.test))
        return float(subspace_distance(z_s, z_t, 0.0))

    assert apart(0.1) < 0.9 * apart(0.0)


def test_it_does_no_harm_without_a_shift() -> None:
    from dalib.core.registry import ALGORITHMS

    task = make_task(moved=0.0)
    plain, adapted = (error(fit(ALGORITHMS.get(n)(), task, steps=150), task.test) for n in ("source_only", "rsd"))
    assert adapted < 1.1 * plain


@pytest.mark.parametrize("name", ["weight", "mismatch"])
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(name: str) -> None:
    check_refusal("RSD", {name: -1.0}, f"rsd.{name} = -1.0 is out of range; give a number >= 0")
