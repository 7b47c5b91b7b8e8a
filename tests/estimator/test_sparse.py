"""Sparse rows: the same answer as dense ones, in a small part of their memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random, vstack
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

import dalib
from dalib import AdaptationTransformer, WeightedEstimator
from dalib.estimator.sparse import TAKE_SPARSE, principal_axes


def _sparse(n: int, d: int, seed: int, density: float = 0.1) -> csr_matrix:
    rows = random(n, d, density, random_state=np.random.default_rng(seed), format="csr")
    rows.data += 0.5 + seed
    return rows


@pytest.mark.parametrize("name", TAKE_SPARSE)
def test_sparse_rows_move_as_dense_ones_do(name: str) -> None:
    X_s, X_t, new = _sparse(80, 30, 0), _sparse(70, 30, 1), _sparse(9, 30, 2)
    cls = dalib.core.registry.ALGORITHMS.get(name)
    sparse, dense = (AdaptationTransformer(cls(components=4)) for _ in range(2))
    moved = sparse.fit_transform(X_s, X_target=X_t), dense.fit_transform(X_s.toarray(), X_target=X_t.toarray())
    signs = np.r_[np.ones(4), -np.ones(5)]
    for domain in (None, signs):
        made = [
            np.vstack([first, model.transform(rows, sample_domain=domain)])
            for first, model, rows in zip(moved, (sparse, dense), (new, new.toarray()), strict=True)
        ]
        np.testing.assert_allclose(made[0] @ made[0].T, made[1] @ made[1].T, atol=1e-7)
    X, d = vstack([X_s, X_t]).tocsr(), np.r_[np.ones(80), -np.ones(70)]
    one = AdaptationTransformer(cls(components=4)).fit_transform(X, sample_domain=d)
    np.testing.assert_allclose(one[:80] @ one[:80].T, moved[1] @ moved[1].T, atol=1e-7)


@pytest.mark.parametrize("k", [3, 20])
def test_axes_of_sparse_rows_are_principal_components(k: int) -> None:
    X = _sparse(60, 20, 0, 0.3)
    ours, theirs = principal_axes(X, k), PCA(k, svd_solver="full").fit(X.toarray()).components_.T
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-7)


def test_five_thousand_columns_are_never_made_dense() -> None:
    X, y = _sparse(20_000, 5_000, 0, 0.001), np.arange(20_000) % 2
    domain = np.where(np.arange(20_000) < 12_000, 1, -1)
    tracemalloc.start()
    transformer = AdaptationTransformer(dalib.SubspaceAlignment(components=3))
    moved = transformer.fit(X, sample_domain=domain).transform(X)
    WeightedEstimator(None, LogisticRegression(max_iter=20), target_labels="ignore").fit(X, y, sample_domain=domain)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert moved.shape == (20_000, 3) and peak < 100e6  # dense: 800 MB


def test_methods_that_need_dense_rows_say_how_much_that_is() -> None:
    X = _sparse(2000, 500, 0, 0.01)
    with pytest.raises(TypeError, match=r"coral needs dense rows, and 2000 x 500 x 8 bytes = 0.008 GB .*pca_map"):
        AdaptationTransformer("coral").fit(X, X_target=X)


@pytest.mark.parametrize(("name", "shape"), [*((name, (80, 30)) for name in TAKE_SPARSE), ("pca_map", (20, 60))])
def test_by_default_sparse_rows_get_as_many_components_as_dense_ones(name: str, shape: tuple[int, int]) -> None:
    X_s, X_t = _sparse(*shape, 0), _sparse(*shape, 1)
    cls = dalib.core.registry.ALGORITHMS.get(name)
    sparse = AdaptationTransformer(cls()).fit_transform(X_s, X_target=X_t)
    dense = AdaptationTransformer(cls()).fit_transform(X_s.toarray(), X_target=X_t.toarray())
    assert sparse.shape == dense.shape
    np.testing.assert_allclose(sparse @ sparse.T, dense @ dense.T, atol=1e-6)


def test_the_number_is_asked_for_where_there_are_too_many_eigenvalues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dalib.estimator.sparse.MOST_EIGENVALUES", 20)
    with pytest.raises(dalib.DalibError, match=r"looks at 30 eigenvalues .* give a number, components=100"):
        AdaptationTransformer(dalib.PCAMap()).fit(_sparse(80, 30, 0), X_target=_sparse(80, 30, 1))
