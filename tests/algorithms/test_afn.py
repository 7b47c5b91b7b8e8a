"""AFN: Adaptive feature norm: stepwise (SAFN), or towards one radius (`hard`, HAFN)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dalib.nn.entropy import information_maximisation
from tests.support.algorithms import attached, batch, check_refusal
from tests.support.shifts import check_it_does_no_harm_without_a_shift, trained, translated


@pytest.mark.parametrize("hparams", [{}, {"hard": True, "radius": 12.0, "ent_weight": 0.0}])
def test_a_method_does_no_harm_without_a_shift(hparams: dict[str, Any]) -> None:
    check_it_does_no_harm_without_a_shift("AFN", hparams)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("AFN", {"delta": 0.0}, "afn.delta = 0.0")


def mean_norms(name: str, **hparams: Any) -> list[float]:
    """Mean ||z|| of source and target, whose rows are three times smaller, after training."""
    x_s, y_s, x_t, y_t = translated(0.0)
    algorithm = trained(name, (x_s, y_s, x_t / 3, y_t), **hparams)
    with torch.no_grad():
        return [float(algorithm.predict(x)[0].norm(dim=1).mean()) for x in (x_s, x_t / 3)]


def test_afn_enlarges_norms_and_closes_the_gap_between_those_of_the_domains() -> None:
    plain = mean_norms("SourceOnly")
    stepwise, hard = mean_norms("AFN"), mean_norms("AFN", hard=True, radius=12.0)
    assert stepwise[0] > 1.5 * plain[0] and stepwise[1] > 1.5 * plain[1]
    assert hard == pytest.approx([12.0, 12.0], rel=0.1)
    assert plain[1] / plain[0] < min(stepwise[1] / stepwise[0], hard[1] / hard[0])


def test_afn_asks_every_norm_for_one_more_step_or_their_mean_for_the_radius() -> None:
    source, target = batch()
    term = attached("AFN", weight=0.5, delta=2.0).loss(source, target, 0.5)["norm"]
    gradient = torch.autograd.grad(term, source.z)[0]
    assert term.item() == pytest.approx(0.5 * 2 * 4, abs=1e-5)
    torch.testing.assert_close(gradient, -2 * source.z / source.z.norm(dim=1, keepdim=True) / 9)
    hard = attached("AFN", weight=0.5, hard=True, radius=3.0, ent_weight=0.0).loss(source, target, 0.5)
    off = [sum(sum(v * v for v in row) ** 0.5 for row in z.tolist()) / len(z) - 3 for z in (source.z, target.z)]
    assert hard["norm"].item() == pytest.approx(0.5 * (off[0] ** 2 + off[1] ** 2), abs=1e-4)


def test_the_adaptation_term_is_weight_times_the_function() -> None:
    source, target = batch()
    term = attached("AFN", ent_weight=2.0).loss(source, target, 0.5)["entropy"]
    torch.testing.assert_close(term, 2 * information_maximisation(target.logits, 0.0))
