"""Ratio of two densities, estimated from a sample of each."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dalib.nn.classifiers import fit_classifier
from dalib.nn.discrepancy import squared_distances
from dalib.nn.mixture import fit_proportions
from dalib.nn.quadratic import solve_bounded

SIGMAS = tuple(10 ** (1 - k / 4) for k in range(9))
"""Kernel widths that `kliep` and `ulsif` choose from, 10 … 0.1 root mean squared distances of the pooled rows."""
REGS = tuple(10 ** (1 - k / 2) for k in range(9))
"""Ridges that `ulsif` chooses from, 10 … 0.001."""
PAIRS = 1 << 22
"""Pairs of rows whose kernels are in memory at once where rows are matched part by part."""
_LIMIT = 50.0
"""Largest |log weight|: weights and their squares stay finite."""


def discriminative_weights(z_s: Tensor, z_t: Tensor, C: float = 1.0) -> Tensor:
    """w_i = ((n_s - 1) / n_t) * P(target | z_i) / P(source | z_i), an estimate of p_t(z_i) / p_s(z_i) at source rows.

    P is a logistic regression of the domain on z, and its log-odds at row i are those of the fit without row i: one
    Newton step from the full fit, f_i + p_i h_i / (1 - p_i (1 - p_i) h_i), h_i = C x_iᵀ H⁻¹ x_i with H its Hessian.
    Odds at rows that were fitted are too small, the more so the fewer rows there are per feature.
    z_s (n_s, d), z_t (n_t, d) -> (n_s,) float64 > 0, constant; nan with fewer than two source rows, no target row or a
    value that is not finite. C > 0 is the inverse ridge of `fit_classifier`, with z centred and scaled to a mean square
    length of 1, so neither units nor rotations of z matter; at 1, log-ratios of about 1 are expected beforehand.
    Bickel et al. Discriminative Learning for Differing Training and Test Distributions. ICML 2007.
    """
    n_s, n_t = len(z_s), len(z_t)
    if n_s < 2 or not n_t or not (z_s.isfinite().all() and z_t.isfinite().all()):
        return z_s.new_full((n_s,), torch.nan, dtype=torch.float64)
    x = torch.cat(_unit_rows(z_s, z_t))
    if x.shape[1] > len(x):  # the same inner products in fewer columns
        x = torch.linalg.qr(x.T).R.T
    domain = (torch.arange(len(x), device=x.device) >= n_s).long()
    state = fit_classifier("logistic", x, domain, C, 2)
    f = x @ (state["weight"][1] - state["weight"][0]) + state["bias"][1] - state["bias"][0]
    p = f.sigmoid()
    v = p * (1 - p)
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    ridge = torch.ones_like(x[0])
    ridge[-1] = 0  # the bias is not penalised
    H = C * (x * v[:, None]).T @ x + ridge.diag()
    root = torch.linalg.cholesky(H)
    h = C * torch.linalg.solve_triangular(root, x[:n_s].T, upper=False).square().sum(0)
    left_out = f[:n_s] + p[:n_s] * h / (1 - v[:n_s] * h).clamp(min=1e-6)
    prior = x.new_tensor((n_s - 1) / n_t).log()
    return (left_out + prior).clamp(-_LIMIT, _LIMIT).exp()


def kernel_mean_matching(
    z_s: Tensor,
    z_t: Tensor,
    bandwidth: float = 1.0,
    B: float = 1000.0,
    eps: float | None = None,
    block_rows: int = 0,
) -> Tensor:
    """argmin_w 1/2 wᵀ K w - kappaᵀ w,  0 <= w_i <= B,  |sum w - n_s| <= n_s eps: the target's mean in feature space.

    K_ij = k(z_s_i, z_s_j),  kappa_i = n_s / n_t sum_j k(z_s_i, z_t_j),  k(a, b) = exp(-||a - b||² / (2 sigma²))
    z_s (n_s, d), z_t (n_t, d) -> (n_s,) float64 >= 0, constant, to a relative gap of 1e-8; nan as in `ulsif`.
    sigma = bandwidth times the root mean squared distance of the pooled rows; B >= 1; eps in (0, 1), None = the paper's
    (sqrt n_s - 1) / sqrt n_s. Some twenty Cholesky factors of n_s x n_s: half a minute at 3000 source rows on one core.
    block_rows > 0: parts of so many source rows at most are matched to all target rows one after another, n_s being the
    part's rows; a part has every b-th row of the sorted order. Memory and time then grow with n_s, not its powers.
    Huang et al. Correcting Sample Selection Bias by Unlabeled Data. NIPS 2006.
    """
    if not _usable(z_s, z_t):
        return z_s.new_full((len(z_s),), torch.nan, dtype=torch.float64)
    n_s = len(z_s)
    x_s, x_t = _unit_rows(z_s, z_t)
    if block_rows:
        order, b = order_rows(z_s), -(-n_s // block_rows)
        weight = x_s.new_empty(n_s)
        for part in (order[k::b] for k in range(b)):
            weight[part] = _match_means(x_s[part], x_t, bandwidth, B, eps, max(1, PAIRS // len(x_t)))
        return weight
    return _match_means(x_s, x_t, bandwidth, B, eps, n_s)


def _match_means(x_s: Tensor, x_t: Tensor, bandwidth: float, B: float, eps: float | None, rows: int) -> Tensor:
    """Weights of one part, its kernels to the target at so many rows at once."""
    n = len(x_s)
    kappa = n * torch.cat([_log_kernel(part, x_t, bandwidth).exp_().mean(1) for part in x_s.split(rows)])
    eps = 1 - n**-0.5 if eps is None else eps
    return solve_bounded(_log_kernel(x_s, x_s, bandwidth).exp_(), kappa, B, n * (1 - eps), n * (1 + eps))


def kliep(z_s: Tensor, z_t: Tensor, centres: int = 100, sigmas: tuple[float, ...] = SIGMAS, folds: int = 5) -> Tensor:
    """argmax_a mean_j log w(z_t_j),  a >= 0,  mean_i w(z_s_i) = 1,  w(z) = sum_l a_l k(z, c_l); the weights w(z_s_i).

    The centres c_l are target rows, k is the kernel of `kernel_mean_matching`, and sigma is the one of `sigmas` with
    the largest mean_j log w(z_t_j) - mean_i w(z_s_i) at rows left out, of `folds` parts of both domains.
    theta_l = a_l mean_i k(z_s_i, c_l) are proportions of a mixture: `fit_proportions` finds them from logarithms, so
    no kernel is too narrow.
    z_s (n_s, d), z_t (n_t, d) -> (n_s,) float64 >= 0 of mean 1, constant; nan as in `ulsif`.
    Sugiyama et al. Direct Importance Estimation for Covariate Shift Adaptation. Annals of the Institute of Statistical
    Mathematics 2008. Departures: centres and folds are evenly spaced in the rows' sorted order, not drawn; the paper
    leaves out target rows only, whose likelihood is then too large at narrow kernels, which overfit the source.
    """
    if not _usable(z_s, z_t):
        return z_s.new_full((len(z_s),), torch.nan, dtype=torch.float64)
    x_s, x_t = _unit_rows(z_s, z_t[order_rows(z_t)])
    c = x_t[spread(len(x_t), centres)]
    folds = min(folds, len(x_s), len(x_t))
    part_s, part_t = order_rows(z_s).argsort() % folds, torch.arange(len(x_t), device=x_t.device) % folds

    def held_out(sigma: float) -> float:
        log_s, log_t = _log_kernel(x_s, c, sigma), _log_kernel(x_t, c, sigma)
        scores = []
        for k in range(folds):
            log_mean = _log_mean(log_s[part_s != k])
            log_theta = fit_proportions(log_t[part_t != k] - log_mean, tolerance=1e-4).log() - log_mean
            w_s = (log_s[part_s == k] + log_theta).logsumexp(1).exp()
            scores.append((log_t[part_t == k] + log_theta).logsumexp(1).mean() - w_s.mean())
        return float(torch.stack(scores).mean())

    sigma = max(sigmas, key=held_out)
    log_s, log_t = _log_kernel(x_s, c, sigma), _log_kernel(x_t, c, sigma)
    return (log_s - _log_mean(log_s)).exp() @ fit_proportions(log_t - _log_mean(log_s))


def ulsif(
    z_s: Tensor,
    z_t: Tensor,
    centres: int = 100,
    sigmas: tuple[float, ...] = SIGMAS,
    regs: tuple[float, ...] = REGS,
) -> Tensor:
    """a = max(0, (H + reg I)^(-1) h),  w(z) = aᵀ phi(z); the weights w(z_s_i).

    H = mean_i phi(z_s_i) phi(z_s_i)ᵀ,  h = mean_j phi(z_t_j),  phi_l(z) = k(z, c_l), centres and kernel as in `kliep`
    sigma and reg are those with the least leave-one-out error, see `left_out_errors`.
    z_s (n_s, d), z_t (n_t, d) -> (n_s,) float64 >= 0, constant; nan with fewer than two rows of a domain or a value
    that is not finite.
    Kanamori, Hido & Sugiyama. A Least-squares Approach to Direct Importance Estimation. JMLR 2009 (unconstrained, with
    the negative part cut off). Departure: centres and left-out pairs are evenly spaced in sorted order, not drawn.
    """
    if not _usable(z_s, z_t):
        return z_s.new_full((len(z_s),), torch.nan, dtype=torch.float64)
    x_s, x_t = _unit_rows(z_s, z_t[order_rows(z_t)])
    c = x_t[spread(len(x_t), centres)]
    n = min(len(x_s), len(x_t))
    rows = order_rows(z_s)[spread(len(x_s), n)], spread(len(x_t), n)
    best = math.inf, sigmas[0], regs[0]
    for sigma in sigmas:
        phi_s, phi_t = _log_kernel(x_s, c, sigma).exp(), _log_kernel(x_t, c, sigma).exp()
        for reg, error in zip(regs, left_out_errors(phi_s, phi_t, *rows, regs), strict=True):
            best = min(best, (error, sigma, reg), key=lambda b: b[0])
    _, sigma, reg = best
    phi_s, phi_t = _log_kernel(x_s, c, sigma).exp(), _log_kernel(x_t, c, sigma).exp()
    H = phi_s.T @ phi_s / len(phi_s) + reg * torch.eye(len(c)).to(c)
    return phi_s @ torch.linalg.solve(H, phi_t.mean(0)).clamp(min=0)


def left_out_errors(phi_s: Tensor, phi_t: Tensor, i: Tensor, j: Tensor, regs: tuple[float, ...]) -> list[float]:
    """Mean over pairs (i, j) of 1/2 w(z_s_i)² - w(z_t_j), w fitted without both, for each reg; in closed form.

    phi_s (n_s, b), phi_t (n_t, b), i and j (n,)

    Without the pair, H + reg I = n_s / (n_s - 1) (C - phi_i phi_iᵀ / n_s) with C = H + reg (n_s - 1) / n_s I, whose
    inverse is one rank away from that of C, and h = (n_t h - phi_j) / (n_t - 1).
    """
    n_s, n_t = len(phi_s), len(phi_t)
    values, V = torch.linalg.eigh(phi_s.T @ phi_s / n_s)
    h, P, Q = phi_t.mean(0) @ V, phi_s[i] @ V, phi_t[j] @ V
    errors = []
    for reg in regs:
        inverse = 1 / (values.clamp(min=0) + reg * (n_s - 1) / n_s)
        CP, left_h = P * inverse, (n_t * h - Q) / (n_t - 1)
        a = left_h * inverse + CP * ((CP * left_h).sum(1) / (n_s - (CP * P).sum(1)))[:, None]
        a = ((n_s - 1) / n_s * a @ V.T).clamp(min=0)
        w_s, w_t = (phi_s[i] * a).sum(1), (phi_t[j] * a).sum(1)
        errors.append(float((w_s.square() / 2 - w_t).mean()))
    return errors


def _usable(z_s: Tensor, z_t: Tensor) -> bool:
    """Two rows of each domain, all finite."""
    return min(len(z_s), len(z_t)) >= 2 and bool(z_s.isfinite().all() and z_t.isfinite().all())


def _unit_rows(z_s: Tensor, z_t: Tensor) -> tuple[Tensor, Tensor]:
    """Both domains' rows in float64, detached, moved to a common mean of 0 and scaled to a mean square length of 1."""
    z = torch.cat([z_s, z_t]).detach().double()
    z = z / z.abs().max().clamp(min=torch.finfo(z.dtype).tiny)
    z = z - z.mean(0)
    x_s, x_t = (z / z.square().sum(1).mean().sqrt().clamp(min=1e-12)).split([len(z_s), len(z_t)])
    return x_s, x_t


def _log_kernel(a: Tensor, b: Tensor, sigma: float) -> Tensor:
    """-||a_i - b_j||² / (2 sigma²), sigma in root mean squared distances, which is sqrt 2 for unit rows."""
    return squared_distances(a, b).neg_().div_(4 * sigma**2)


def order_rows(z: Tensor) -> Tensor:
    """The rows' ascending order by their first feature, equal ones by the second, …; whatever order they come in."""
    return torch.from_numpy(np.lexsort(z.detach().cpu().numpy().T[::-1])).to(z.device)


def _log_mean(log_k: Tensor) -> Tensor:
    """log of the mean of exp over rows: (n, b) -> (b,)."""
    return log_k.logsumexp(0) - math.log(len(log_k))


def spread(n: int, m: int) -> Tensor:
    """min(m, n) evenly spaced numbers of 0 … n - 1."""
    m = min(m, n)
    return torch.arange(m) * n // m
