"""Run every check that applies to a plug-in and collect what they say."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dalib.checks.result import CheckFailure, CheckResult
from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import REGISTRIES, load_plugin, snake_case

Check = Callable[[Any], None]


def check_plugin(path: str | Path, slow: bool = False) -> list[CheckResult]:
    """Load a Python file and run the contract tests of every plug-in it defines.

    Args
        slow: also the checks that take seconds (a real backbone's forward pass on images, a generated data set)

    Raises
        DalibError: the file is missing, does not import, or defines no plug-in
    """
    plugins = load_plugin(path)
    return [result for kind, names in plugins.items() for name in names for result in _check_one(kind, name, slow)]


def _check_one(kind: str, name: str, slow: bool) -> list[CheckResult]:
    if kind == "backbones":
        return check_backbone(name, slow)
    subject = REGISTRIES[kind].get(name)
    if kind == "datasets":
        return check_dataset(subject, name, slow)
    checks: dict[str, Callable[[Any, str], list[CheckResult]]] = {
        "algorithms": check_algorithm,
        "objectives": check_objective,
        "validators": check_validator,
        "metrics": check_metric,
        "measures": check_measure,
        "forecasts": check_forecast,
        "formats": check_format,
        "listeners": check_listener,
        "protocols": check_protocol,
        "executors": check_executor,
    }
    if kind in checks:
        return checks[kind](subject, name)
    return run_checks([check_has_a_summary], subject, f"{REGISTRIES[kind].kind} {name}")


def check_has_a_summary(plugin: Any) -> None:
    """For kinds without checks of their own: the first line of its module says what it is."""
    module = sys.modules[getattr(plugin, "__module__", type(plugin).__module__)]
    if not (module.__doc__ or "").strip():
        raise CheckFailure("its file has no docstring; say in one line what it is, for dalib list")


def check_algorithm(cls: type, name: str = "") -> list[CheckResult]:
    """Every check that applies to an Algorithm or FeatureAlgorithm class, registered or not."""
    from dalib.checks.algorithm import checks_for

    return run_checks(checks_for(cls), cls, f"algorithm {name or snake_case(cls.__name__)}")


def check_validator(cls: type, name: str = "") -> list[CheckResult]:
    from dalib.checks.validator import VALIDATOR_CHECKS

    return run_checks(VALIDATOR_CHECKS, cls, f"validator {name or snake_case(cls.__name__)}")


def check_metric(cls: type, name: str = "") -> list[CheckResult]:
    from dalib.checks.metric import METRIC_CHECKS

    return run_checks(METRIC_CHECKS, cls, f"metric {name or snake_case(cls.__name__)}")


def check_measure(cls: type, name: str = "") -> list[CheckResult]:
    from dalib.checks.measure import MEASURE_CHECKS

    return run_checks(MEASURE_CHECKS, cls, f"measure {name or snake_case(cls.__name__)}")


def check_forecast(cls: type, name: str = "") -> list[CheckResult]:
    from dalib.checks.forecast import FORECAST_CHECKS

    return run_checks(FORECAST_CHECKS, cls, f"forecast {name or snake_case(cls.__name__)}")


def check_protocol(cls: type, name: str = "") -> list[CheckResult]:
    from dalib.checks.protocol import PROTOCOL_CHECKS

    return run_checks(PROTOCOL_CHECKS, cls, f"protocol {name or snake_case(cls.__name__)}")


def check_objective(cls: type, name: str = "") -> list[CheckResult]:
    from dalib.checks.objective import OBJECTIVE_CHECKS

    return run_checks(OBJECTIVE_CHECKS, cls, f"objective {name or snake_case(cls.__name__)}")


def check_listener(cls: type, name: str = "") -> list[CheckResult]:
    from dalib.checks.listener import LISTENER_CHECKS

    return run_checks(LISTENER_CHECKS, cls, f"listener {name or snake_case(cls.__name__)}")


def check_format(cls: type, name: str = "") -> list[CheckResult]:
    from dalib.checks.format import FORMAT_CHECKS

    return run_checks(FORMAT_CHECKS, cls, f"format {name or snake_case(cls.__name__)}")


def check_executor(execute: Callable[..., Any], name: str = "") -> list[CheckResult]:
    from dalib.checks.executor import EXECUTOR_CHECKS

    return run_checks(EXECUTOR_CHECKS, execute, f"executor {name or execute.__module__.rpartition('.')[2]}")


def check_dataset(info: DatasetInfo, name: str = "", slow: bool = False) -> list[CheckResult]:
    from dalib.checks.dataset import DATASET_CHECKS, SLOW_DATASET_CHECKS

    checks = DATASET_CHECKS + (SLOW_DATASET_CHECKS if slow else ())
    results = run_checks(checks, info, f"dataset {name or info.name}")
    if name and name != info.name:
        message = f"DATASET.name is '{info.name}' but it is registered as '{name}'; name the file after the data set"
        results.append(CheckResult("name_is_the_files", f"dataset {name}", False, message))
    return results


def check_backbone(name: str, slow: bool = False) -> list[CheckResult]:
    """`name` as `load_backbone` takes it; the builder is run without weights."""
    from dalib.checks.backbone import BACKBONE_CHECKS, SLOW_BACKBONE_CHECKS

    return run_checks(BACKBONE_CHECKS + (SLOW_BACKBONE_CHECKS if slow else ()), name, f"backbone {name}")


def run_checks(checks: Sequence[Check], subject: Any, title: str) -> list[CheckResult]:
    """One result per check; whatever a check raises is a failure with its reason in one line."""
    results = []
    for check in checks:
        message = ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                check(subject)
            except CheckFailure as failure:
                message = str(failure)
            except Exception as error:
                message = describe(error)
        results.append(CheckResult(check.__name__.removeprefix("check_"), title, not message, message))
    return results


def describe(error: Exception) -> str:
    """Type, first line and innermost place of an exception that a plug-in raised."""
    text = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, DalibError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/torch/" not in f.filename and "/dalib/checks/" not in f.filename] or frames
    return f"{type(error).__name__}: {text} ({Path(own[-1].filename).name}, line {own[-1].lineno})"
