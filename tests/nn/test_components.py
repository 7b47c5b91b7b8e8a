"""Components against NumPy: matrices built entry by entry, eigenvectors of the n x n problem of the papers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from dalib.nn.components import kernel_features, make_landmarks, match_jointly, mean_contrasts, transfer_components


@pytest.mark.parametrize("n", [500, 410])
def test_few_of_many_components_are_those_of_the_whole_problem(n: int) -> None:
    rng = np.random.default_rng(1)
    phi = torch.from_numpy(rng.standard_normal((n, 420)) * 0.97 ** np.arange(420))
    E = mean_contrasts(torch.arange(n - 200) % 4, 200, torch.arange(200) % 4, 4.0, 1.0)
    centred, contrast = (phi - phi.mean(0)).numpy(), (phi.T @ E).numpy()
    B = contrast @ contrast.T + 0.5 * np.eye(420)
    _, reference = eigh(centred.T @ centred, B, subset_by_index=[410, 419])
    found = transfer_components(phi, E, 0.5, 10).numpy()
    np.testing.assert_allclose(np.abs(found.T @ B @ reference[:, ::-1]), np.eye(10), atol=1e-8)


N_S, N_T, D = 14, 11, 5


def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Both domains' rows, source labels, pseudo-labels; class 2 has no pseudo-label."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((N_S + N_T, D)) @ rng.standard_normal((D, D))
    z[N_S:] += 1
    return torch.from_numpy(z), torch.arange(N_S) % 3, torch.arange(N_T) % 2


def mmd_matrix(marginal: float, conditional: float) -> np.ndarray:
    """The MMD matrices of the JDA paper, entry by entry, divided by the Frobenius norm."""
    _, y_s, y_t = rows()
    label = [*y_s.tolist(), *y_t.tolist()]
    n = N_S + N_T
    M = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            a, b = (1 / N_S if k < N_S else -1 / N_T for k in (i, j))
            M[i, j] += marginal * a * b
            for c in (0, 1):
                count_s = sum(v == c for v in label[:N_S])
                count_t = sum(v == c for v in label[N_S:])
                if label[i] == c and label[j] == c:
                    a, b = (1 / count_s if k < N_S else -1 / count_t for k in (i, j))
                    M[i, j] += conditional * a * b
    return M / np.sqrt((M**2).sum())


@pytest.mark.parametrize(("marginal", "conditional"), [(1.0, 0.0), (3.0, 1.0), (0.0, 1.0), (0.6, 0.2)])
def test_contrasts_give_the_papers_matrix(marginal: float, conditional: float) -> None:
    _, y_s, y_t = rows()
    E = mean_contrasts(y_s, N_T, y_t, marginal, conditional)
    np.testing.assert_allclose((E @ E.T).numpy(), mmd_matrix(marginal, conditional), atol=1e-12)


def test_without_labels_only_the_domains_means_count() -> None:
    z, y_s, _ = rows()
    E = mean_contrasts(y_s, N_T, None, 7.0, 1.0)
    difference = z[:N_S].mean(0) - z[N_S:].mean(0)
    torch.testing.assert_close(z.T @ E[:, 0], difference / (1 / N_S + 1 / N_T) ** 0.5)
    assert mean_contrasts(y_s, N_T, None, 0.0, 1.0).abs().max() == 0


def full_embedding(K: np.ndarray, M: np.ndarray, reg: float, k: int) -> np.ndarray:
    """Z = K A, A the leading eigenvectors of (K M K + reg I)^(-1) K H K, scaled so that Aᵀ (K M K + reg I) A = I."""
    n = len(K)
    H = np.eye(n) - np.full((n, n), 1 / n)
    B = K @ M @ K + reg * np.eye(n)
    values, A = np.linalg.eig(np.linalg.inv(B) @ K @ H @ K)
    A = np.real(A[:, np.argsort(-values.real)[:k]])
    return K @ (A / np.sqrt(np.einsum("ij,ij->j", A, B @ A)))


def gram(kernel: str, z: np.ndarray) -> np.ndarray:
    if kernel == "linear":
        return z @ z.T
    return np.array([[np.exp(-0.3 * ((a - b) ** 2).sum()) for b in z] for a in z])


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_the_embedding_is_that_of_the_full_kernel_problem(kernel: str) -> None:
    z, y_s, y_t = rows()
    reference = full_embedding(gram(kernel, z.numpy()), mmd_matrix(3.0, 1.0), 0.7, 3)
    landmarks = make_landmarks(kernel, z)
    phi = kernel_features(kernel, z, landmarks, 0.3)
    got = phi @ transfer_components(phi, mean_contrasts(y_s, N_T, y_t, 3.0, 1.0), 0.7, 3)
    sign = np.sign((got.numpy() * reference).sum(0))
    np.testing.assert_allclose(got.numpy() * sign, reference, atol=1e-8)


def test_the_primal_embedding_solves_the_problem_on_the_coordinates() -> None:
    z, y_s, y_t = rows()
    x, M = z.numpy(), mmd_matrix(3.0, 1.0)
    centred = x - x.mean(0)
    B = x.T @ M @ x + 0.7 * np.eye(D)
    values, vectors = np.linalg.eig(np.linalg.inv(B) @ centred.T @ centred)
    W = transfer_components(z, mean_contrasts(y_s, N_T, y_t, 3.0, 1.0), 0.7, 2).numpy()
    np.testing.assert_allclose(W.T @ B @ W, np.eye(2), atol=1e-8)
    np.testing.assert_allclose(np.diag(W.T @ centred.T @ centred @ W), np.sort(values.real)[::-1][:2], rtol=1e-8)
    leading = vectors[:, np.argmax(values.real)].real
    assert abs(leading @ W[:, 0]) / np.linalg.norm(leading) / np.linalg.norm(W[:, 0]) == pytest.approx(1, abs=1e-8)


def test_a_wide_linear_kernel_needs_no_more_landmarks_than_columns() -> None:
    assert make_landmarks("linear", torch.randn(50, 4)).shape == (4, 4)
    assert make_landmarks("linear", torch.randn(3, 9)).shape == (3, 9)


def test_more_components_than_columns_are_cut() -> None:
    z, y_s, _ = rows()
    assert transfer_components(z, mean_contrasts(y_s, N_T), 1.0, 20).shape == (D, D)


@pytest.mark.parametrize("iterations", [1, 3])
def test_joint_matching_is_the_reweighted_problem_over_all_rows(iterations: int) -> None:
    """The n x n problem, with G written out: 1 / (2 ||a_i||) for source rows, 1 for target rows."""
    z, y_s, _ = rows()
    K, M, n = z.numpy() @ z.numpy().T, mmd_matrix(1.0, 0.0), N_S + N_T
    H, G = np.eye(n) - np.full((n, n), 1 / n), np.eye(n)
    for _ in range(iterations):
        B = K @ M @ K + 0.7 * G
        values, A = np.linalg.eig(np.linalg.inv(B) @ K @ H @ K)
        A = np.real(A[:, np.argsort(-values.real)[:2]])
        A = A / np.sqrt(np.einsum("ij,ij->j", A, B @ A))
        for i in range(N_S):
            G[i, i] = 1 / (2 * np.linalg.norm(A[i]))
    got = (z @ match_jointly(z, N_S, mean_contrasts(y_s, N_T), 0.7, 2, iterations)).numpy()
    sign = np.sign((got * (K @ A)).sum(0))
    np.testing.assert_allclose(got * sign, K @ A, atol=1e-8)


def test_one_component_comes_out_of_one_column_and_of_many() -> None:
    rng = np.random.default_rng(0)
    for d, k in ((1, 20), (6, 1), (2, 1)):
        phi, E = torch.as_tensor(rng.normal(size=(30, d))), mean_contrasts(torch.arange(18) % 2, 12)
        W = transfer_components(phi, E, 1.0, k)
        assert W.shape == (d, 1 if k == 1 or d == 1 else k) and W.isfinite().all()


def test_components_that_rounding_would_choose_are_left_out() -> None:
    rng = np.random.default_rng(0)
    phi, E = torch.as_tensor(rng.normal(size=(7, 30))), mean_contrasts(torch.arange(4) % 2, 3)
    W = transfer_components(phi, E, 1.0, 20)
    assert W.shape == (30, 6) and (phi @ W - (phi @ W).mean(0)).norm(dim=0).min() > 0.1
    alike = transfer_components(phi[:1].repeat(7, 1), E, 1.0, 20)
    assert alike.shape == (30, 1) and not alike.any()


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4, 1e8])
def test_a_component_is_kept_in_whatever_unit_the_contrast_outweighs_reg(unit: float) -> None:
    """Its eta is then near wᵀ A w / wᵀ E Eᵀ w, far below what rounding would leave of A where reg alone counts."""
    rng = np.random.default_rng(0)
    phi = torch.tensor(unit * (rng.normal(size=(40, 1)) + np.repeat([[0.0], [0.3]], 20, 0)))
    E = mean_contrasts(torch.arange(20) % 2, 20)
    w = transfer_components(phi, E, 1.0, 3)
    torch.testing.assert_close(w.abs(), ((phi.T @ E).square().sum() + 1).rsqrt()[None, None])
