"""SFA: clusters of columns by what they occur with, against the eigenvectors of the whole graph."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import dalib
from dalib import AdaptationTransformer
from tests.support.algorithms import check_refusal


def _reviews(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts of 40 words: four that praise or blame everywhere, and twelve of each domain's own that follow them."""
    rng = np.random.default_rng(seed)
    tables = []
    for own in (0, 1):
        y = rng.integers(0, 2, n)
        rate = np.full((n, 40), 0.02)
        rate[:, :4] = np.where((np.arange(4) < 2) == (y[:, None] == 1), 0.3, 0.05)
        rate[:, 4:16] = 0.0 if own else np.where((np.arange(12) < 6) == (y[:, None] == 1), 0.5, 0.1)
        rate[:, 16:28] = 0.0 if not own else np.where((np.arange(12) < 6) == (y[:, None] == 1), 0.5, 0.1)
        rate[:, 28:] = 0.1
        tables += [rng.poisson(rate).astype(float), y]
    return tables[0], tables[1], tables[2], tables[3]


def _by_the_paper(X_s: np.ndarray, X_t: np.ndarray, pivots: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(the rest's columns, its part of the k largest eigenvectors of the whole normalised graph)."""
    d = X_s.shape[1]
    common = np.minimum((X_s > 0).sum(0), (X_t > 0).sum(0))
    bridge = sorted(sorted(range(d), key=lambda j: (-common[j], j))[:pivots])
    rest = [j for j in range(d) if j not in bridge]
    A = np.zeros((d, d))
    for row in np.vstack([X_s, X_t]):
        for i, column in enumerate(rest):
            for j, pivot in enumerate(bridge):
                if row[column] > 0 and row[pivot] > 0:
                    A[i, len(rest) + j] += 1
                    A[len(rest) + j, i] += 1
    degree = A.sum(1)
    root = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0)
    vectors = np.linalg.eigh(root[:, None] * A * root)[1][:, ::-1][:, :k]
    return np.array(rest), vectors[: len(rest)]


def test_new_columns_are_those_of_the_papers_eigenvectors() -> None:
    X_s, _, X_t, _ = _reviews(60)
    made = AdaptationTransformer(dalib.SFA(pivots=10, clusters=4, weight=0.6))
    moved = made.fit_transform(X_s, X_target=X_t)
    rest, U = _by_the_paper(X_s, X_t, 10, 4)
    np.testing.assert_array_equal(moved[:, :40], X_s)
    np.testing.assert_allclose(np.abs(moved[:, 40:]), 0.6 * np.abs(X_s[:, rest] @ U), atol=1e-10)
    np.testing.assert_allclose(np.abs(made.transform(X_t)[:, 40:]), 0.6 * np.abs(X_t[:, rest] @ U), atol=1e-10)


def test_words_of_the_target_alone_are_understood_by_what_they_occur_with() -> None:
    X_s, y_s, X_t, y_t = _reviews()
    plain = LogisticRegression().fit(X_s, y_s).score(X_t, y_t)
    sfa = dalib.SFA(pivots=4, clusters=3, weight=3.0)
    assert dalib.AdaptationClassifier(sfa, device="cpu").fit(X_s, y_s, X_t).score(X_t, y_t) > plain + 0.05


def test_nothing_occurs_together_and_fewer_columns_than_asked() -> None:
    apart = np.eye(4)
    made = AdaptationTransformer("sfa")
    np.testing.assert_array_equal(made.fit_transform(apart, X_target=apart), apart)
    X_s, _, X_t, _ = _reviews(60)
    assert AdaptationTransformer("sfa").fit_transform(X_s[:, :6], X_target=X_t[:, :6]).shape[1] <= 9


def test_numbers_below_0_are_no_counts_and_a_warning_says_so() -> None:
    X_s, _, X_t, _ = _reviews(60)
    with pytest.warns(UserWarning, match="it is for counts and frequencies"):
        AdaptationTransformer("sfa").fit(X_s - 1, X_target=X_t)


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("SFA", {"pivots": 0}, "sfa.pivots = 0 is out of range")
    check_refusal("SFA", {"weight": 0.0}, "sfa.weight = 0.0 is out of range")
