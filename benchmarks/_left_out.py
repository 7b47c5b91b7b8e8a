"""How strongly a classifier on fixed rows is regularised, from the rows."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Inverse regularisations that are tried, on rows whose total variance is 1."""


def total_variance(z: Tensor) -> float:
    """Mean squared distance of rows z (n, d) from their mean; 1 where they do not differ."""
    v = float((z - z.mean(0)).square().sum(1).mean())
    return v if v > 0 else 1.0


def deal_rows(z: Tensor, y: Tensor, parts: int) -> Tensor:
    """z (n, d), y (n,) -> a part of 0 … parts - 1 for every row (n,).

    Each class's rows are dealt by their distance from the mean of all, so that neither their order nor the coordinate
    system matters.
    """
    distance = (z - z.mean(0)).square().sum(1)
    part = torch.empty_like(y)
    for c in y.unique():
        rows = (y == c).nonzero()[:, 0]
        part[rows[distance[rows].argsort(stable=True)]] = torch.arange(len(rows), device=y.device) % parts
    return part


def left_out_losses(z: Tensor, y: Tensor, penalties: tuple[float, ...], parts: int = 3) -> tuple[Tensor, Tensor]:
    """Mistakes and log-loss per row of logistic regressions on rows left out, for every C (len(penalties),) each."""
    from sklearn.linear_model import LogisticRegression

    x = (z - z.mean(0)).detach().double().cpu()
    if len(x) < x.shape[1]:
        x = torch.linalg.qr(x.T, mode="r").R.T
    part, y = deal_rows(x, y.cpu(), parts), y.cpu()
    wrong, loss = torch.zeros(len(penalties), dtype=torch.float64), torch.zeros(len(penalties), dtype=torch.float64)
    for p in range(parts):
        fit, out = part != p, part == p
        model: Any = LogisticRegression(solver="lbfgs", warm_start=True, tol=1e-3, max_iter=100)
        for i, C in enumerate(penalties):
            model.set_params(C=C)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(x[fit].numpy(), y[fit].numpy())
            log_p = torch.from_numpy(model.predict_log_proba(x[out].numpy()))
            own = torch.searchsorted(torch.from_numpy(model.classes_), y[out])
            known = torch.from_numpy(model.classes_)[own.clamp(max=len(model.classes_) - 1)] == y[out]
            wrong[i] += (log_p.argmax(1) != own).sum()
            loss[i] -= log_p[known].gather(1, own[known, None]).clamp(min=-50).sum()
    return wrong / len(y), loss / len(y)
