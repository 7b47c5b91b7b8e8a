"""Methods whose rows are cut into parts, against POT and NumPy part by part."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import LinearConstraint, minimize

import dalib
from dalib.nn.blocks import deal_blocks
from dalib.nn.density_ratio import kernel_mean_matching

chance = np.random.default_rng(0)
Y_S = np.arange(90) % 3
X_S = np.eye(3, 4)[Y_S] * 2 + 0.3 * chance.normal(size=(90, 4))
X_T = np.eye(3, 4)[np.arange(60) % 3] * 2 + 0.3 * chance.normal(size=(60, 4)) + 0.7


def parts(block: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(i.numpy(), j.numpy()) for i, j in deal_blocks(torch.from_numpy(X_S), torch.from_numpy(X_T), block)]


@pytest.mark.parametrize("method", ["emd", "sinkhorn"])
def test_ot_map_moves_every_part_as_pot_does(method: str) -> None:
    """Up to the unit of the moved rows; POT's entropy is in the unit of the costs, ours over the largest."""
    moved = np.empty_like(X_S)
    assert len(parts(30)) == 3
    for i, j in parts(30):
        top = float(ot.dist(X_S[i], X_T[j]).max())
        how = ot.da.EMDTransport() if method == "emd" else ot.da.SinkhornTransport(reg_e=0.1 * top, max_iter=10_000)
        moved[i] = how.fit_transform(Xs=X_S[i], Xt=X_T[j])
    algorithm = dalib.OTMap(method=method, unit_rows=False, block_rows=30)
    made = dalib.AdaptationTransformer(algorithm).fit_transform(X_S, Y_S, X_target=X_T)
    scale = np.sqrt(np.square(moved - moved.mean(0)).sum(1).mean())
    np.testing.assert_allclose(made[: len(X_S)], moved / scale, atol=1e-4)


def test_labels_come_through_every_part_as_through_pots_plans() -> None:
    told = np.empty(60, int)
    for i, j in parts(30):
        plan = ot.emd(ot.unif(len(i)), ot.unif(len(j)), ot.dist(X_S[i], X_T[j]))
        told[j] = (np.eye(3)[Y_S[i]].T @ plan).argmax(0)
    algorithm = dalib.OTLabelPropagation(method="emd", block_rows=30, classifier="nearest")
    assert (dalib.AdaptationClassifier(algorithm).fit(X_S, Y_S, X_T).predict(X_T) == told).all()


def test_jdots_first_plans_are_pots_and_one_regression_is_fitted_to_all_parts() -> None:
    from sklearn.linear_model import Ridge

    told = np.empty((60, 3))
    for i, j in parts(30):
        told[j] = len(j) * ot.emd(ot.unif(len(i)), ot.unif(len(j)), ot.dist(X_S[i], X_T[j])).T @ np.eye(3)[Y_S[i]]
    expected = Ridge(alpha=60 * 0.01 * X_T.var(0).sum()).fit(X_T, told)
    model = dalib.AdaptationClassifier(dalib.JDOT(iterations=1, block_rows=30)).fit(X_S, Y_S, X_T)
    np.testing.assert_allclose(model.decision_function(X_T), expected.predict(X_T), atol=1e-4)
    again = dalib.AdaptationClassifier(dalib.JDOT(block_rows=30)).fit(X_S, Y_S, X_T)
    assert (again.predict(X_T) == np.arange(60) % 3).mean() > 0.9


def test_the_weights_of_kmms_parts_are_each_parts_minimum() -> None:
    """By SciPy's solver, in the width that all rows have together; the parts are every third of the sorted rows."""
    weight = kernel_mean_matching(torch.from_numpy(X_S), torch.from_numpy(X_T), 0.5, B=4.0, eps=0.2, block_rows=31)
    both = np.concatenate([X_S, X_T])
    gamma = 1 / (2 * 0.25 * 2 * both.var(0).sum())

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(-gamma * np.square(a[:, None] - b).sum(2))

    order = np.lexsort(X_S.T[::-1])
    for part in (order[k::3] for k in range(3)):
        n, x = len(part), X_S[part]
        K, kappa = kernel(x, x), n * kernel(x, X_T).mean(1)
        found = minimize(
            lambda w, K=K, kappa=kappa: w @ K @ w / 2 - kappa @ w,
            np.ones(n),
            jac=lambda w, K=K, kappa=kappa: K @ w - kappa,
            bounds=[(0, 4)] * n,
            constraints=LinearConstraint(np.ones(n), 0.8 * n, 1.2 * n),
            method="trust-constr",
            options={"gtol": 1e-9, "maxiter": 3000},
        )
        mine = weight.numpy()[part]
        assert mine @ K @ mine / 2 - kappa @ mine < found.fun + 1e-5 * abs(found.fun)
        assert (mine >= 0).all() and (mine <= 4).all() and 0.8 * n <= mine.sum() <= 1.2 * n


def test_one_part_is_all_rows() -> None:
    z, t = torch.from_numpy(X_S), torch.from_numpy(X_T)
    whole, one = kernel_mean_matching(z, t, 0.5), kernel_mean_matching(z, t, 0.5, block_rows=90)
    torch.testing.assert_close(whole, one, atol=1e-5, rtol=1e-5)
    for name in ("ot_map", "jdot", "ot_label_propagation"):
        cls = dalib.core.registry.ALGORITHMS.get(name)
        a, b = (dalib.AdaptationClassifier(cls(block_rows=n)).fit(X_S, Y_S, X_T) for n in (0, 90))
        assert (a.decision_function(X_T) == b.decision_function(X_T)).all()
