"""Sparse rows for methods that see principal subspaces only: never made dense, and the same answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, svds

from dalib.algorithms._projection import VARIANCE
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.memory import GB
from dalib.nn.subspaces import count_share

ONE_SUBSPACE, TWO_SUBSPACES = ("pca_map",), ("subspace_alignment", "gfk")
MOST_EIGENVALUES = 4000
TAKE_SPARSE = (*ONE_SUBSPACE, *TWO_SUBSPACES)


def refuse_sparse(name: str, X: Any) -> None:
    """TypeError, as scikit-learn wants it, for sparse rows that a method cannot take as they are."""
    if issparse(X):
        n, d = X.shape
        raise TypeError(
            f"{name} needs dense rows, and {n} x {d} x 8 bytes = {n * d * 8 / GB:.2g} GB of them; give X.toarray() if "
            f"that fits, else TruncatedSVD(100) before it, or AdaptationTransformer of {' or '.join(TAKE_SPARSE)}, "
            "which take sparse rows"
        )


def count_sparse_axes(name: str, X: Any) -> int:
    """`count_axes` of sparse rows X (n, d), from the smaller of their two Gram matrices, min(n, d) wide.

    Raises
        DalibError: it is wider than MOST_EIGENVALUES
    """
    n, d = X.shape
    if min(n, d) > MOST_EIGENVALUES:
        raise DalibError(
            f"{name}.components = 'auto' looks at {min(n, d)} eigenvalues of sparse rows, and {MOST_EIGENVALUES} are "
            "the most; give a number, components=100"
        )
    X, mean = X.astype(np.float64), _mean(X)
    if d <= n:
        gram = (X.T @ X).toarray() - n * np.outer(mean, mean)
    else:
        gram = (X @ X.T).toarray()
        gram += gram.mean() - gram.mean(0) - gram.mean(0)[:, None]
    return count_share(np.linalg.eigvalsh(gram), VARIANCE)


class Compression:
    """An orthonormal basis Q (d, r) that holds all that a method of principal subspaces sees of sparse rows.

    With the axes P of a domain in the span of Q, those of its rows z Q are Qᵀ P, of the same variances: the method
    solved on z Q (n, r) gives what it would on z. Q spans the axes and the mean of each domain, of both together for
    `pca_map`.

    Args
        algorithm: one of TAKE_SPARSE
        X_s, X_t: sparse rows (n, d) of the same d
    """

    def __init__(self, algorithm: FeatureAlgorithm, X_s: Any, X_t: Any) -> None:
        name, given = algorithm.name_for_people(), algorithm.hparams.get("components", 0)
        if name not in TAKE_SPARSE:
            refuse_sparse(name, X_s if issparse(X_s) else X_t)
        from scipy.sparse import vstack

        if given == "auto":
            given = count_sparse_axes(name, vstack([X_s, X_t]))
            setattr(algorithm, "components", given)  # noqa: B010
        k = int(given)

        parts = [vstack([X_s, X_t])] if name in ONE_SUBSPACE else [X_s, X_t]
        k = min(k, *(min(part.shape) for part in parts))
        bases = [principal_axes(part, k) for part in parts] + [_mean(part)[:, None] for part in (X_s, X_t)]
        self.basis: np.ndarray = np.linalg.qr(np.concatenate(bases, axis=1)).Q

    def __call__(self, X: Any) -> np.ndarray:
        """Rows (n, d), sparse or not, -> (n, r), float64."""
        return np.asarray(X @ self.basis)


def _mean(X: Any) -> np.ndarray:
    return np.asarray(X.mean(0), np.float64).ravel()


def principal_axes(X: Any, k: int) -> np.ndarray:
    """X (n, d) sparse -> orthonormal directions of largest variance (d, k), largest first; signs are arbitrary.

    Rows are centred inside the products of a Lanczos iteration (ARPACK), started at the row of largest length.
    """
    n, d = X.shape
    if k >= min(n, d):
        centred = X.toarray() - _mean(X)
        return np.asarray(np.linalg.svd(centred, full_matrices=False).Vh[:k].T)
    X, mean = X.astype(np.float64), _mean(X)
    if (X.max(0) != X.min(0)).nnz == 0:  # all rows are alike: no direction has variance, and any will do
        return np.eye(d, k)

    def times(v: np.ndarray) -> np.ndarray:
        return np.asarray(X @ v) - mean @ v

    def times_transposed(u: np.ndarray) -> np.ndarray:
        u = u.ravel()
        return np.asarray(X.T @ u) - mean * u.sum()

    centred = LinearOperator((n, d), matvec=lambda v: times(v.ravel()), rmatvec=times_transposed, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=min(n, d))
    values, axes = svds(centred, k=k, v0=start, tol=1e-12, return_singular_vectors="vh")[1:]
    return np.asarray(axes[np.argsort(-values)].T)
