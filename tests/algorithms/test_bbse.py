"""Black-box shift estimation: proportions and answers, against the equations in NumPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix

import dalib
from dalib import AdaptationClassifier
from tests.support.algorithms import check_refusal

CENTRES = np.array([[0, 0, 0, 0], [1.5, 0, 0, 0], [0, 1.5, 0, 1.0]])


def _draw(rng: np.random.Generator, n: int, shares: list[float]) -> tuple[np.ndarray, np.ndarray]:
    y = rng.choice(3, size=n, p=shares)
    return rng.normal(size=(n, 4)) + CENTRES[y], y


def _left_out(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Probabilities of every row by a regression on the four other fifths of each class, dealt in turn."""
    part = np.zeros(len(y), int)
    for c in range(3):
        part[y == c] = np.arange((y == c).sum()) % 5
    p = np.zeros((len(y), 3))
    for i in range(5):
        model = LogisticRegression(tol=1e-8, max_iter=5000).fit(x[part != i], y[part != i])
        p[part == i] = model.predict_proba(x[part == i])
    return p


@pytest.mark.parametrize("answers", ["hard", "soft"])
def test_proportions_and_probabilities_are_those_of_the_equations(answers: str) -> None:
    rng = np.random.default_rng(0)
    (x_s, y_s), (x_t, y_t) = _draw(rng, 900, [0.6, 0.3, 0.1]), _draw(rng, 700, [0.3, 0.2, 0.5])
    p_s, model = _left_out(x_s, y_s), LogisticRegression(tol=1e-8, max_iter=5000).fit(x_s, y_s)
    p_t = model.predict_proba(x_t)
    if answers == "hard":
        joint = confusion_matrix(y_s, p_s.argmax(1)).T / len(y_s)
        mu = np.bincount(p_t.argmax(1), minlength=3) / len(x_t)
    else:
        joint, mu = p_s.T @ np.eye(3)[y_s] / len(y_s), p_t.mean(0)
    w = np.linalg.inv(joint) @ mu
    assert (w > 0).all()
    q = w * np.bincount(y_s) / len(y_s)
    fitted = AdaptationClassifier(dalib.BBSE(confusion=answers), device="cpu").fit(x_s, y_s, x_t)
    np.testing.assert_allclose(fitted.fitted_.algorithm.proportions, q / q.sum(), atol=2e-3)
    adjusted = p_t * w / (p_t * w).sum(1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(x_t), adjusted, atol=5e-3)
    assert fitted.score(x_t, y_t) > model.score(x_t, y_t) + 0.02


def test_a_class_of_one_row_and_one_that_is_never_answered_do_no_harm() -> None:
    rng = np.random.default_rng(1)
    (x_s, y_s), (x_t, _) = _draw(rng, 300, [0.6, 0.4, 0.0]), _draw(rng, 200, [0.5, 0.5, 0.0])
    x_s, y_s = np.vstack([x_s, [[9.0, 9, 9, 9]]]), np.append(y_s, 2)
    with pytest.warns(UserWarning, match="bbse: 1 of 3 classes have one source row"):
        fitted = AdaptationClassifier("bbse", device="cpu").fit(x_s, y_s, x_t)
    q = fitted.fitted_.algorithm.proportions.numpy()
    assert np.isfinite(fitted.predict_proba(x_t)).all() and q.sum() == pytest.approx(1)
    np.testing.assert_allclose(q[:2], [0.5, 0.5], atol=0.12)
    assert q[2] == 0 and not (fitted.predict(np.vstack([x_t, [[9.0, 9, 9, 9]]])) == 2).any()


def test_classes_of_one_row_each_leave_the_proportions_alone_and_not_in_silence() -> None:
    x_t = np.random.default_rng(1).normal(size=(20, 4))
    with pytest.warns(UserWarning, match=r"3 of 3 classes have one source row.* proportions stay the source's"):
        fitted = AdaptationClassifier("bbse", device="cpu").fit(np.eye(4)[:3], [0, 1, 2], x_t)
    np.testing.assert_allclose(fitted.fitted_.algorithm.proportions.numpy(), 1 / 3)


def test_another_sort_of_confusion_is_refused() -> None:
    check_refusal("BBSE", {"confusion": "loud"}, "no bbse.confusion named 'loud'")
