"""Optimal transport between two samples.

`emd` and `sinkhorn` in the log domain are POT's; these, `sinkhorn` and `class_regularised` run in float64 on the CPU:
every call waits for the device.
`unbalanced_sinkhorn` and `sliced_wasserstein` run where their inputs are.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dalib.nn.constants import constant
from dalib.nn.discrepancy import as_float
from dalib.nn.linalg import centred_rows, gram, scale_ridge, solve_symmetric

TOLERANCE = 1e-4
"""Largest total deviation of a plan's marginals that counts as converged (their mass is 1)."""
_LOG_DOMAIN_BELOW, _LOG_CLASSES_BELOW = 0.01, 1e-3
_STEPS, _PATIENCE, _LAST_LONG_STEP = (1.0, 1.5, 1.75, 1.87, 1.93), 40, 3000


class NotConverged(RuntimeError):
    """A plan's marginals do not hold."""


def emd(cost: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """Exact plan argmin_P <P, cost> with row sums a and column sums b.

    cost (n, m) -> P (n, m) >= 0, of cost's dtype and device, constant; a (n,), b (m,) >= 0 of sum 1, None = uniform.

    Raises
        NotConverged: the network simplex did not converge
    """
    import ot

    return _solve(lambda a, b, M: ot.emd(a, b, M, numItermax=10_000_000), cost, a, b)


def sinkhorn(
    cost: Tensor, reg: float, a: Tensor | None = None, b: Tensor | None = None, max_iterations: int = 20_000
) -> Tensor:
    """Entropic plan argmin_P <P, cost / max cost> + reg * sum P log P; shapes as `emd`.

    reg > 0 is a fraction of the largest cost; below 0.01 the iteration runs in the log domain. Cuturi 2013,
    arXiv:1306.0895.

    Raises
        NotConverged: the marginals are off by more than 1e-4 after max_iterations
    """
    import ot

    def solve(a: Any, b: Any, M: Any) -> np.ndarray:
        if reg < _LOG_DOMAIN_BELOW:
            return ot.sinkhorn(a, b, M, reg, method="sinkhorn_log", numItermax=max_iterations, stopThr=1e-8)
        K = np.exp(M / -reg)
        u, v = _scale_marginals(K, a, b, np.full_like(a, 1 / len(a)), max_iterations)
        return _rescale(K, u, v)

    return _solve(solve, scale_cost(cost), a, b)


def unbalanced_sinkhorn(
    cost: Tensor,
    reg: float,
    reg_m: float,
    a: Tensor | None = None,
    b: Tensor | None = None,
    iterations: int = 100,
) -> Tensor:
    """Entropic plan whose marginals need not hold.

    argmin_P <P, cost> + reg * KL(P | abᵀ) + reg_m * (KL(P1 | a) + KL(Pᵀ1 | b))

    KL(p | q) = sum p log(p / q) - p + q; shapes as `emd`; reg, reg_m > 0 in the cost's units. A row that is far from
    every other keeps little mass, and the total may be below 1. Fatras et al. 2021, arXiv:2103.03606 (eq. 4).

    Log domain, in cost's dtype (fp32 at least) and on its device, a fixed number of iterations without waiting for it.
    After every fifth the potentials are shifted by the constant that is best for the dual (Séjourné, Vialard & Peyré
    2022, arXiv:2201.00730). On batches of 36 at reg 0.01 and reg_m 0.5, 100 iterations bring the plan within 1 % of its
    limit and its mass within 2e-5; without the shift the mass is still off by 3 %.
    """
    cost = as_float(cost.detach())
    log_a, log_b = (
        torch.full((n,), -math.log(n), dtype=cost.dtype, device=cost.device) if w is None else w.to(cost).log()
        for n, w in zip(cost.shape, (a, b), strict=True)
    )
    damp, rate = reg_m / (reg_m + reg), reg / reg_m
    kernel = -cost / reg
    turned = kernel.T.contiguous()
    f, g = torch.zeros_like(log_a), torch.zeros_like(log_b)
    for i in range(iterations):
        f = -damp * (kernel + (g + log_b)).logsumexp(1)
        g = -damp * (turned + (f + log_a)).logsumexp(1)
        if i % 5 == 0:
            shift = ((log_a - rate * f).logsumexp(0) - (log_b - rate * g).logsumexp(0)) / (2 * rate)
            f, g = f + shift, g - shift
    return (kernel + (f + log_a)[:, None] + (g + log_b)).exp()


def class_regularised(cost: Tensor, labels: Tensor, reg: float, group: float, max_iterations: int = 20_000) -> Tensor:
    """Entropic plan that avoids sending rows of different classes to one target row; shapes as `emd`.

    argmin_P <P, cost / max cost> + reg * sum P log P + group * sum_j sum_c (mass of class c sent to row j)^(1/2)

    labels (n,) int64 of the rows; reg, group > 0 are fractions of the largest cost. Courty et al. 2017,
    arXiv:1507.00504: the lp-l1 regulariser, by ten majorisation steps (POT's sinkhorn_lpl1_mm).

    Raises
        NotConverged: the marginals are off by more than 1e-4 after max_iterations
    """
    _, classes = labels.cpu().unique(return_inverse=True)
    count = int(classes.max()) + 1
    member = np.eye(count)[classes.numpy()]

    def solve(a: Any, b: Any, M: Any) -> np.ndarray:
        """The concave regulariser's slope at the last plan is a cost of its own, the same for all rows of a class."""
        if reg < _LOG_CLASSES_BELOW:
            return _class_regularised_log(a, b, M)
        kernel = np.exp(M / -reg)
        slope, u = np.zeros((count, M.shape[1])), np.full_like(a, 1 / len(a))
        for _ in range(10):
            K = kernel * np.exp(slope * (-group / reg))[classes]
            u, v = _scale_marginals(K, a, b, u, max_iterations)
            plan = _rescale(K, u, v)
            slope = 0.5 * (member.T @ plan + 1e-3) ** -0.5
        return plan

    def _class_regularised_log(a: Any, b: Any, M: Any) -> np.ndarray:
        """The same in the log domain, where the kernel's entries are no numbers any more."""
        import ot

        slope = np.zeros((count, M.shape[1]))
        for _ in range(10):
            moved = M + group * slope[classes]
            plan = ot.sinkhorn(a, b, moved, reg, method="sinkhorn_log", numItermax=max_iterations, stopThr=1e-8)
            slope = 0.5 * (member.T @ plan + 1e-3) ** -0.5
        return np.asarray(plan)

    return _solve(solve, scale_cost(cost), None, None)


def _scale_marginals(K: np.ndarray, a: Any, b: Any, u: Any, max_iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """u (n,), v (m,) with diag(u) K diag(v) of row sums a and column sums b, up to a norm of 1e-9; u is where to begin.

    Sinkhorn's iteration; the column sums that tell when to stop are those that the next step needs. Where the error
    falls slowly its steps are lengthened in the logarithm, by up to 1.93: v <- v (b / (Kᵀ u) / v)^w. Thibault et al.
    2021, arXiv:1711.01851; Lehmann et al. 2021, arXiv:2012.12562: near the solution an error that a plain step leaves
    at 1 - e falls as in w / (2 - w) of them, and no error below w - 1. It is their fixed w, raised as long as the
    error falls more slowly than that, in place of their bounds on w; an error that grows ends it.
    """
    v, safe, lowest, before = np.zeros_like(b), (u, np.zeros_like(b)), np.inf, np.inf
    steps = list(_STEPS)
    with np.errstate(all="ignore"):
        for i in range(max_iterations):
            columns = u @ K
            error = float(np.linalg.norm(v * columns - b))
            if error < 1e-9:
                break
            if i and i % _PATIENCE == 0:
                if len(steps) > 1 and (error / before) ** (1 / _PATIENCE) > steps[0] - 0.98:
                    steps.pop(0)
                if not error < 1e3 * lowest or i > _LAST_LONG_STEP:
                    steps = [1.0]
                if np.isfinite(error):
                    safe, lowest = (u, v), min(lowest, error)
                else:
                    (u, v), columns = safe, safe[0] @ K
                before = error
            v = _lengthen(b / columns, v, steps[0])
            u = _lengthen(a / (K @ v), u, steps[0])
    return u, v


def _lengthen(step: np.ndarray, old: np.ndarray, w: float) -> np.ndarray:
    """old (step / old)^w; entries without mass stay 0."""
    if w == 1:
        return step
    return np.asarray(step * np.divide(step, old, out=np.ones_like(old), where=old > 0) ** (w - 1))


def _rescale(K: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """diag(u) K diag(v)."""
    plan = K * v
    plan *= u[:, None]
    return plan


def scale_cost(cost: Tensor) -> Tensor:
    """cost / max cost, or the zero cost as it is."""
    top = cost.max()
    return cost / torch.where(top > 0, top, 1.0)


def sliced_wasserstein(z_s: Tensor, z_t: Tensor, directions: Tensor) -> Tensor:
    """Mean over directions of the squared 2-Wasserstein distance between projections, a scalar >= 0, differentiable.

    1/L sum_l integral_0^1 (F_l^-1(q) - G_l^-1(q))² dq,  F_l, G_l = distributions of z_s theta_l and z_t theta_l

    z_s (n_s, d), z_t (n_t, d); directions (d, L), columns theta_l, used as they are. Sizes may differ: the quantile
    functions are compared on every interval on which both are constant. Bonneel et al. 2015 (section 3); Lee et al.
    2019, arXiv:1903.04064 (for equal sizes).
    """
    n, m = len(z_s), len(z_t)
    cuts = sorted({*range(0, n * m + 1, m), *range(0, n * m + 1, n)})
    lower = constant(tuple(cuts[:-1]), torch.int64, z_s.device)
    s, t = ((as_float(z) @ directions.to(as_float(z))).sort(0).values for z in (z_s, z_t))
    length = constant(tuple(cuts), s.dtype, s.device).diff() / (n * m)
    return (length[:, None] * (s[lower // m] - t[lower // n]).square()).sum(0).mean()


def barycentric_map(plan: Tensor, z_t: Tensor) -> Tensor:
    """plan (n, m), z_t (m, d) -> each row's image: the mean of the target rows its mass goes to (n, d)."""
    return plan @ z_t / plan.sum(1, keepdim=True).clamp(min=torch.finfo(plan.dtype).tiny)


def gaussian_map(z_s: Tensor, z_t: Tensor, reg: float = 1e-3) -> tuple[Tensor, Tensor]:
    """The linear Monge map z -> z A + b that carries N(m_s, C_s) to N(m_t, C_t): A (d, d) symmetric, b (d,).

    A = C_s^(-1/2) (C_s^(1/2) C_t C_s^(1/2))^(1/2) C_s^(-1/2), b = m_t - m_s A, C = cov + reg * v * I (v: mean variance)

    z_s (n_s, d), z_t (n_t, d), reg > 0. Flamary et al. 2019, arXiv:1905.10155; the ridge is a departure.
    """
    A, _, Q = _gaussian_map(z_s, z_t, reg)
    if Q is not None:
        A = torch.eye(len(Q)).to(A) + Q @ (A - torch.eye(len(A)).to(A)) @ Q.T
    return A, z_t.mean(0) - z_s.mean(0) @ A


def move_gaussian(z_s: Tensor, z_t: Tensor, reg: float = 1e-3, z: Tensor | None = None) -> Tensor:
    """z A + b (n, d) of `gaussian_map`, without a matrix of width d where the rows of both span less.

    z: the source rows that are moved; None = those of z_s. Beside the span of both, A is the identity
    """
    A, X, Q = _gaussian_map(z_s, z_t, reg)
    if z is None:
        rows = X @ (A * max(len(X) - 1, 1) ** 0.5)
        return (rows if Q is None else rows @ Q.T) + z_t.mean(0)
    rows = as_float(z) - as_float(z_s).mean(0)
    return (rows @ A if Q is None else rows + (rows @ Q @ (A - torch.eye(len(A)).to(A))) @ Q.T) + z_t.mean(0)


def _gaussian_map(z_s: Tensor, z_t: Tensor, reg: float) -> tuple[Tensor, Tensor, Tensor | None]:
    """A (r, r), the source's `centred_rows` (n_s, r) and the basis Q (d, r) of both, or None where r = d.

    The map is A in the span of Q, which holds all centred rows, and the identity beside it. With C_s = L Lᵀ,
    A = L^(-ᵀ) (Lᵀ C_t L)^(1/2) L^(-1): the one positive definite solution of A C_s A = C_t.
    """
    X, Y = centred_rows(z_s), centred_rows(z_t)
    ridge = scale_ridge(X, Y, reg)
    Q = None
    if len(X) + len(Y) < X.shape[1]:
        Q, R = torch.linalg.qr(torch.cat([X, Y]).T)
        X, Y = R.T.split([len(X), len(Y)])
    L = torch.linalg.cholesky(gram(X.T) + ridge * torch.eye(X.shape[1]).to(X))
    values, vectors = solve_symmetric(gram((Y @ L).T) + ridge * gram(L.T))
    root = torch.linalg.solve_triangular(L.T, vectors * values.clamp(min=0) ** 0.25, upper=True)
    return gram(root), X, Q


def _solve(solver: Callable[[Any, Any, Any], np.ndarray], cost: Tensor, a: Tensor | None, b: Tensor | None) -> Tensor:
    """Run a POT solver silently, and accept its plan only if the marginals hold."""
    a, b = (
        torch.full((n,), 1 / n, dtype=torch.float64) if w is None else w.detach().double().cpu()
        for n, w in zip(cost.shape, (a, b), strict=True)
    )
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        plan = torch.from_numpy(np.asarray(solver(a.numpy(), b.numpy(), cost.detach().double().cpu().numpy())))
    off = float((plan.sum(1) - a).abs().sum() + (plan.sum(0) - b).abs().sum())
    if not off <= TOLERANCE:
        how_far = f"marginals off by {off:.2g}" if np.isfinite(off) else "the plan is not finite"
        raise NotConverged(f"optimal transport did not converge: {how_far}; raise reg")
    return plan.to(cost.device, cost.dtype)
