"""Which checks apply to which algorithm."""

from __future__ import annotations

from collections.abc import Callable

from dalib.checks.dense import DENSE_CHECKS
from dalib.checks.dense_world import is_dense
from dalib.checks.hyperparameters import HYPERPARAMETER_CHECKS
from dalib.checks.loss import LOSS_CHECKS
from dalib.checks.sums import SUM_CHECKS
from dalib.checks.training import COMMON_CHECKS, DEEP_CHECKS, SOLVED_CHECKS
from dalib.core.algorithm import Algorithm
from dalib.core.feature_algorithm import FeatureAlgorithm

AlgorithmCheck = Callable[[type[Algorithm]], None]


def checks_for(cls: type[Algorithm]) -> tuple[AlgorithmCheck, ...]:
    """Solved methods have no loss; those that answer for pixels live in a world of their own."""
    if is_dense(cls):
        return (*HYPERPARAMETER_CHECKS, *DENSE_CHECKS)
    if issubclass(cls, FeatureAlgorithm):
        return (*HYPERPARAMETER_CHECKS, *COMMON_CHECKS, *SOLVED_CHECKS)
    return (*HYPERPARAMETER_CHECKS, *LOSS_CHECKS, *SUM_CHECKS, *COMMON_CHECKS, *DEEP_CHECKS)
