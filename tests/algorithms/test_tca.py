"""TCA: Transfer component analysis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import eigh

import dalib
from tests.support.anchors import check_surf_average_is_near_the_published_one
from tests.support.peak import told_over_used
from tests.support.planes import (
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for,
    check_few_rows_are_answered_alike_in_any_order,
    check_predictions_do_not_depend_on_the_coordinate_system,
    check_rows_keep_their_place_when_the_training_rows_are_permuted,
    moved,
)


@pytest.mark.parametrize("hparams", [{"components": 2}, {"kernel": "linear"}, {"kernel": "rbf"}])
def test_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for(hparams: dict[str, Any]) -> None:
    check_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for("TCA", moved, hparams)


def test_rows_keep_their_place_when_the_training_rows_are_permuted() -> None:
    check_rows_keep_their_place_when_the_training_rows_are_permuted("TCA")


def test_predictions_do_not_depend_on_the_coordinate_system() -> None:
    check_predictions_do_not_depend_on_the_coordinate_system("TCA")


@pytest.mark.parametrize("columns", [2, 3])
def test_rows_far_from_the_origin_are_said_to_lose_what_unit_length_takes(columns: int) -> None:
    chance = np.random.default_rng(0)
    X, y = chance.normal(size=(40, columns)) + 100, np.arange(40) % 2
    with pytest.warns(UserWarning, match="tca scales rows to unit length, and their directions hardly differ"):
        dalib.AdaptationClassifier(dalib.TCA(), device="cpu").fit(X, y, X)


@pytest.mark.parametrize(
    ("kernel", "n", "d"), [("rbf", 300, 10), ("linear", 300, 601), ("linear", 300, 10), ("primal", 300, 10)]
)
def test_the_memory_that_is_told_is_what_the_solution_takes(kernel: str, n: int, d: int) -> None:
    """With features as they are, rows count too, more than are there at once; pairs of rows do not."""
    assert 0.8 < told_over_used(dalib.TCA(kernel=kernel), n, d) < (1.7 if kernel == "rbf" else 2.5)
    assert ("n²" in str(dalib.estimate_cost("tca", n, n, d, kernel=kernel))) == (kernel == "rbf" or d > n)


def test_kernels_at_some_rows_solve_the_problem_on_those_kernels() -> None:
    """SciPy's generalised eigenproblem on exp(-||a - b||²) at every tenth of the sorted unit rows."""
    chance = np.random.default_rng(0)
    x_s, x_t = chance.normal(size=(60, 4)), chance.normal(size=(50, 4)) + 0.5
    model = dalib.AdaptationTransformer(dalib.TCA(kernel="rbf", centres=11, components=3))
    ours = model.fit(x_s, X_target=x_t).mapping_.algorithm.directions.numpy()
    z = np.vstack([x_s, x_t])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    centres = z[np.lexsort(z.T[::-1])[::10]]
    phi = np.exp(-np.square(z[:, None] - centres[None]).sum(2))
    e = np.r_[np.full(60, 1 / 60), np.full(50, -1 / 50)]
    M = np.outer(e, e) / (e @ e)
    values, W = eigh(phi.T @ (phi - phi.mean(0)), phi.T @ M @ phi + np.eye(11))
    W = W[:, np.argsort(-values)[:3]]
    cosine = (ours * W).sum(0) / np.linalg.norm(ours, axis=0) / np.linalg.norm(W, axis=0)
    np.testing.assert_allclose(np.abs(cosine), 1, atol=1e-9)


def test_kernels_at_all_rows_are_the_default() -> None:
    chance = np.random.default_rng(0)
    x_s, x_t = chance.normal(size=(40, 4)), chance.normal(size=(30, 4)) + 0.5
    all_rows, more = (
        dalib.AdaptationTransformer(dalib.TCA(kernel="rbf", centres=n)).fit_transform(x_s, X_target=x_t)
        for n in (0, 99)
    )
    assert np.array_equal(all_rows, more)


@pytest.mark.parametrize(
    ("algorithm", "way"),
    [(dalib.TCA(kernel="rbf"), "centres = 1000"), (dalib.KMM(), "ulsif"), (dalib.OTMap(), "'linear'")],
)
def test_what_to_take_where_pairs_of_rows_do_not_fit_is_the_methods_own(algorithm: Any, way: str) -> None:
    X = np.random.default_rng(0).normal(size=(300_000, 2)).astype(np.float32)
    with pytest.raises(dalib.DalibError, match=rf"for 300000 \+ 300000 rows of 2 .* GB are left; take .*{way}"):
        dalib.AdaptationClassifier(algorithm, device="cpu").fit(X, np.arange(len(X)) % 2, X)


def test_few_rows_are_answered_alike_in_any_order() -> None:
    check_few_rows_are_answered_alike_in_any_order("TCA", 9, 8)


@pytest.mark.slow
def test_surf_average_is_near_the_published_one(shared_data: Path) -> None:
    check_surf_average_is_near_the_published_one(shared_data, "TCA", 46.2, 0.5)
