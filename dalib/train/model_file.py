"""Trained models as one safetensors file: weights without code, and the facts needed to use them as metadata."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from dalib.backbones import load_backbone
from dalib.core.algorithm import Algorithm, FeatureAlgorithm
from dalib.core.backbone import Backbone, Preprocess, identity
from dalib.core.errors import DalibError
from dalib.core.files import write_atomic
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.core.registry import ALGORITHMS, snake_case
from dalib.core.rows import RowShape
from dalib.train.config import TrainConfig
from dalib.train.device import pick_device
from dalib.train.fitted import Fitted

FORMAT = 1


def save_model(fitted: Fitted, path: str | Path, algorithm: str = "", extra: dict[str, Any] | None = None) -> Path:
    """Write everything prediction needs.

    Args
        algorithm: registry name of fitted.algorithm, which is looked up unless given; `dann+mcc` for a combination
        extra: facts to keep beside the weights, those of `fitted.extra` included (data set, task, `normalise`)

    Raises
        DalibError: the algorithm has no name by which the file could be loaded again
    """
    algorithm = algorithm or registered_name(fitted.algorithm)
    path = model_path(path)
    backbone = fitted.backbone
    facts = {
        "format": FORMAT,
        "algorithm": algorithm,
        "hparams": fitted.algorithm.hparams,
        "classes": fitted.classes,
        "objective": fitted.algorithm.network.objective.name,
        "origins": fitted.algorithm.network.origins,
        "config": fitted.config.model_dump(),
        "backbone": {
            "name": backbone.name,
            "dim": backbone.dim,
            "frozen": backbone.frozen,
            "weights": backbone.weights,
            "options": dict(backbone.options),
            "rows": backbone.rows.to_facts() if backbone.rows else None,
            "parts": {name: asdict(part) for name, part in backbone.parts.items()},
        },
        "preprocess": asdict(backbone.preprocess) if backbone.preprocess else None,
        "extra": fitted.extra | (extra or {}),
    }
    state = {f"algorithm.{k}": v for k, v in fitted.algorithm.state_dict().items()}
    if backbone.frozen:
        state |= {f"backbone.{k}": v for k, v in backbone.module.state_dict().items()}
    for i, pair in enumerate(fitted.moments):
        state |= {f"moments.{i}.{k}": torch.as_tensor(v) for k, v in zip(("mean", "deviation"), pair, strict=True)}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}
    write_atomic(path, save(tensors, metadata={"dalib": json.dumps(facts)}))
    return path


def model_path(path: str | Path) -> Path:
    """The path with the ending of model files."""
    path = Path(path)
    return path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")


def registered_name(algorithm: Algorithm) -> str:
    """The name under which `load_model` finds an algorithm's class again.

    Raises
        DalibError: it is not registered
    """
    name = ALGORITHMS.name_of(type(algorithm))
    if not name:
        cls = type(algorithm).__name__
        raise DalibError(
            f"{cls} is not registered, so a model file cannot name it; register it first "
            f'(dalib.core.registry.ALGORITHMS.add("{snake_case(cls)}", {cls}))'
        )
    return name


def load_model(path: str | Path, device: str = "auto") -> Fitted:
    """The model that `save_model` or `dalib train --out` wrote; runs no code from the file.

    Raises
        DalibError: no such file, not a dalib model, or an algorithm that is not registered here
    """
    facts, state = _read(Path(path))
    where = pick_device(device)
    config = TrainConfig(**facts["config"])
    backbone = _backbone(facts)
    algorithm: Algorithm = ALGORITHMS.get(facts["algorithm"]).create(facts["algorithm"], facts["hparams"])
    solved = isinstance(algorithm, FeatureAlgorithm)
    inner = identity(backbone.dim) if backbone.frozen else backbone
    width = 0 if solved else config.bottleneck
    objective = find_objective(facts.get("objective", "classification"))
    algorithm.attach(Network(inner, len(facts["classes"]), width, facts.get("origins", 1), objective=objective))
    algorithm.load_state_dict({k.removeprefix("algorithm."): v for k, v in state.items() if k.startswith("algorithm.")})
    if backbone.frozen:
        backbone.module.load_state_dict(
            {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
        )
        backbone.weights_hash = f"file:{Path(path).name}"
    algorithm.to(where).eval()
    fitted = Fitted(algorithm, backbone, tuple(facts["classes"]), config, where, extra=facts["extra"])
    while f"moments.{len(fitted.moments)}.mean" in state:
        mean, deviation = (state[f"moments.{len(fitted.moments)}.{k}"].numpy() for k in ("mean", "deviation"))
        fitted.moments = (*fitted.moments, (mean, deviation))
    return fitted


def read_facts(path: str | Path) -> dict[str, Any]:
    """What a model file says about itself: algorithm, hparams, classes, config, backbone, preprocess, extra."""
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    if not path.is_file():
        raise DalibError(f"no model file {path}; dalib train … --out MODEL writes one")
    try:
        with safe_open(path, framework="pt") as handle:
            facts = json.loads((handle.metadata() or {}).get("dalib", "null"))
            state = {k: handle.get_tensor(k) for k in handle.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise DalibError(
            f"{path} is not a safetensors file ({error}); give a file written by dalib train --out"
        ) from None
    if not facts or facts.get("format") != FORMAT:
        raise DalibError(f"{path} holds weights but is no dalib model; give a file written by dalib train --out")
    return facts, state


def _backbone(facts: dict[str, Any]) -> Backbone:
    made = facts["backbone"]
    rows = RowShape.from_facts(made["rows"]) if made.get("rows") else None
    options = made.get("options", {})
    backbone = load_backbone(made["name"], "none", dim=made["dim"], frozen=made["frozen"], rows=rows, **options)
    backbone.parts = {name: Preprocess(**part) for name, part in made.get("parts", {}).items()}
    backbone.preprocess = Preprocess(**facts["preprocess"]) if facts["preprocess"] else None
    backbone.weights = made["weights"]
    return backbone
