"""Classifiers that are solved, not descended, on fixed features; their state is a dict of tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CLASSIFIERS = ("logistic", "svm", "nearest")
ABSENT = -1e4
"""Logit of a class without a training row: never predicted, probability 0, representable in float16."""
_CHUNK = 1 << 24


def fit_classifier(
    kind: str, z: Tensor, y: Tensor, C: float, num_classes: int, weight: Tensor | None = None
) -> dict[str, Tensor]:
    """z (n, d), y (n,) int64 in [0, K) and row weights (n,) >= 0 (default: all alike) -> state, float64 on z's device.

    `logistic`: multinomial logistic regression min_W 1/2 ||W||² + C sum CE (scikit-learn, L-BFGS to a gradient of 1e-6,
        bias not penalised), on the features as they are (centred for the solver, which the free bias takes back);
        weight (K, d), bias (K,)
    `svm`: linear support vector machines, one class against the rest, squared hinge (LIBLINEAR's dual, scikit-learn);
        weight (K, d), bias (K,)
    `nearest`: 1-NN keeps its rows (n, d) and labels (n,); C has no meaning

    Rows of weight 0 are left out, weights are scaled to mean 1.

    Raises
        ValueError: another kind, no row, or unequal weights for `nearest`
    """
    equal = weight is None or not len(weight) or bool((weight == weight[0]).all())
    if weight is not None and not equal:
        used = weight > 0
        z, y, weight = z[used], y.to(z.device)[used], weight[used] / weight[used].mean()
    if not len(z):
        raise ValueError("a classifier needs at least one row of positive weight")
    if kind == "nearest":
        if not equal:
            raise ValueError("nearest neighbours have no weights; use logistic or svm")
        return {"rows": z.detach().double(), "labels": y.to(z.device)}
    if kind not in CLASSIFIERS:
        raise ValueError(f"no classifier named {kind!r}; known: {', '.join(CLASSIFIERS)}")
    W = torch.zeros(num_classes, z.shape[1], dtype=torch.float64)
    bias = torch.full((num_classes,), ABSENT, dtype=torch.float64)
    present = y.unique().cpu()
    bias[present] = 0.0
    if len(present) > 1:
        x = z.detach().double().cpu()
        row_weight = None if equal or weight is None else weight.double().cpu()
        centre = x.mean(0) if row_weight is None else (row_weight[:, None] * x).mean(0)
        solver = _make_solver(kind, C).fit((x - centre).numpy(), y.cpu().numpy(), sample_weight=row_weight)
        w, b = torch.from_numpy(solver.coef_), torch.from_numpy(solver.intercept_)
        b = b - w @ centre
        if len(present) == 2:  # one score: the same model as two opposite halves
            w, b = torch.cat([-w, w]) / 2, torch.cat([-b, b]) / 2
        W[present], bias[present] = w, b
    return {"weight": W.to(z.device), "bias": bias.to(z.device)}


def _make_solver(kind: str, C: float) -> Any:
    if kind == "svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=C, random_state=0, max_iter=20000)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, solver="lbfgs", max_iter=5000, tol=1e-6)


def score_classifier(kind: str, z: Tensor, state: dict[str, Tensor], num_classes: int) -> Tensor:
    """z (m, d) -> logits (m, K), float64; a class that had no training row stays below every other.

    `logistic`, `svm`: z Wᵀ + b.  `nearest`: minus the Euclidean distance to the class's nearest row, so that the
    largest logit is the label of the nearest row (equal distances: the lowest label).
    """
    z = z.double()
    if kind != "nearest":
        return z @ state["weight"].T + state["bias"]
    rows, labels = state["rows"], state["labels"]
    centre = rows.mean(0)
    step = max(1, _CHUNK // max(len(rows), 1))
    parts = [_nearest(part - centre, rows - centre, labels, num_classes) for part in z.split(step)]
    return torch.cat(parts) if parts else z.new_zeros(0, num_classes)


def _nearest(z: Tensor, rows: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    distance = torch.cdist(z, rows)
    nearest = distance.new_full((len(z), num_classes), torch.inf)
    nearest.scatter_reduce_(1, labels.expand(len(z), -1), distance, "amin")
    worst = distance.amax(1, keepdim=True).mul(2).clamp(min=-ABSENT)
    return -torch.where(nearest.isinf(), worst, nearest)
