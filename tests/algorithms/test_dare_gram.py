"""DARE-GRAM: the supervised loss and the distance of inverse Gram matrices, and what it does on a shift."""

from __future__ import annotations

import pytest
import torch

from dalib.core.registry import ALGORITHMS
from dalib.nn.principal_angles import gram_distance
from tests.support.algorithms import check_refusal
from tests.support.numbers import attached, batch, error, fit, make_task


def test_its_loss_is_squared_error_and_the_distance_of_inverse_gram_matrices() -> None:
    source, target = batch()
    terms = attached("dare_gram", angle=0.3, scale=0.01, threshold=0.9).loss(source, target, 1.0)
    assert list(terms) == ["regression", "gram"]
    torch.testing.assert_close(terms["regression"], (source.prediction - source.y).square().mean())
    torch.testing.assert_close(terms["gram"], gram_distance(source.z, target.z, 0.3, 0.01, 0.9))


def test_training_on_it_brings_the_inverse_gram_matrices_together() -> None:
    task = make_task(turned=0.3)

    def apart(angle: float) -> float:
        fitted = fit(ALGORITHMS.get("dare_gram")(angle=angle, scale=0.0), task, steps=100, bottleneck=16)
        z_s, z_t = (fitted.outputs(d).z.split(16) for d in (task.labelled, task.test))
        return sum(float(gram_distance(a, b, 1.0, 0.0, 0.95)) for a, b in zip(z_s, z_t, strict=True))

    assert apart(5.0) < 0.8 * apart(0.0)


def test_it_does_no_harm_without_a_shift() -> None:
    task = make_task(moved=0.0)
    plain, adapted = (error(fit(ALGORITHMS.get(n)(), task, steps=150), task.test) for n in ("source_only", "dare_gram"))
    assert adapted < 1.1 * plain


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"angle": -1.0}, "dare_gram.angle = -1.0 is out of range; give a number >= 0"),
        ({"scale": -1.0}, "dare_gram.scale = -1.0 is out of range; give a number >= 0"),
        ({"threshold": 1.0}, "dare_gram.threshold = 1.0 is out of range; give a number in (0, 1)"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, float], message: str) -> None:
    check_refusal("DareGram", hparams, message)
