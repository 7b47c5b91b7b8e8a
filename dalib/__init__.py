"""dalib: domain adaptation and transfer learning. `from dalib import DANN, Trainer`; nothing heavy loads before use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Algorithm": "dalib.core.algorithm",
    "FeatureAlgorithm": "dalib.core.algorithm",
    "Network": "dalib.core.network",
    "Backbone": "dalib.core.backbone",
    "Validator": "dalib.core.validator",
    "Measure": "dalib.core.measure",
    "DalibError": "dalib.core.errors",
    "Source": "dalib.core.types",
    "Target": "dalib.core.types",
    "Outputs": "dalib.core.types",
    "Domain": "dalib.core.types",
    "Task": "dalib.core.types",
    "row_shape": "dalib.core.rows",
    "Trainer": "dalib.train.trainer",
    "MultiTask": "dalib.train.multi_task",
    "TrainConfig": "dalib.train.config",
    "Loop": "dalib.train.loop",
    "load_data": "dalib.data.catalog",
    "load_backbone": "dalib.backbones",
    "load_model": "dalib.train.model_file",
    "make_task": "dalib.data.tasks",
    "accuracy": "dalib.nn.metrics",
    "AdaptationClassifier": "dalib.estimator",
    "run_suite": "dalib.bench.runner",
}
"""Public name -> module. Algorithm classes are found through the registry."""


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name[:1].isupper():
        from dalib.core.registry import ALGORITHMS

        for algorithm in ALGORITHMS.files():
            if algorithm.replace("_", "") == name.lower():
                return ALGORITHMS.get(algorithm)
    raise AttributeError(f"module 'dalib' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__"])


if TYPE_CHECKING:
    from dalib.core.types import Domain as Domain
