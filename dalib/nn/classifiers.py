"""Classifiers that are solved, not descended, on fixed features; their state is a dict of tensors."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

CLASSIFIERS = ("logistic", "svm", "nearest", "lda", "k_nn")
UNWEIGHTED = ("nearest", "lda", "k_nn")
"""Those that take no row weights."""
ABSENT = -1e4
"""Logit of a class without a training row: never predicted, probability 0, representable in float16."""
LEAST_SPREAD, MOST_SPREAD = 0.1, 1e12
"""Root mean square distance of rows from their mean below which a penalised classifier hardly sees them; and above
which its solver loses its way."""
_CHUNK = 1 << 24


def fit_classifier(
    kind: str, z: Tensor, y: Tensor, C: float, num_classes: int, weight: Tensor | None = None, k: int = 5
) -> dict[str, Tensor]:
    """z (n, d), y (n,) int64 in [0, K) and row weights (n,) >= 0 (default: all alike) -> state, float64 on z's device.

    `logistic`: multinomial logistic regression min_W 1/2 ||W||² + C sum CE (scikit-learn, L-BFGS to a gradient of 1e-6,
        bias not penalised), on the features as they are (centred for the solver, which the free bias takes back);
        of two classes, as there, 1/2 ||w_1 - w_0||² is penalised, = ||W||²: C counts half; weight (K, d), bias (K,)
    `svm`: linear support vector machines, one class against the rest, squared hinge (LIBLINEAR's dual, scikit-learn);
        weight (K, d), bias (K,)
    `lda`: linear discriminant analysis: Gaussians with one covariance, that of rows about their class mean, shrunk to a
        multiple of the identity by Ledoit and Wolf's (2004) factor; weight (K, d), bias (K,)
    `nearest`: 1-NN keeps its rows (n, d) and labels (n,)
    `k_nn`: the min(k, n) nearest rows vote; it keeps all rows (n, d), their labels (n,) and k
    C has no meaning for the last three.

    Rows of weight 0 are left out, weights are scaled to mean 1.

    Raises
        ValueError: another kind, no row, or unequal weights for one of UNWEIGHTED
    """
    equal = weight is None or not len(weight) or bool((weight == weight[0]).all())
    if weight is not None and not equal:
        used = weight > 0
        z, y, weight = z[used], y.to(z.device)[used], weight[used] / weight[used].mean()
    if not len(z):
        raise ValueError("a classifier needs at least one row of positive weight")
    if kind in UNWEIGHTED and not equal:
        raise ValueError(f"{kind} takes no weights; use logistic or svm")
    if kind not in CLASSIFIERS:
        raise ValueError(f"no classifier named {kind!r}; known: {', '.join(CLASSIFIERS)}")
    if kind in ("nearest", "k_nn"):
        state = {"rows": z.detach().double(), "labels": y.to(z.device)}
        return state if kind == "nearest" else {**state, "k": torch.tensor(min(int(k), len(z)), device=z.device)}
    W = torch.zeros(num_classes, z.shape[1], dtype=torch.float64)
    bias = torch.full((num_classes,), ABSENT, dtype=torch.float64)
    present = y.unique().cpu()
    bias[present] = 0.0
    if kind == "lda":
        W[present], bias[present] = _discriminate(z.detach().double().cpu(), y.cpu(), present)
    elif len(present) > 1:
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


def fit_yes_or_no(z: Tensor, y: Tensor, C: float, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Logistic regression of every column by itself: z (n, d), y (n, K) in {0, 1}, or -1 where nobody said.

    weight (n,) >= 0 -> W (K, d), b (K,), float64, whose logits are log-odds of 1. A column without a 1, or without a 0,
    says so always; one that nobody annotated says nothing (0).
    """
    W, b = z.new_zeros(y.shape[1], z.shape[1], dtype=torch.float64), z.new_zeros(y.shape[1], dtype=torch.float64)
    for k, column in enumerate(y.to(z.device).T):
        told = (column >= 0) & (weight.to(z.device) > 0)
        if told.any():
            state = fit_classifier("logistic", z[told], column[told], C, 2, weight.to(z.device)[told])
            W[k], b[k] = state["weight"][1] - state["weight"][0], state["bias"][1] - state["bias"][0]
    return W, b


def nearest_temperature(rows: Tensor, labels: Tensor, most: int = 2000) -> float:
    """T > 0 that makes softmax(-distance to the nearest row of each class / T) likeliest, each row left out in turn.

    Shapes
        rows (n, d), labels (n,); of more than `most` rows evenly many are taken
    """
    picked = torch.linspace(0, len(rows) - 1, min(len(rows), most)).round().long()
    z, y = rows.detach().double().cpu()[picked], labels.cpu()[picked]
    distance = torch.cdist(z, z).fill_diagonal_(torch.inf)
    classes, at = y.unique(return_inverse=True)
    nearest = torch.stack([distance[:, y == c].amin(1) for c in classes], 1)
    usable = nearest.isfinite().all(1)
    scale = nearest[usable].mean() if usable.any() else torch.tensor(1.0)
    grid = (scale * torch.logspace(-3, 2, 101, dtype=torch.float64)).clamp(min=1e-12)
    losses = (
        [torch.nn.functional.cross_entropy(-nearest[usable] / t, at[usable]) for t in grid] if usable.any() else [0.0]
    )
    return float(grid[int(torch.as_tensor(losses).argmin())])


def warn_of_unit(name: str, kind: str, z: Tensor, C: float) -> None:
    """A word where the unit of rows z (n, d) leaves the classifier's penalty alone, so that it answers alike always."""
    spread = float(z.var(0, correction=0).sum().sqrt())
    if kind in ("logistic", "svm") and (0 < spread < LEAST_SPREAD or not spread < MOST_SPREAD):
        small = (
            f"so small a unit that the classifier's penalty (C = {C:g}) decides; standardise the columns, or raise C"
        )
        large = "too far for the classifier's solver; standardise the columns"
        warnings.warn(
            f"{name}: rows lie {spread:.1e} from their mean, {small if spread < 1 else large}",
            UserWarning,
            stacklevel=3,
        )


def _discriminate(x: Tensor, y: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """S^-1 m_c and log(n_c / n) - m_cᵀ S^-1 m_c / 2 of every present class; S = I where no row leaves its class mean.

    Means are taken from the mean of all rows, which changes every score by the same.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    centre = x.mean(0)
    means = torch.stack([x[y == c].mean(0) for c in present]) - centre
    inside = x - centre - means[torch.searchsorted(present, y)]
    S, d = inside.T @ inside / len(x), x.shape[1]
    scale = S.trace() / d
    if scale > 0:
        a = float(ledoit_wolf_shrinkage(inside.numpy(), assume_centered=True))
        S = (1 - a) * S + a * scale * torch.eye(d, dtype=x.dtype)
        S = S + 1e-9 * scale * torch.eye(d, dtype=x.dtype)
    else:
        S = torch.eye(d, dtype=x.dtype)
    w = torch.linalg.solve(S, means.T).T
    prior = torch.stack([(y == c).double().mean() for c in present])
    return w, prior.log() - (w * means).sum(1) / 2 - w @ centre


def _make_solver(kind: str, C: float) -> Any:
    if kind == "svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=C, random_state=0, max_iter=20000)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, solver="lbfgs", max_iter=5000, tol=1e-6)


def score_classifier(kind: str, z: Tensor, state: dict[str, Tensor], num_classes: int) -> Tensor:
    """z (m, d) -> logits (m, K), float64; a class that had no training row stays below every other.

    `logistic`, `svm`, `lda`: z Wᵀ + b.  `nearest`: minus the Euclidean distance to the class's nearest row, so that the
    largest logit is the label of the nearest row (equal distances: the lowest label).  `k_nn`: log of
    (v + 1 / K) / (k + 1) for a class with v of the k votes (equal votes: the lowest label).
    """
    z = z.double()
    if kind not in ("nearest", "k_nn"):
        return z @ state["weight"].T + state["bias"]
    rows, labels = state["rows"], state["labels"]
    centre = rows.mean(0)
    step = max(1, _CHUNK // max(len(rows), 1))
    parts = [
        _nearest(part - centre, rows - centre, labels, num_classes)
        if kind == "nearest"
        else _vote(part - centre, rows - centre, labels, num_classes, int(state["k"]))
        for part in z.split(step)
    ]
    return torch.cat(parts) if parts else z.new_zeros(0, num_classes)


def find_nearest(z: Tensor, rows: Tensor) -> Tensor:
    """For each z (m, d) the number of the nearest of `rows` (n, d), (m,) int64; block by block."""
    centre = rows.mean(0)
    blocks = z.split(max(1, _CHUNK // max(len(rows), 1)))
    return torch.cat([torch.cdist(part - centre, rows - centre).argmin(1) for part in blocks])


def _vote(z: Tensor, rows: Tensor, labels: Tensor, num_classes: int, k: int) -> Tensor:
    nearest = labels[torch.cdist(z, rows).topk(k, dim=1, largest=False).indices]
    votes = one_hot(nearest, num_classes).double().sum(1)
    present = one_hot(labels, num_classes).any(0)
    return ((votes + 1 / num_classes) / (k + 1)).log().masked_fill(~present, ABSENT)


def _nearest(z: Tensor, rows: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    distance = torch.cdist(z, rows)
    nearest = distance.new_full((len(z), num_classes), torch.inf)
    nearest.scatter_reduce_(1, labels.expand(len(z), -1), distance, "amin")
    worst = distance.amax(1, keepdim=True).mul(2).clamp(min=-ABSENT)
    return -torch.where(nearest.isinf(), worst, nearest)
