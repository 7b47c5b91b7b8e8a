"""Regression in a kernel's space through some of the rows, landmarks: memory grows with the rows, not their square."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from dalib.nn.classifiers import ABSENT, fit_classifier, score_classifier
from dalib.nn.components import kernel_features, mean_contrasts
from dalib.nn.density_ratio import order_rows, spread
from dalib.nn.separability import estimate_balance

_LEAST = 1e-12
"""Directions of the landmarks' kernel below this part of the largest are rounding."""
_CHUNK = 1 << 22


def cosine_graph(z: Tensor, k: int) -> tuple[Any, np.ndarray]:
    """z (n, d) -> sparse W (n, n), scale (n,) with I - scale W scale = `cosine_laplacian`, row by row."""
    from scipy.sparse import coo_array

    x = normalize(z)
    n, k, rows = len(x), min(k + 1, len(x)), max(1, _CHUNK // len(x))
    value, nearest = x.new_empty(n, k), torch.empty(n, k, dtype=torch.int64, device=x.device)
    room = x.new_empty(min(rows, n), n)  # made once: what is kept between blocks would keep memory in pieces
    for i in range(0, n, rows):
        part = x[i : i + rows]
        cosine = torch.mm(part, x.T, out=room[: len(part)])
        cosine.diagonal(i).fill_(torch.inf)
        value[i : i + rows], nearest[i : i + rows] = cosine.topk(k)
    own = x.square().sum(1, keepdim=True)
    value = torch.where(value.isinf(), own, value.clamp(min=0)).cpu()
    at = np.arange(n).repeat(k), nearest.flatten().cpu().numpy()
    W = coo_array((value.flatten().numpy(), at), shape=(n, n)).tocsr()
    W = W.maximum(W.T)
    D = np.asarray(W.sum(1)).ravel()
    return W, np.divide(1.0, np.sqrt(D), out=np.zeros(n), where=D > 0)


def fit_at_landmarks(
    g_s: Tensor, y_s: Tensor, g_t: Tensor, classes: int, landmarks: int, *, mu: float | None, weight: float, rho: float,
    eta: float, neighbours: int, iterations: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """`fit_with_own_labels` for f in the span of the kernels at `landmarks` rows, evenly spaced in sorted order.

    With Phi = k(rows, landmarks), k(landmarks, landmarks) = V diag(v) Vᵀ and Psi = Phi V diag(v)^(-1/2), f = Psi c
    minimises the same sum, in which ||f||² = ||c||²:
    c = (Psi_sᵀ Psi_s + Psiᵀ (weight E Eᵀ + rho L) Psi + eta I)^(-1) Psi_sᵀ y,  beta = V diag(v)^(-1/2) c
    All rows as landmarks give the same f. Returns (landmarks (m, d), beta (m, classes), bias). Nyström's way: Williams
    & Seeger. Using the Nyström Method to Speed Up Kernel Machines. NIPS 2001.
    """
    z, n_s = normalize(torch.cat([g_s, g_t])), len(g_s)
    rows = z[order_rows(z)[spread(len(z), landmarks)]]
    values, V = torch.linalg.eigh(kernel_features("rbf", rows, rows, 0.5))
    kept = values > _LEAST * values[-1]
    into = V[:, kept] / values[kept].sqrt()
    Psi, Y = z.new_empty(len(z), into.shape[1]), one_hot(y_s, classes).double()
    for part in torch.arange(len(z), device=z.device).split(max(1, _CHUNK // landmarks)):
        Psi[part] = kernel_features("rbf", z[part], rows, 0.5) @ into
    smooth = _smoothness(Psi, *cosine_graph(z, neighbours))
    fixed = Psi[:n_s].T @ Psi[:n_s] + rho * smooth + eta * torch.eye(Psi.shape[1]).to(Psi)
    told, bias = Psi[:n_s].T @ Y, torch.where(Y.any(0), 0.0, ABSENT).double()
    nearest = fit_classifier("nearest", z[:n_s], y_s, 1.0, classes)
    y_t = score_classifier("nearest", z[n_s:], nearest, classes).argmax(1)
    for _ in range(iterations):
        part = estimate_balance(g_s, y_s, g_t, y_t) if mu is None else mu
        means = Psi.T @ mean_contrasts(y_s, len(g_t), y_t, (1 - part) * len(y_s.unique()), part)
        c = torch.linalg.solve(fixed + weight * means @ means.T, told)
        before, y_t = y_t, (Psi[n_s:] @ c + bias).argmax(1)
        if torch.equal(y_t, before):
            break
    return rows, into @ c, bias


def _smoothness(Psi: Tensor, W: Any, scale: np.ndarray) -> Tensor:
    """Psiᵀ (I - scale W scale) Psi (m, m), some columns at a time."""
    weight, found = torch.from_numpy(scale).to(Psi)[:, None], []
    for columns in Psi.split(max(1, _CHUNK // len(Psi)), 1):
        near = torch.from_numpy(W @ (weight * columns).cpu().numpy()).to(Psi)
        found.append(Psi.T @ (columns - weight * near))
    return torch.cat(found, 1)
