"""Quadratic programmes with bounds, solved to a checked gap."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_bounded(
    K: Tensor, kappa: Tensor, upper: float, low: float, high: float, tolerance: float = 1e-8, max_iterations: int = 100
) -> Tensor:
    """argmin_x 1/2 xᵀ K x - kappaᵀ x,  0 <= x_i <= upper,  low <= sum x <= high; x (n,) float64, feasible.

    Mehrotra's predictor and corrector from the constant vector in the middle of the bounds: every step solves two
    systems with one Cholesky factor of K + a diagonal, and some twenty steps are enough. Where the minimum is a face,
    rows that are alike get the same x.

    Args
        K, kappa: (n, n) positive semidefinite, (n,)
        upper, low, high: 0 <= low < high, low < n upper
        tolerance: largest f(x) - min f, as bounded by `optimality_gap`, relative to 1/2 xᵀ K x + |kappaᵀ x|
    Raises
        ValueError: no x lies strictly between the bounds
        RuntimeError: the gap is above the tolerance after `max_iterations`
    """
    n = len(kappa)
    if not (n and 0 <= low < high and low < n * upper):
        raise ValueError(f"no x strictly between the bounds: n = {n}, upper = {upper}, low = {low}, high = {high}")
    K, kappa = K.double(), kappa.double()
    ridge = 1e-14 * K.trace() + 1e-12  # of the steps only: rounding must not make K indefinite
    x = kappa.new_full((n,), (low / n + min(upper, high / n)) / 2)
    multiplier = x.new_ones(2 * n + 2) * (K @ x - kappa).abs().max().clamp(min=1.0)
    bounds = torch.cat([x.new_zeros(n), x.new_full((n,), upper), x.new_tensor([-low, high])])
    system, factor = torch.empty_like(K), torch.empty_like(K).mT  # made once; LAPACK works in columns
    for _ in range(max_iterations):
        slack = bounds - _rows(x)
        gradient = K @ x - kappa
        if optimality_gap(gradient, x, upper, low, high) <= tolerance * (x @ K @ x / 2 + (kappa @ x).abs()):
            return x
        w = multiplier / slack
        system.copy_(K).diagonal().add_(w[:n] + w[n:-2] + ridge)
        torch.linalg.cholesky(system, out=factor)
        mu = slack @ multiplier / len(slack)
        residual = gradient + _columns(multiplier)
        aim = -slack * multiplier
        d_slack, d_multiplier = _direction(factor, residual, aim, slack, w)[1:]
        t = torch.minimum(_reach(slack, d_slack), _reach(multiplier, d_multiplier))
        ahead = (slack + t * d_slack) @ (multiplier + t * d_multiplier) / len(slack)
        aim = aim - d_slack * d_multiplier + mu * (ahead / mu) ** 3
        d_x, d_slack, d_multiplier = _direction(factor, residual, aim, slack, w)
        t = 0.99 * torch.minimum(_reach(slack, d_slack), _reach(multiplier, d_multiplier))
        x, multiplier = x + t * d_x, multiplier + t * d_multiplier
    raise RuntimeError(f"the quadratic programme did not reach a gap of {tolerance:g} in {max_iterations} steps")


def optimality_gap(gradient: Tensor, x: Tensor, upper: float, low: float, high: float) -> Tensor:
    """max gradientᵀ (x - v) over feasible v, >= f(x) - min f for any convex f with this gradient at x; a scalar.

    The best v fills entries in ascending order of their gradient: up to `low` anyway, up to `high` where it is < 0.
    """
    ordered = gradient.sort().values
    mass = min(max(upper * int((ordered < 0).sum()), low), high)
    v = (mass - upper * torch.arange(len(x)).to(x)).clamp(0, upper)
    return gradient @ x - ordered @ v


def _rows(x: Tensor) -> Tensor:
    """G x of the constraints G x <= bounds: -x, x, -sum x, sum x."""
    total = x.sum()[None]
    return torch.cat([-x, x, -total, total])


def _columns(multiplier: Tensor) -> Tensor:
    """Gᵀ multiplier."""
    n = len(multiplier) // 2 - 1
    return multiplier[n:-2] - multiplier[:n] + multiplier[-1] - multiplier[-2]


def _direction(factor: Tensor, residual: Tensor, aim: Tensor, slack: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    """The step at which, to first order, the residual vanishes and slack * multiplier changes by `aim`.

    The system is factor factorᵀ + w_sum 11ᵀ, solved by Sherman and Morrison's formula, since w_sum may be huge.
    """
    right = torch.stack([-residual - _columns(aim / slack), torch.ones_like(residual)], 1)
    a, b = torch.cholesky_solve(right, factor).unbind(1)
    d_x = a - b * a.sum() / (1 / w[-2:].sum() + b.sum())
    d_slack = -_rows(d_x)
    return d_x, d_slack, aim / slack - w * d_slack


def _reach(value: Tensor, change: Tensor) -> Tensor:
    """Largest t <= 1 with value + t * change >= 0."""
    return torch.where(change < 0, -value / change.clamp(max=-1e-300), 1.0).min().clamp(max=1.0)
