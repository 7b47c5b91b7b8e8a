"""Label shift: proportions of the target's classes, against the EM algorithm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

import dalib
from dalib import AdaptationClassifier
from dalib.nn.label_shift import fit_calibration
from tests.support.algorithms import check_refusal


def _draw(rng: np.random.Generator, n: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    y = (rng.random(n) < share).astype(int)
    return rng.normal(size=(n, 5)) + 1.2 * y[:, None] * np.array([1, 0.5, 0.5, 0, 0]), y


def _saerens(p: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Their equations 2.4, over and over: (proportions, adjusted probabilities)."""
    q = prior.copy()
    for _ in range(20_000):
        r = p * (q / prior)
        r /= r.sum(1, keepdims=True)
        q = r.mean(0)
    return q, r


@pytest.mark.parametrize(("source", "target", "plain", "adjusted"), [(0.05, 0.5, 0.55, 0.73), (0.5, 0.05, 0.8, 0.93)])
def test_proportions_and_probabilities_are_those_of_em(
    source: float, target: float, plain: float, adjusted: float
) -> None:
    rng = np.random.default_rng(0)
    (x_s, y_s), (x_t, y_t) = _draw(rng, 1000, source), _draw(rng, 800, target)
    reference = LogisticRegression(tol=1e-8, max_iter=5000).fit(x_s, y_s)
    assert reference.score(x_t, y_t) < plain
    q, r = _saerens(reference.predict_proba(x_t), np.bincount(y_s) / len(y_s))
    model = AdaptationClassifier(dalib.LabelShift(), device="cpu").fit(x_s, y_s, x_t)
    np.testing.assert_allclose(model.fitted_.algorithm.proportions, q, atol=5e-3)
    np.testing.assert_allclose(model.predict_proba(x_t), r, atol=1e-2)
    assert model.score(x_t, y_t) > adjusted


def test_equal_proportions_leave_the_classifier_about_as_it_is() -> None:
    rng = np.random.default_rng(1)
    (x_s, y_s), (x_t, y_t) = _draw(rng, 1000, 0.3), _draw(rng, 1000, 0.3)
    probe, shifted = (AdaptationClassifier(a, device="cpu").fit(x_s, y_s, x_t) for a in ("linear_probe", "label_shift"))
    assert abs(probe.score(x_t, y_t) - shifted.score(x_t, y_t)) < 0.02
    np.testing.assert_allclose(shifted.fitted_.algorithm.proportions, np.bincount(y_t) / 1000, atol=0.05)


def test_discriminant_analysis_is_adjusted_too_and_an_absent_class_stays_absent() -> None:
    rng = np.random.default_rng(2)
    (x_s, y_s), (x_t, y_t) = _draw(rng, 600, 0.1), _draw(rng, 600, 0.6)
    model = AdaptationClassifier(dalib.LabelShift(classifier="lda"), device="cpu").fit(x_s, y_s, x_t)
    assert model.score(x_t, y_t) > AdaptationClassifier(dalib.LinearProbe(classifier="lda")).fit(x_s, y_s).score(
        x_t, y_t
    )


def test_a_class_that_no_row_is_called_is_said() -> None:
    rng = np.random.default_rng(0)
    (x_s, y_s), (x_t, _) = _draw(rng, 1000, 0.05), _draw(rng, 800, 0.5)
    with pytest.warns(UserWarning, match=r"none of the 800 target rows is called 1 .* label_shift re-estimates"):
        AdaptationClassifier(dalib.LinearProbe(C=1e-6), device="cpu").fit(x_s, y_s, x_t)


@pytest.mark.parametrize("calibration", ["temperature", "bias_corrected"])
def test_calibrated_proportions_are_those_of_em_on_calibrated_probabilities(calibration: str) -> None:
    rng = np.random.default_rng(3)
    (x_s, y_s), (x_t, _) = _draw(rng, 800, 0.2), _draw(rng, 800, 0.7)
    part = np.zeros(len(y_s), int)
    x_wide, x_t = (np.hstack([x, rng.normal(size=(800, 150))]) for x in (x_s, x_t))
    for c in (0, 1):
        part[y_s == c] = np.arange((y_s == c).sum()) % 5
    score = np.zeros((800, 2))
    for i in range(5):
        model = LogisticRegression(tol=1e-8, max_iter=5000).fit(x_wide[part != i], y_s[part != i])
        margin = model.decision_function(x_wide[part == i])
        score[part == i] = np.stack([-margin, margin], 1) / 2
    s, b = fit_calibration(torch.from_numpy(score), torch.from_numpy(y_s), calibration == "bias_corrected")
    assert s < 0.9  # 155 columns and 640 rows: surer than it should be
    margin = LogisticRegression(tol=1e-8, max_iter=5000).fit(x_wide, y_s).decision_function(x_t)
    p_s, p_t = (softmax(s * v + b.numpy(), 1) for v in (score, np.stack([-margin, margin], 1) / 2))
    q, r = _saerens(p_t, p_s.mean(0))
    fitted = AdaptationClassifier(dalib.LabelShift(calibration=calibration), device="cpu").fit(x_wide, y_s, x_t)
    np.testing.assert_allclose(fitted.fitted_.algorithm.proportions, q, atol=5e-3)
    np.testing.assert_allclose(fitted.predict_proba(x_t), r, atol=1e-2)


def test_hyper_parameters_out_of_range_are_refused() -> None:
    check_refusal("LabelShift", {"C": 0.0}, "label_shift.C = 0.0 is out of range")
    check_refusal("LabelShift", {"classifier": "svm"}, "no label_shift.classifier named 'svm'")
