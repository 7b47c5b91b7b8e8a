"""TrAdaBoost against a plain transcription of the paper's figure, and what it is for."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

import dalib
from dalib import TrAdaBoost
from tests.support.two_tables import shifted

LINE, STUMP = LogisticRegression(), DecisionTreeClassifier(max_depth=1, random_state=0)


def _world(n: int = 400, few: int = 40) -> tuple[np.ndarray, ...]:
    """A source of which a part has the target's rule and the rest its opposite."""
    rng = np.random.default_rng(0)
    x_s, x_t = rng.uniform(-1, 1, (n, 3)), rng.uniform(-1, 1, (n, 3))
    y_s, y_t = (x[:, 1] + 0.6 * x[:, 2] > 0 for x in (x_s, x_t))
    y_s = np.where(x_s[:, 0] > -0.2, y_s, ~y_s)
    return x_s, y_s.astype(int), x_t[:few], y_t[:few].astype(int), x_t[few:], y_t[few:].astype(int)


def _by_the_paper(
    x_d: np.ndarray, y_d: np.ndarray, x_s: np.ndarray, y_s: np.ndarray, x: np.ndarray, N: int
) -> tuple[np.ndarray, np.ndarray]:
    """Dai et al. 2007, Algorithm 1 on classes 0 and 1: `d` is their different distribution, `s` their same one."""
    n, m = len(x_d), len(x_s)
    w = np.ones(n + m)
    beta = 1 / (1 + np.sqrt(2 * np.log(n) / N))
    hypotheses, betas = [], []
    X, c = np.concatenate([x_d, x_s]), np.concatenate([y_d, y_s])
    for _ in range(N):
        p = w / w.sum()
        h = LogisticRegression().fit(X, c, sample_weight=(n + m) * p)
        gap = np.abs(h.predict(X) - c)
        epsilon = sum(w[i] * gap[i] / w[n:].sum() for i in range(n, n + m))
        assert 0 < epsilon < 0.5
        betas.append(epsilon / (1 - epsilon))
        w = np.array([w[i] * (beta ** gap[i] if i < n else betas[-1] ** -gap[i]) for i in range(n + m)])
        hypotheses.append(h)
    first = int(np.ceil(N / 2)) - 1
    left, right = np.ones(len(x)), 1.0
    for h, b in zip(hypotheses[first:], betas[first:], strict=True):
        left, right = left * b ** -h.predict(x).astype(float), right * b**-0.5
    return (left >= right).astype(int), w[:n] / w[:n].mean()


@pytest.mark.parametrize("rounds", [1, 5, 7])
def test_answers_and_weights_are_those_of_the_paper(rounds: int) -> None:
    x_s, y_s, x_few, y_few, x_t, _ = _world()
    y_few = np.where(np.arange(len(y_few)) == 3, 1 - y_few, y_few)  # noise, so that no round has an error of 0
    made = TrAdaBoost(LINE, n_estimators=rounds).fit(x_s, y_s, x_few, y_few)
    answers, weights = _by_the_paper(x_s, y_s, x_few, y_few, x_t, rounds)
    assert np.array_equal(made.predict(x_t), answers)
    np.testing.assert_allclose(made.weights_, weights, rtol=1e-9)


def test_it_forgets_the_rows_that_the_target_contradicts() -> None:
    x_s, y_s, x_few, y_few, x_t, y_t = _world()
    plain = LINE.fit(np.vstack([x_s, x_few]), np.r_[y_s, y_few]).score(x_t, y_t)
    made = TrAdaBoost(LINE).fit(x_s, y_s, x_few, y_few)
    assert made.score(x_t, y_t) > max(plain, LINE.fit(x_few, y_few).score(x_t, y_t)) + 0.02
    wrong = x_s[:, 0] <= -0.4
    assert made.weights_[wrong].mean() < 0.5 * made.weights_[~wrong].mean()
    shares = made.predict_proba(x_t)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert np.array_equal(pickle.loads(pickle.dumps(made)).predict(x_t), made.predict(x_t))


def test_one_table_says_the_same_and_many_classes_vote() -> None:
    X_s, y_s, X_t, y_t = shifted()
    few = np.arange(30)
    apart = TrAdaBoost(STUMP, n_estimators=8).fit(X_s, y_s, X_t[few], y_t[few])
    marks = np.r_[y_s, np.where(np.arange(len(y_t)) < 30, y_t, -1)]
    table = TrAdaBoost(STUMP, n_estimators=8)
    table.fit(np.vstack([X_s, X_t]), marks, sample_domain=np.r_[np.ones(len(X_s)), -np.ones(len(X_t))])
    assert len(apart.classes_) > 2 and np.array_equal(apart.predict(X_t), table.predict(X_t))


def test_an_error_above_one_half_has_no_vote_and_an_error_of_0_a_finite_one() -> None:
    x_s, y_s, x_few, y_few, x_t, _ = _world()
    against = TrAdaBoost(STUMP, n_estimators=4).fit(np.tile(x_s, (5, 1)), np.tile(1 - y_s, 5), x_few[:3], y_few[:3])
    assert against.errors_[0] > 0.5 and against.votes_[0] == 0
    perfect = TrAdaBoost(DecisionTreeClassifier(random_state=0), n_estimators=3).fit(x_few, y_few, x_few, y_few)
    assert np.isfinite(perfect.votes_).all() and (perfect.errors_ == 0).all()
    assert (perfect.predict(x_few) == y_few).all() and len(against.predict(x_t)) == len(x_t)


def test_mistakes_are_told() -> None:
    X_s, y_s, X_t, _ = shifted()
    with pytest.raises(dalib.DalibError, match="learns from labelled rows of the target, and there are none"):
        TrAdaBoost(STUMP).fit(X_s, y_s, X_t)
    with pytest.raises(dalib.DalibError, match="boosts classifiers, and LinearRegression is none"):
        TrAdaBoost(LinearRegression()).fit(X_s, y_s)
    with pytest.raises(ValueError, match="n_estimators = 0 is out of range"):
        TrAdaBoost(STUMP, n_estimators=0).fit(X_s, y_s)
    with pytest.raises(dalib.DalibError, match="KNeighborsClassifier takes no sample_weight"):
        TrAdaBoost(KNeighborsClassifier()).fit(X_s, y_s, X_t[:5], y_s[:5])
