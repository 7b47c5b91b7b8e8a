"""A metric's contract: a float in the direction and unit it declares, pure, blind to the order of rows."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dalib.checks.result import require
from dalib.core.metric import Metric

K = 4
"""Classes, columns or numbers per row."""
KINDS = ("classification", "multilabel", "regression", "segmentation", "detection")
"""Kinds of answer that these checks can make."""
TOLERANCE = 1e-6
"""Relative, for what may change by rounding only."""


@dataclass(frozen=True)
class Answers:
    """What `Metric.score` takes."""

    y: np.ndarray
    prediction: np.ndarray
    answer: np.ndarray
    known: int = 0

    def take(self, rows: np.ndarray) -> Answers:
        return Answers(self.y[rows], self.prediction[rows], self.answer[rows], self.known)


def make_answers(cls: type[Metric], kind: str, noise: float = 0.0, n: int = 60) -> Answers:
    """Right answers blurred by noise; `math.inf` = the same answer for every row."""
    rng = np.random.default_rng(0)
    y: np.ndarray
    clean: np.ndarray
    if kind == "classification":
        width = K + cls.needs_unknown
        y = np.arange(n) % width
        clean = 6.0 * np.eye(width)[y]
    elif kind == "multilabel":
        y = (rng.random((n, K)) < 0.5).astype(np.int64)
        clean = 6.0 * (2 * y - 1)
    elif kind == "segmentation":
        return _pixels(noise, n, rng)
    elif kind == "detection":
        return _boxes(noise, n, rng)
    else:
        y = clean = rng.standard_normal((n, K))
    blur = rng.standard_normal(clean.shape)
    prediction = np.tile(clean[:1], (n, 1)) if math.isinf(noise) else clean + noise * blur
    if kind == "classification":
        return Answers(y, prediction, prediction.argmax(1), K)
    return Answers(y, prediction, (prediction > 0).astype(np.int64) if kind == "multilabel" else prediction)


def _pixels(noise: float, n: int, rng: np.random.Generator) -> Answers:
    """Masks of 6 x 6 pixels; with noise that part of them, at most half, is answered at random."""
    y = rng.integers(0, K, (n, 6, 6))
    wrong = rng.random(y.shape) < min(noise / 10, 0.5)
    answer = np.where(wrong, rng.integers(0, K, y.shape), y)
    answer = np.full_like(y, y[0, 0, 0]) if math.isinf(noise) else answer
    return Answers(y, answer, answer, K)


def _boxes(noise: float, n: int, rng: np.random.Generator) -> Answers:
    """Two boxes in every picture, and a row of padding; with noise corners move by so many pixels at most."""
    y = np.zeros((n, 3, 5), np.float32)
    y[:, 2, 0] = -1
    y[:, :2, 0] = rng.integers(0, K, (n, 2))
    y[:, :2, 1:3] = rng.integers(0, 20, (n, 2, 2))
    y[:, :2, 3:] = y[:, :2, 1:3] + rng.integers(8, 16, (n, 2, 2))
    answer = np.insert(y, 1, rng.random((n, 3)), axis=2)
    answer[:, 2, 1] = 0
    if math.isinf(noise):
        answer[:] = answer[0]
    else:
        answer[:, :2, 2:] += rng.uniform(-noise, noise, (n, 2, 4)).astype(np.float32)
    return Answers(y, answer, answer, K)


def _score(cls: type[Metric], given: Answers) -> float:
    return cls().score(given.y, given.prediction, given.answer, given.known)


def _kinds(cls: type[Metric]) -> Iterator[str]:
    yield from (kind for kind in KINDS if kind in cls.objectives)


def check_declarations_are_known(cls: type[Metric]) -> None:
    """unit, higher_is_better and objectives are what tables can use."""
    require(type(cls.higher_is_better) is bool, f"higher_is_better is {cls.higher_is_better!r}; say True or False")
    require(
        isinstance(cls.unit, str) and cls.unit == cls.unit.strip() and len(cls.unit) <= 12,
        f"unit is {cls.unit!r}; say '%' for a part of one, a short word such as 'px', or '' for a plain number",
    )
    named = isinstance(cls.objectives, tuple) and cls.objectives and all(isinstance(o, str) for o in cls.objectives)
    require(named, f"objectives is {cls.objectives!r}; give a tuple of names, such as ('classification',)")


def check_score_is_a_number(cls: type[Metric]) -> None:
    for kind in _kinds(cls):
        score = _score(cls, make_answers(cls, kind, noise=3.0))
        require(type(score) is float, f"score returned {type(score).__name__} on {kind}; return a Python float")
        require(math.isfinite(score), f"score is {score} on ordinary answers of {kind}; nan only where it cannot apply")
        require(
            cls.unit != "%" or abs(score) <= 1,
            f"score is {score:.4g} in %, which tables show times 100; return a part of one, or set unit = ''",
        )


def check_right_answers_score_best(cls: type[Metric]) -> None:
    """Right answers are at least as good as blurred ones and better than one answer for every row."""
    word, sign = ("higher", 1) if cls.higher_is_better else ("lower", -1)
    for kind in _kinds(cls):
        right, blurred, constant = (_score(cls, make_answers(cls, kind, noise)) for noise in (0.0, 5.0, math.inf))
        require(
            sign * right >= sign * blurred and sign * right > sign * constant,
            f"on {kind} right answers score {right:.4g}, blurred ones {blurred:.4g} and one answer for all "
            f"{constant:.4g}; {word} must be better, or turn higher_is_better",
        )


def check_row_order_is_irrelevant(cls: type[Metric]) -> None:
    order = np.random.default_rng(1).permutation(60)
    for kind in _kinds(cls):
        given = make_answers(cls, kind, noise=3.0)
        first, second = _score(cls, given), _score(cls, given.take(order))
        require(
            math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=TOLERANCE),
            f"another order of the rows changes the score from {first:.8g} to {second:.8g}",
        )


def check_what_is_not_annotated_is_unread(cls: type[Metric]) -> None:
    """Several answers per row: what is predicted where y = -1 does not matter, nor of a pixel where it is 255."""
    if "segmentation" in cls.objectives:
        given = make_answers(cls, "segmentation", noise=3.0)
        hidden = np.random.default_rng(2).random(given.y.shape) < 0.3
        given = replace(given, y=np.where(hidden, 255, given.y))
        turned = replace(given, answer=np.where(hidden, (given.answer + 1) % K, given.answer))
        first, second = _score(cls, given), _score(cls, turned)
        require(
            first == second, f"answers where y = 255 move the score from {first} to {second}; leave those pixels out"
        )
    if "multilabel" not in cls.objectives:
        return
    given = make_answers(cls, "multilabel", noise=3.0)
    hidden = np.random.default_rng(2).random(given.y.shape) < 0.3
    given = replace(given, y=np.where(hidden, -1, given.y))
    turned = replace(
        given,
        prediction=np.where(hidden, -given.prediction, given.prediction),
        answer=np.where(hidden, 1 - given.answer, given.answer),
    )
    first, second = _score(cls, given), _score(cls, turned)
    require(first == second, f"answers where y = -1 move the score from {first} to {second}; leave those entries out")


def check_few_rows_get_a_number(cls: type[Metric]) -> None:
    """One row, equal labels, nothing annotated: a float or nan, never an error."""
    for kind in _kinds(cls):
        given = make_answers(cls, kind, noise=3.0)
        same = replace(given, y=np.zeros_like(given.y))
        none = {"nothing annotated": replace(given, y=-np.ones_like(given.y))} if kind == "multilabel" else {}
        for what, case in {"one row": given.take(np.arange(1)), "equal labels": same, **none}.items():
            try:
                score = _score(cls, case)
            except Exception as error:
                require(False, f"score fails on {kind} with {what} ({type(error).__name__}: {error}); return nan")
            require(type(score) is float, f"score returned {type(score).__name__} with {what}; return a Python float")
            require(not math.isinf(score), f"score is {score} on {kind} with {what}; return nan where it cannot apply")


def check_score_is_deterministic_and_pure(cls: type[Metric]) -> None:
    for kind in _kinds(cls):
        given = make_answers(cls, kind, noise=3.0)
        kept = [array.copy() for array in (given.y, given.prediction, given.answer)]
        states = pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
        first, second = _score(cls, given), _score(cls, given)
        require(first == second, f"two calls give {first} and {second}; seed a generator of your own")
        now = pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
        require(states == now, "score draws from a global random generator; seed one of your own")
        pairs = zip(kept, (given.y, given.prediction, given.answer), strict=True)
        require(all(np.array_equal(a, b) for a, b in pairs), "score writes into its inputs; copy them")


METRIC_CHECKS = (
    check_declarations_are_known,
    check_score_is_a_number,
    check_right_answers_score_best,
    check_row_order_is_irrelevant,
    check_what_is_not_annotated_is_unread,
    check_few_rows_get_a_number,
    check_score_is_deterministic_and_pure,
)
