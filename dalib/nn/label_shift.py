"""From a classifier's answers to class proportions of a target whose classes look as they do in the source."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LEAST, MOST = 0.02, 50.0


def confusion_weights(said_s: Tensor, y_s: Tensor, said_t: Tensor) -> Tensor:
    """w_c = q_c / p_c, how much more frequent class c is in the target: C w = mu, w >= 0.

    C_ij = mean over source rows of said_s_i [y_s = j],  mu_i = mean over target rows of said_t_i

    Negative parts of the solution become 0. Where C has no inverse the solution of least squares and least length is
    taken; all alike where nothing is left of it.

    Shapes
        said_s (n, K), said_t (m, K): probabilities, or one-hot answers; y_s (n,) int64; w (K,) float64
    """
    truth = torch.nn.functional.one_hot(y_s, said_s.shape[1]).to(said_s).double()
    C = said_s.double().T @ truth / len(y_s)
    w = torch.linalg.lstsq(C.cpu(), said_t.double().mean(0).cpu()[:, None], driver="gelsd").solution[:, 0]
    w = w.clamp(min=0).to(said_s.device)
    return w if w.any() else torch.ones_like(w)


def fit_calibration(logits: Tensor, y: Tensor, biased: bool) -> tuple[float, Tensor]:
    """(s, b) of softmax(s * logits + b) that make the labels likeliest; s in [0.02, 50], b (K,) of mean 0.

    Without `biased` b = 0: temperature scaling, s = 1 / T. The loss is convex in (s, b). Every label is 1 / (n + 2)
    less than certain, spread over all classes (Platt's targets), so that rows which are all right ask for no infinity.

    Shapes
        logits (n, K), y (n,) int64
    """
    from scipy.optimize import minimize

    x, (n, K) = logits.double().cpu(), logits.shape
    targets = torch.full((n, K), 1 / (n + 2) / K, dtype=torch.float64)
    targets[torch.arange(n), y.cpu()] += 1 - 1 / (n + 2)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        s, b = float(theta[0]), torch.from_numpy(np.append(theta[1:], np.zeros(0 if biased else K)))
        log_p = (s * x + b).log_softmax(1)
        gap = (log_p.exp() - targets) / n
        slope = gap.sum(0).numpy() if biased else np.zeros(0)
        return float(-(targets * log_p).sum() / n), np.append(float((gap * x).sum()), slope)

    start = np.append(1.0, np.zeros(K if biased else 0))
    bounds = [(LEAST, MOST), *[(None, None)] * (len(start) - 1)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000, "ftol": 1e-12})
    b = torch.from_numpy(found.x[1:].copy()) if biased else torch.zeros(K, dtype=torch.float64)
    return float(found.x[0]), (b - b.mean()).to(logits.device)


def deal_rows(y: Tensor, parts: int) -> Tensor:
    """The part, 0 … parts - 1, of every row (n,): rows of a class are dealt one by one; a class of one row gets -1."""
    part = torch.full_like(y, -1)
    for c in y.unique():
        rows = (y == c).nonzero()[:, 0]
        if len(rows) > 1:
            part[rows] = torch.arange(len(rows), device=y.device) % parts
    return part
