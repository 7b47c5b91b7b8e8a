"""Which checks apply to which algorithm."""

from __future__ import annotations

from collections.abc import Callable

from dalib.checks.hyperparameters import HYPERPARAMETER_CHECKS
from dalib.checks.loss import LOSS_CHECKS
from dalib.checks.sums import SUM_CHECKS
from dalib.checks.training import COMMON_CHECKS, DEEP_CHECKS, SOLVED_CHECKS
from dalib.core.algorithm import Algorithm, FeatureAlgorithm

AlgorithmCheck = Callable[[type[Algorithm]], None]


def checks_for(cls: type[Algorithm]) -> tuple[AlgorithmCheck, ...]:
    """Solved methods have no loss."""
    if issubclass(cls, FeatureAlgorithm):
        return (*HYPERPARAMETER_CHECKS, *COMMON_CHECKS, *SOLVED_CHECKS)
    return (*HYPERPARAMETER_CHECKS, *LOSS_CHECKS, *SUM_CHECKS, *COMMON_CHECKS, *DEEP_CHECKS)
