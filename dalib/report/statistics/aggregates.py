"""One number for a method, and its place among the others.

`mean`, `iqm` and `median` reduce the last two axes, (..., num_runs, num_tasks) -> (...), so a bootstrap may hand over
all its replicates at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from dalib.report.statistics.scores import DECIMALS, Floats, check_methods


def mean(scores: Floats) -> Floats:
    """Mean over seeds and tasks, (..., num_runs, num_tasks) -> (...)."""
    return np.asarray(scores.mean(axis=(-2, -1)))


def iqm(scores: Floats) -> Floats:
    """Interquartile mean: the mean of the middle half of all runs x tasks, (..., num_runs, num_tasks) -> (...).

    floor(num_runs * num_tasks / 4) values are cut at either end. On tasks of unequal difficulty these are the hardest
    and the easiest tasks rather than the unlucky seeds.

    Reference
        Agarwal et al. Deep Reinforcement Learning at the Edge of the Statistical Precipice. NeurIPS 2021.
        arXiv:2108.13264.
    """
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = flat.shape[-1] // 4
    return np.asarray(flat[..., cut : flat.shape[-1] - cut].mean(axis=-1))


def median(scores: Floats) -> Floats:
    """Median over tasks of the mean over seeds, as in rliable, (..., num_runs, num_tasks) -> (...)."""
    return np.asarray(np.median(scores.mean(axis=-2), axis=-1))


def average_ranks(methods: Mapping[str, ArrayLike]) -> dict[str, float]:
    """Rank of the mean over seeds, averaged over tasks; 1 = best, equal means share the mean of their ranks.

    Args
        methods: name -> scores (num_runs, num_tasks), higher is better; the numbers of seeds may differ
    Raises DalibError as `check_methods` does.
    """
    means = np.array([array.mean(axis=0) for array in check_methods(methods).values()]).round(DECIMALS)
    return dict(zip(methods, rankdata(-means, axis=0).mean(axis=1).tolist(), strict=True))
