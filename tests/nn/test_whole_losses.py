"""Functions that algorithms take whole, in NumPy: contrasts, agreement with a teacher, own perturbations and labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from dalib.nn.contrastive import contrast_head_and_rows, extend_by_one
from dalib.nn.manifold import cosine_laplacian, fit_with_own_labels
from dalib.nn.self_ensembling import confident_consistency, distance_from_balance
from dalib.nn.virtual_adversarial import own_virtual_adversarial


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def tensors(*arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(a) for a in arrays]


def test_a_one_is_appended_before_the_length_is_taken() -> None:
    z = np.random.default_rng(0).normal(size=(5, 3))
    expected = unit(np.concatenate([z, np.ones((5, 1))], 1))
    np.testing.assert_allclose(extend_by_one(torch.from_numpy(z)), expected, atol=1e-12)


def test_the_contrasts_of_head_and_rows_are_those_of_loops() -> None:
    rng, y, temperature = np.random.default_rng(0), np.array([0, 2, 2, 1]), 0.3
    h, w, q, u = (unit(rng.normal(size=s)) for s in ((4, 3), (3, 3), (4, 2), (4, 2)))
    queue = np.concatenate([unit(rng.normal(size=(3, 2, 3))), unit(rng.normal(size=(3, 2, 2)))], 2)
    queue[1, 1] = queue[0] = 0
    of_head, of_rows = [], []
    for i in range(4):
        for out, own, query, part in (
            (of_head, h[i] @ w[y[i]], w[y[i]], slice(3)),
            (of_rows, q[i] @ u[i], q[i], slice(3, 5)),
        ):
            stored = [(k, row[part] @ query) for k in range(3) for row in queue[k] if row.any()]
            log_p = log_softmax(np.array([own, *(s for _, s in stored)]) / temperature)
            out.append(-np.mean([log_p[0], *(v for (k, _), v in zip(stored, log_p[1:], strict=True) if k == y[i])]))
    found = contrast_head_and_rows(*tensors(h, q, w, u, queue, y), temperature)
    np.testing.assert_allclose([float(v) for v in found], [np.mean(of_head), np.mean(of_rows)], atol=1e-10)


def test_only_rows_of_which_the_teacher_is_sure_count_for_consistency() -> None:
    rng = np.random.default_rng(1)
    p, q = (softmax(2 * rng.normal(size=(9, 4)), axis=1) for _ in range(2))
    sure = [i for i in range(9) if q[i].max() >= 0.6]
    assert 0 < len(sure) < 9
    expected = sum(((p[i] - q[i]) ** 2).sum() / 4 for i in sure) / 9
    assert float(confident_consistency(*tensors(p, q), 0.6)) == pytest.approx(expected, abs=1e-12)
    assert float(confident_consistency(*tensors(p, q), 0.0)) == pytest.approx(((p - q) ** 2).mean(), abs=1e-12)


def test_the_distance_from_balance_is_the_cross_entropy_with_equal_classes_and_least_there() -> None:
    p = softmax(np.random.default_rng(2).normal(size=(7, 4)), axis=1)
    m = p.mean(0)
    expected = -sum(np.log(v + 1e-6) / 4 + 3 / 4 * np.log(1 - v + 1e-6) for v in m)
    assert float(distance_from_balance(torch.from_numpy(p))) == pytest.approx(expected, abs=1e-12)
    assert float(distance_from_balance(torch.full((5, 4), 0.25).double())) < expected


def test_a_perturbation_is_about_the_networks_own_prediction_without_dropout() -> None:
    """A linear network: the worst direction by iteration on the Gauss-Newton matrix, from the same random start."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 4)).double().train()
    x = torch.randn(6, 3, dtype=torch.float64)
    torch.manual_seed(5)
    found = own_virtual_adversarial(network, network, x, radius=0.7, xi=1e-4, iterations=3)
    torch.manual_seed(5)
    d = torch.randn_like(x).numpy()
    W, b = network[1].weight.detach().numpy(), network[1].bias.detach().numpy()
    p = softmax(x.numpy() @ W.T + b, axis=1)
    for i in range(6):
        H = W.T @ (np.diag(p[i]) - np.outer(p[i], p[i])) @ W
        v = unit(d[i])
        for _ in range(3):
            v = unit(H @ v)
        moved = log_softmax((x[i].numpy() + 0.7 * v) @ W.T + b)
        assert float(found[i].detach()) == pytest.approx((p[i] * (np.log(p[i]) - moved)).sum(), rel=1e-3)
    assert network.training and network[0].training


@pytest.mark.parametrize("iterations", [1, 4])
def test_own_labels_give_the_solution_of_a_loop_that_solves_the_equations(iterations: int) -> None:
    """The Laplacian is the library's own, which has tests of its own; all else is computed here."""
    rng = np.random.default_rng(3)
    y_s, y = np.arange(24) % 3, np.arange(18) % 3
    corner = 2 * np.eye(3, 4)
    g_s, g_t = corner[y_s] + 0.5 * rng.normal(size=(24, 4)), corner[y] + 0.9 * rng.normal(size=(18, 4)) + 0.4
    mu, weight, rho, eta = 0.3, 10.0, 0.7, 0.2
    found = fit_with_own_labels(
        *tensors(g_s, y_s, g_t), 4, mu=mu, weight=weight, rho=rho, eta=eta, neighbours=5, iterations=iterations
    )
    z, n, n_s = unit(np.concatenate([g_s, g_t])), 42, 24
    K, L = np.exp(-(cdist(z, z) ** 2) / 2), cosine_laplacian(torch.from_numpy(z), 5).numpy()
    Y = np.concatenate([np.eye(4)[y_s], np.zeros((18, 4))])
    S = np.diag([1.0] * n_s + [0.0] * 18)
    y_t = KNeighborsClassifier(1).fit(z[:n_s], y_s).predict(z[n_s:])
    for _ in range(iterations):
        M = np.zeros((n, n))
        for k, part in ((None, (1 - mu) * 3), *((k, mu) for k in range(3))):
            e = np.zeros(n)
            mine, theirs = (
                (np.arange(n_s), np.arange(18)) if k is None else (np.where(y_s == k)[0], np.where(y_t == k)[0])
            )
            if not len(theirs):
                continue
            e[mine], e[n_s + theirs] = 1 / len(mine), -1 / len(theirs)
            M += part * np.outer(e, e)
        M /= np.linalg.norm(M)
        beta = np.linalg.solve((S + weight * M + rho * L) @ K + eta * np.eye(n), Y)
        y_t = (K[n_s:] @ beta)[:, :3].argmax(1)
    np.testing.assert_allclose(found[0], z, atol=1e-12)
    np.testing.assert_allclose(found[1], beta, atol=1e-8)
    assert found[2][:3].abs().max() == 0 and float(found[2][3]) < -1e3
