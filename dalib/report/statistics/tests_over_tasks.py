"""Exact tests with tasks as blocks, and the correction for several of them.

Seeds of one task are not independent blocks; average them first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import f as f_distribution
from scipy.stats import rankdata

from dalib.core.errors import DalibError
from dalib.report.statistics.scores import DECIMALS, Floats, check_scores

MOST = 200_000
"""Work beyond which Friedman's arrangements are sampled rather than counted."""


@dataclass(frozen=True)
class Wilcoxon:
    """statistic: the smaller of the two rank sums; n_blocks: tasks that differ; smallest_p: the least p they allow."""

    statistic: float
    p: float
    n_blocks: int
    smallest_p: float


@dataclass(frozen=True)
class Friedman:
    """statistic: chi-square form, corrected for ties; p: by permutation, over all arrangements if `exact`, else over
    sampled ones; p_iman_davenport: the usual approximation by F, for comparison."""

    statistic: float
    p: float
    p_iman_davenport: float
    exact: bool


def smallest_p(n_blocks: int) -> float:
    """The least two-sided p that a signed-rank test can give, 2 / 2^n; 1 for no block. DalibError below 0."""
    if n_blocks < 0:
        raise DalibError(f"n_blocks = {n_blocks}; must be at least 0")
    return min(1.0, 2.0 ** (1 - n_blocks))


def wilcoxon_exact(x_blocks: ArrayLike, y_blocks: ArrayLike) -> Wilcoxon:
    """Two-sided Wilcoxon signed-rank test over blocks, exact with ties too.

    Counts the sign patterns of the ranks of |x - y| that give a rank sum as extreme. Blocks without a difference are
    left out (Wilcoxon's rule), which lowers `n_blocks`.

    Args
        x_blocks: (n,), one number a block, such as a task's mean over seeds
        y_blocks: (n,), the other method on the same blocks
    Raises DalibError unless both are finite and of one length.
    Reference
        Wilcoxon. Individual Comparisons by Ranking Methods. Biometrics Bulletin 1945.
    """
    x, y = check_scores(np.atleast_2d(x_blocks), "x_blocks"), check_scores(np.atleast_2d(y_blocks), "y_blocks")
    if x.shape != y.shape or len(x) != 1:
        raise DalibError(f"blocks of shapes {np.shape(x_blocks)} and {np.shape(y_blocks)}; give two of shape (n,)")
    gap = (x - y)[0].round(DECIMALS)
    gap = gap[gap != 0]
    doubled = np.rint(2 * rankdata(np.abs(gap))).astype(int)
    counts = np.zeros(doubled.sum() + 1)
    counts[0] = 1
    for rank in doubled:
        counts[rank:] = counts[rank:] + counts[: len(counts) - rank]
    won = int(doubled[gap > 0].sum())
    lesser = min(won, int(doubled.sum()) - won)
    p = min(1.0, 2 * counts[: lesser + 1].sum() / counts.sum())
    return Wilcoxon(lesser / 2, float(p), len(gap), smallest_p(len(gap)))


def holm(pvalues: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given: p_(i) -> max over j <= i of min(1, (m - j) p_(j)), j from 0.

    Valid whatever the dependence between the tests. DalibError for a p outside [0, 1].
    Reference
        Holm. A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of Statistics 1979.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise DalibError(f"p-values {list(pvalues)}; each must be in [0, 1]")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1.0, (len(p) - np.arange(len(p))) * p[order]))
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted.tolist()


def friedman(matrix: ArrayLike, reps: int = 20_000, seed: int = 0) -> Friedman:
    """Friedman's test that k methods are exchangeable within blocks; p by permuting the ranks inside each block.

    statistic = (k - 1) sum_j (R_j - n (k + 1) / 2)^2 / sum_ij (r_ij - (k + 1) / 2)^2,  R_j = sum_i r_ij
    All arrangements are counted where they are few (k! n^(k-1) <= 200 000: six tasks up to five methods), otherwise
    `reps` random ones, p = (1 + as extreme) / (1 + reps). The chi-square limit is far off with a handful of blocks.

    Args
        matrix: (n_blocks, k), tasks by methods, k >= 2
        reps: random arrangements, >= 1
        seed: of the arrangements
    Raises DalibError for one method, no arrangement, or a matrix that is not 2-d and finite.
    Reference
        Friedman. The Use of Ranks to Avoid the Assumption of Normality Implicit in the Analysis of Variance. JASA 1937.
        Iman and Davenport. Approximations of the Critical Region of the Friedman Statistic. Comm. in Statistics 1980.
    """
    scores = check_scores(matrix, "matrix").round(DECIMALS)
    n, k = scores.shape
    if k < 2 or reps < 1:
        raise DalibError(f"friedman needs at least two methods and one arrangement, not k = {k}, reps = {reps}")
    doubled = np.rint(2 * rankdata(scores, axis=1)).astype(np.int64)
    centre = n * (k + 1)
    within = ((doubled - (k + 1)) ** 2).sum()
    if within == 0:
        return Friedman(0.0, 1.0, 1.0, exact=True)
    spread = int(((doubled.sum(axis=0) - centre) ** 2).sum())
    statistic = float((k - 1) * spread / within)
    exact = math.factorial(k) * n ** (k - 1) <= MOST
    if exact:
        sums, weights = _arrangements(doubled)
        p = float(weights[((sums - centre) ** 2).sum(axis=1) >= spread].sum() / weights.sum())
    else:
        rng = np.random.default_rng(seed)
        extreme = sum(((_shuffled(doubled, rng) - centre) ** 2).sum() >= spread for _ in range(reps))
        p = (1 + int(extreme)) / (1 + reps)
    rest = n * (k - 1) - statistic
    ratio = (n - 1) * statistic / rest if rest > 1e-9 else math.inf
    return Friedman(statistic, p, float(f_distribution.sf(ratio, k - 1, (k - 1) * (n - 1))), exact)


def _arrangements(ranks: np.ndarray) -> tuple[np.ndarray, Floats]:
    """Sorted rank sums (m, k) over every arrangement within blocks, and how many arrangements give each."""
    sums: np.ndarray = np.zeros((1, ranks.shape[1]), dtype=np.int64)
    weights: Floats = np.ones(1)
    for block in ranks:
        orders = np.array(list(permutations(block)))
        reached = np.sort((sums[:, None] + orders[None]).reshape(-1, ranks.shape[1]), axis=1)
        sums, where = np.unique(reached, axis=0, return_inverse=True)
        weights = np.asarray(np.bincount(where.reshape(-1), np.repeat(weights, len(orders))), dtype=np.float64)
    return sums, weights


def _shuffled(ranks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permuted(ranks, axis=1).sum(axis=0)
