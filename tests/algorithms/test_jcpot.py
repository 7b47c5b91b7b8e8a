"""JCPOT: labels of several sources carried by plans that agree on the target's class proportions."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import dalib
from tests.support.algorithms import check_refusal
from tests.support.settings import check_each_says_what_it_is_for


def _draw(rng: np.random.Generator, n: int, prior: list[float]) -> tuple[np.ndarray, np.ndarray]:
    y = rng.choice(3, n, p=prior)
    return (rng.normal(size=(n, 4)) + 3 * np.eye(3, 4)[y]).astype(np.float32), y


def test_labels_and_proportions_are_those_of_pot_and_the_classifier_is_fitted_to_them() -> None:
    rng = np.random.default_rng(0)
    (x_1, y_1), (x_2, y_2) = _draw(rng, 90, [0.7, 0.2, 0.1]), _draw(rng, 70, [0.2, 0.6, 0.2])
    x_t, y_t = _draw(rng, 120, [0.1, 0.1, 0.8])
    model = dalib.AdaptationClassifier(dalib.JCPOT(reg=0.02), device="cpu").fit(
        np.concatenate([x_1, x_2, x_t]),
        np.concatenate([y_1, y_2, np.full(120, -1)]),
        sample_domain=np.repeat([1, 2, -1], [90, 70, 120]),
    )
    Xs, X_t = [x.astype(np.float64) for x in (x_1, x_2)], x_t.astype(np.float64)
    reg = 0.02 * max(ot.dist(x, X_t).max() for x in Xs)
    h, log = ot.bregman.jcpot_barycenter(
        Xs, [y_1.copy(), y_2.copy()], X_t, reg=reg, numItermax=50_000, stopThr=1e-10, log=True
    )
    np.testing.assert_allclose(model.fitted_.algorithm.proportions, h, atol=1e-5)
    L = sum(np.eye(3)[y].T @ P for y, P in zip((y_1, y_2), log["gamma"], strict=True))
    reference = LogisticRegression(tol=1e-8, max_iter=5000).fit(X_t, L.argmax(0))
    np.testing.assert_allclose(model.predict_proba(x_t), reference.predict_proba(X_t), atol=1e-2)
    propagated = dalib.AdaptationClassifier(dalib.OTLabelPropagation(reg=0.02), device="cpu").fit(
        np.concatenate([x_1, x_2]), np.concatenate([y_1, y_2]), x_t
    )
    assert model.score(x_t, y_t) > propagated.score(x_t, y_t) + 0.2  # that one keeps the sources' proportions


def test_one_source_is_enough() -> None:
    rng = np.random.default_rng(1)
    (x_s, y_s), (x_t, y_t) = _draw(rng, 90, [0.7, 0.2, 0.1]), _draw(rng, 90, [0.2, 0.2, 0.6])
    model = dalib.AdaptationClassifier(dalib.JCPOT(), device="cpu").fit(x_s, y_s, x_t)
    assert model.score(x_t, y_t) > 0.85
    assert torch.isclose(model.fitted_.algorithm.proportions.sum(), torch.tensor(1.0).double())


def test_a_source_without_a_class_of_another_is_refused() -> None:
    rng = np.random.default_rng(2)
    (x_1, y_1), (x_2, y_2) = _draw(rng, 20, [0.5, 0.3, 0.2]), _draw(rng, 20, [0.5, 0.0, 0.5])
    x_t, _ = _draw(rng, 20, [0.3, 0.3, 0.4])
    with pytest.raises(dalib.DalibError, match=r"source number 2 has no row of class '1', .* use label_shift or bbse"):
        dalib.AdaptationClassifier(dalib.JCPOT(), device="cpu").fit(
            np.concatenate([x_1, x_2, x_t]),
            np.concatenate([y_1, y_2, np.full(20, -1)]),
            sample_domain=np.repeat([1, 2, -1], 20),
        )


def test_it_says_what_it_is_for() -> None:
    check_each_says_what_it_is_for("JCPOT", "multi-source")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("JCPOT", {"reg": 0.001}, "jcpot.reg = 0.001 is out of range; give a number >= 0.005")
