"""dalib: domain adaptation and transfer learning. `from dalib import DANN, Trainer`; nothing heavy loads before use."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__distribution__ = "dalib-toolkit"
"""The name to install; the registry's `dalib` is another library, which is imported by the same name."""


def _refuse_mixture() -> None:
    """Raise ImportError where the files of the registry's `dalib` lie among these."""
    from pathlib import Path

    if any(Path(folder, room, "__init__.py").is_file() for folder in __path__ for room in ("vision", "modules")):
        raise ImportError(
            f"the files of another package named dalib lie among those of dalib-toolkit in {__path__[0]}; they cannot "
            "share an environment: pip uninstall -y dalib dalib-toolkit, then install dalib-toolkit again"
        )


_refuse_mixture()

_HOME = {
    "AdaptationClassifier": "dalib.estimator",
    "AdaptationRegressor": "dalib.estimator",
    "AdaptationTransformer": "dalib.estimator",
    "AdaptedModel": "dalib.adaptation.adapt",
    "Advice": "dalib.advice.rules",
    "Algorithm": "dalib.core.algorithm",
    "Backbone": "dalib.core.backbone",
    "DalibError": "dalib.core.errors",
    "Domain": "dalib.core.types",
    "Evaluation": "dalib.evaluation",
    "ExpectedAccuracy": "dalib.scoring.expected",
    "FeatureAlgorithm": "dalib.core.feature_algorithm",
    "Fitted": "dalib.train.fitted",
    "Forecast": "dalib.core.forecast",
    "LeaveOneDomainOut": "dalib.estimator",
    "Listener": "dalib.core.listener",
    "LoadedData": "dalib.data.loaded",
    "Loop": "dalib.train.loop",
    "Measure": "dalib.core.measure",
    "Metric": "dalib.core.metric",
    "MultiTask": "dalib.train.multi_task",
    "Network": "dalib.core.network",
    "Objective": "dalib.core.objective",
    "Outputs": "dalib.core.types",
    "Predictions": "dalib.prediction",
    "Preprocess": "dalib.core.backbone",
    "Protocol": "dalib.core.protocol",
    "ProtocolSpec": "dalib.core.protocol",
    "Ranking": "dalib.report.ranking",
    "Source": "dalib.core.types",
    "SourceTargetShuffleSplit": "dalib.estimator",
    "Suite": "dalib.bench.suite",
    "Target": "dalib.core.types",
    "Task": "dalib.core.types",
    "TrainConfig": "dalib.train.config",
    "TrainedRun": "dalib.fitting",
    "TrAdaBoost": "dalib.estimator",
    "Trainer": "dalib.train.trainer",
    "Validator": "dalib.core.validator",
    "WeightedEstimator": "dalib.estimator",
    "accuracy": "dalib.nn.metrics",
    "adapt": "dalib.adaptation.adapt",
    "advise": "dalib.advice.advise",
    "check_plugin": "dalib.checks",
    "double_domains": "dalib.estimator",
    "estimate_cost": "dalib.core.cost",
    "evaluate": "dalib.evaluation",
    "expect": "dalib.expectation",
    "export_model": "dalib.train.portable",
    "fit": "dalib.fitting",
    "get_data": "dalib.data.get",
    "load_backbone": "dalib.backbones",
    "load_data": "dalib.data.catalog",
    "load_model": "dalib.train.model_file",
    "load_plugin": "dalib.core.registry",
    "load_suite": "dalib.bench.suite",
    "model_card": "dalib.sharing.card",
    "make_data": "dalib.data.roots",
    "make_scorer": "dalib.estimator",
    "make_task": "dalib.data.tasks",
    "new_plugin": "dalib.checks",
    "merge_records": "dalib.records.exchange",
    "open_server": "dalib.report.page.server",
    "pull": "dalib.sharing.repository",
    "push": "dalib.sharing.repository",
    "predict": "dalib.prediction",
    "rank": "dalib.ranking.rank",
    "row_shape": "dalib.core.rows",
    "run_suite": "dalib.bench.runner",
    "save_model": "dalib.train.model_file",
    "sign_domains": "dalib.estimator",
    "suite_schema": "dalib.bench.schema",
    "suite_status": "dalib.bench.status",
    "table": "dalib.report.reports",
    "target_scorer": "dalib.estimator",
    "verify": "dalib.verification",
    "write_page": "dalib.report.page.write",
}
"""Public name -> module; `__init__.pyi` says the same to type checkers (`make stub` writes it).

No module directly in dalib may have one of these names: importing it would put the module in the function's place.
Algorithm classes are found through the registry.
"""


def __getattr__(name: str) -> Any:
    import importlib

    if name == "plots":
        return importlib.import_module("dalib.plots")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name[:1].isupper():
        from dalib.core.registry import ALGORITHMS

        for algorithm in ALGORITHMS.files():
            if algorithm.replace("_", "") == name.lower():
                return ALGORITHMS.get(algorithm)
    raise AttributeError(f"module 'dalib' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__", "plots"])
