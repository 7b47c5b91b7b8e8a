"""BDA: Balanced distribution adaptation: JDA with a balance between the marginal and the conditional distance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.spatial.distance import cdist
from sklearn.svm import LinearSVC

import dalib
from tests.support.planes import (
    Data,
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for,
    check_few_rows_are_answered_alike_in_any_order,
    check_predictions_do_not_depend_on_the_coordinate_system,
    check_rows_keep_their_place_when_the_training_rows_are_permuted,
    check_without_class_means_the_solution_is_tcas,
    fit,
    rotated,
)


def test_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for() -> None:
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for(
        "BDA", rotated, {"components": 2, "mu": 0.7}
    )


def test_rows_keep_their_place_when_the_training_rows_are_permuted() -> None:
    check_rows_keep_their_place_when_the_training_rows_are_permuted("BDA")


def test_predictions_do_not_depend_on_the_coordinate_system() -> None:
    check_predictions_do_not_depend_on_the_coordinate_system("BDA")


def test_without_class_means_the_solution_is_tcas() -> None:
    check_without_class_means_the_solution_is_tcas("BDA", {"mu": 0.0})


def distance_of(a: np.ndarray, b: np.ndarray) -> float:
    """2 (1 - 2 error) of a linear machine on its own rows, scaled to a mean variance of 1."""
    x = np.concatenate([a, b]) - np.concatenate([a, b]).mean(0)
    y = np.r_[np.zeros(len(a)), np.ones(len(b))]
    machine = LinearSVC(dual=False).fit(x / np.sqrt((x**2).mean()), y)
    return 2 * (1 - 2 * (1 - machine.score(x / np.sqrt((x**2).mean()), y)))


def solve_balanced(data: Data, components: int, reg: float, iterations: int) -> tuple[np.ndarray, list[float]]:
    """Minus the distances to the nearest source row of every class, and mu: the authors' loop with full matrices."""
    x_s, y_s, x_t, _ = data
    X = np.concatenate([x_s, x_t]).astype(np.float32).astype(float)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    n, s, classes = len(X), len(x_s), np.unique(y_s)
    e = np.r_[np.full(s, 1 / s), np.full(n - s, -1 / (n - s))]
    M_0, N, mus = len(classes) * np.outer(e, e), np.zeros((n, n)), [0.0]
    for _ in range(iterations):
        M = (1 - mus[-1]) * M_0 + mus[-1] * N
        M /= np.linalg.norm(M)
        H = np.eye(n) - 1 / n
        _, W = eigh(X.T @ H @ X, X.T @ M @ X + reg * np.eye(X.shape[1]))
        Z = X @ W[:, -components:]
        Z /= np.linalg.norm(Z, axis=1, keepdims=True)
        apart = np.stack([cdist(Z[s:], Z[:s][y_s == c]).min(1) for c in classes], 1)
        y_t, N = classes[apart.argmin(1)], np.zeros((n, n))
        for c in classes:
            e = np.r_[(y_s == c) / (y_s == c).sum(), -1.0 * (y_t == c) / (y_t == c).sum()]
            N += np.outer(e, e)
        whole = distance_of(Z[:s], Z[s:])
        own = np.mean([distance_of(Z[:s][y_s == c], Z[s:][y_t == c]) for c in classes])
        mus.append(own / (own + whole))
    return -apart, mus


def test_an_estimated_balance_is_that_of_a_loop_with_full_matrices() -> None:
    data = rotated(0.4)
    expected, mus = solve_balanced(data, components=6, reg=0.1, iterations=4)
    got = fit("BDA", data, components=6, reg=0.1, iterations=4)
    np.testing.assert_allclose(got.decision_function(data[2]), expected, atol=1e-4)
    assert max(abs(mu - 0.5) for mu in mus[1:4]) > 0.02


def test_the_default_is_another_row_than_jdas() -> None:
    x_t = rotated(0.4)[2]
    got, jda = fit("BDA", rotated(0.4)), fit("JDA", rotated(0.4))
    assert np.abs(got.decision_function(x_t) - jda.decision_function(x_t)).max() > 1e-3


def test_half_a_balance_is_jda() -> None:
    x_t = rotated()[2]
    got, expected = fit("BDA", rotated(), mu=0.5), fit("JDA", rotated())
    np.testing.assert_allclose(got.decision_function(x_t), expected.decision_function(x_t), atol=1e-6)


def test_a_balance_above_one_is_refused() -> None:
    with pytest.raises(
        dalib.DalibError, match=r"bda.mu = 1.5 is out of range; give 'estimated' or a number in \[0, 1\]"
    ):
        fit("BDA", rotated(), mu=1.5)


def test_few_rows_are_answered_alike_in_any_order() -> None:
    check_few_rows_are_answered_alike_in_any_order("BDA", 9, 8)
