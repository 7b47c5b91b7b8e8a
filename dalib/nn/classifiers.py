"""Classifiers that are solved, not descended, on fixed features; their state is a dict of tensors."""

from __future__ import annotations

import torch
from torch import Tensor

CLASSIFIERS = ("logistic", "nearest")
ABSENT = -1e4
"""Logit of a class without a training row: never predicted, probability 0, representable in float16."""
_CHUNK = 1 << 24


def fit_classifier(kind: str, z: Tensor, y: Tensor, C: float, num_classes: int) -> dict[str, Tensor]:
    """z (n, d), y (n,) int64 in [0, K) -> state, float64 on z's device.

    `logistic`: multinomial logistic regression min_W 1/2 ||W||² + C sum CE (scikit-learn, L-BFGS to a gradient of 1e-6,
        bias not penalised), on the features as they are (centred for the solver, which the free bias takes back);
        weight (K, d), bias (K,)
    `nearest`: 1-NN keeps its rows (n, d) and labels (n,); C has no meaning

    Raises
        ValueError: another kind, or no row
    """
    if not len(z):
        raise ValueError("a classifier needs at least one row")
    if kind == "nearest":
        return {"rows": z.detach().double(), "labels": y.to(z.device)}
    if kind != "logistic":
        raise ValueError(f"no classifier named {kind!r}; known: {', '.join(CLASSIFIERS)}")
    weight = torch.zeros(num_classes, z.shape[1], dtype=torch.float64)
    bias = torch.full((num_classes,), ABSENT, dtype=torch.float64)
    present = y.unique().cpu()
    bias[present] = 0.0
    if len(present) > 1:
        from sklearn.linear_model import LogisticRegression

        x = z.detach().double().cpu()
        centre = x.mean(0)
        solver = LogisticRegression(C=C, solver="lbfgs", max_iter=5000, tol=1e-6)
        solver.fit((x - centre).numpy(), y.cpu().numpy())
        w, b = torch.from_numpy(solver.coef_), torch.from_numpy(solver.intercept_)
        b = b - w @ centre
        if len(present) == 2:  # one sigmoid: the same model as a softmax over two opposite halves
            w, b = torch.cat([-w, w]) / 2, torch.cat([-b, b]) / 2
        weight[present], bias[present] = w, b
    return {"weight": weight.to(z.device), "bias": bias.to(z.device)}


def score_classifier(kind: str, z: Tensor, state: dict[str, Tensor], num_classes: int) -> Tensor:
    """z (m, d) -> logits (m, K), float64; a class that had no training row stays below every other.

    `logistic`: z Wᵀ + b.  `nearest`: minus the Euclidean distance to the class's nearest row, so that the largest logit
    is the label of the nearest row (equal distances: the lowest label).
    """
    z = z.double()
    if kind == "logistic":
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
