"""The contract tests, for any plug-in: `check_plugin("my_method.py")`; nothing heavy loads before use."""

from __future__ import annotations

from dalib.checks.result import CheckFailure, CheckResult
from dalib.checks.runner import (
    check_algorithm,
    check_backbone,
    check_dataset,
    check_executor,
    check_forecast,
    check_format,
    check_listener,
    check_measure,
    check_metric,
    check_objective,
    check_plugin,
    check_protocol,
    check_validator,
)
from dalib.checks.scaffold import new_plugin

__all__ = [
    "CheckFailure",
    "CheckResult",
    "check_algorithm",
    "check_backbone",
    "check_dataset",
    "check_executor",
    "check_forecast",
    "check_format",
    "check_listener",
    "check_measure",
    "check_metric",
    "check_objective",
    "check_plugin",
    "check_protocol",
    "check_validator",
    "new_plugin",
]
