"""Trained models as one safetensors file: weights without code, and the facts needed to use them as metadata."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from dalib.backbones import find_plugin, load_backbone
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone, Preprocess, identity
from dalib.core.checksum import NO_SUM, with_header_sum
from dalib.core.errors import DalibError, suggest
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.files import write_atomic
from dalib.core.objective import find_objective
from dalib.core.places import refuse_remote
from dalib.core.registry import ALGORITHMS, BACKBONES, plugin_files, snake_case
from dalib.core.rows import RowShape
from dalib.core.types import Outputs
from dalib.train.config import TrainConfig
from dalib.train.device import pick_device
from dalib.train.fitted import Fitted
from dalib.train.model_facts import WRITER, check_facts, read_content
from dalib.train.model_facts import read_facts as read_facts

FORMAT = 2
LARGE = 1 << 12
"""Of a layer's width that needs no measuring."""
SPARE = 10_000_000
"""Numbers that a network may have beyond the tensors of its file (sums that training filled)."""


def save_model(fitted: Fitted, path: str | Path, algorithm: str = "", extra: dict[str, Any] | None = None) -> Path:
    """Write everything prediction needs.

    Args
        algorithm: registry name of fitted.algorithm, which is looked up unless given; `dann+mcc` for a combination
        extra: facts to keep beside the weights, those of `fitted.extra` included (data set, task, `normalise`)

    Raises
        DalibError: no `Fitted`, or the algorithm has no name by which the file could be loaded again
    """
    if not isinstance(fitted, Fitted):
        raise DalibError(
            f"{type(fitted).__name__} is no fitted model; give what Trainer.fit returns (dalib.fit(…).fitted); an "
            "estimator is kept whole by joblib.dump"
        )
    algorithm = algorithm or registered_name(fitted.algorithm)
    path = model_path(path)
    backbone = fitted.backbone
    facts = {
        "format": FORMAT,
        "algorithm": algorithm,
        "hparams": fitted.algorithm.hparams,
        "classes": fitted.classes,
        "objective": fitted.algorithm.network.objective.name,
        "answers": fitted.algorithm.network.answers,
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
    objective = type(fitted.algorithm.network.objective)
    builder = BACKBONES.get(find_plugin(backbone.name)) if find_plugin(backbone.name) in BACKBONES else None
    if plugins := plugin_files(type(fitted.algorithm), objective, builder):
        facts["plugins"] = plugins
    state = {f"algorithm.{k}": v for k, v in fitted.algorithm.state_dict().items()}
    if backbone.frozen:
        state |= {f"backbone.{k}": v for k, v in backbone.module.state_dict().items()}
    for i, pair in enumerate(fitted.moments):
        state |= {f"moments.{i}.{k}": torch.as_tensor(v) for k, v in zip(("mean", "deviation"), pair, strict=True)}
    if fitted.held_out is not None and fitted.held_out.y is not None:
        state |= {"held_out.logits": fitted.held_out.logits, "held_out.y": fitted.held_out.y}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}
    content = save(tensors, metadata={"dalib": json.dumps({"crc32": NO_SUM, **facts})})
    write_atomic(path, with_header_sum(content))
    return path


def model_path(path: str | Path) -> Path:
    """The path with the ending of model files. DalibError for one without a name, as an empty one is, and for a URL."""
    refuse_remote(path, "the model file")
    path = Path(path)
    if not path.name:
        raise DalibError(f"'{path}' is a folder; give the model file a name, for example {path / 'model.safetensors'}")
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
    if not isinstance(path, (str, os.PathLike)):
        raise DalibError(
            f"model is a {type(path).__name__}; give the path of a model file, or what dalib.fit(…).fitted is"
        )
    facts, state = read_content(Path(path))
    where = pick_device(device)
    try:
        return _rebuild(facts, state, Path(path), where)
    except DalibError:
        raise
    except Exception as error:  # facts are whatever somebody wrote; torch, pydantic and plug-ins each have their words
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise DalibError(
            f"{path} is no usable dalib model ({type(error).__name__}: {reason}); train again with {WRITER}"
        ) from None


def _rebuild(facts: dict[str, Any], state: dict[str, torch.Tensor], path: Path, where: torch.device) -> Fitted:
    check_facts(facts, state, path)
    _refuse_missing(facts, path)
    _refuse_bomb(facts, state, path)
    algorithm, backbone, config = _build(facts)
    algorithm.load_state_dict({k.removeprefix("algorithm."): v for k, v in state.items() if k.startswith("algorithm.")})
    if backbone.frozen:
        backbone.module.load_state_dict(
            {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
        )
        backbone.weights_hash = f"file:{path.name}"
    algorithm.to(where).eval()
    fitted = Fitted(algorithm, backbone, tuple(facts["classes"]), config, where, extra=facts["extra"])
    while f"moments.{len(fitted.moments)}.mean" in state:
        mean, deviation = (state[f"moments.{len(fitted.moments)}.{k}"].numpy() for k in ("mean", "deviation"))
        fitted.moments = (*fitted.moments, (mean, deviation))
    fitted.held_out = _held_out(fitted, state, path)
    return fitted


def _held_out(fitted: Fitted, state: dict[str, torch.Tensor], path: Path) -> Outputs | None:
    """What the model said of held-out source rows; None where the file has none."""
    logits, y = state.get("held_out.logits"), state.get("held_out.y")
    if logits is None or y is None:
        return None
    right = logits.ndim == 2 and logits.shape == (len(y), len(fitted.names)) and y.ndim == 1
    if not right or y.dtype != torch.int64 or (len(y) and not 0 <= int(y.min()) <= int(y.max()) < logits.shape[1]):
        raise DalibError(
            f"{path} is no usable dalib model: held_out.logits {tuple(logits.shape)} and held_out.y {tuple(y.shape)} "
            f"are no answers to {len(fitted.classes)} classes; give a file written by {WRITER}"
        )
    return Outputs(torch.zeros(len(y), 0), logits.float(), y)


def _build(facts: dict[str, Any]) -> tuple[Algorithm, Backbone, TrainConfig]:
    """What the facts describe, with weights as they are drawn."""
    config = TrainConfig(**facts["config"])
    backbone = _backbone(facts)
    algorithm: Algorithm = ALGORITHMS.get(facts["algorithm"]).create(facts["algorithm"], facts["hparams"])
    solved = isinstance(algorithm, FeatureAlgorithm)
    inner = identity(backbone.dim) if backbone.frozen else backbone
    width = 0 if solved else config.bottleneck
    objective = find_objective(facts.get("objective", "classification"))
    how = {"origins": facts.get("origins", 1), "answers": facts.get("answers", "as_given"), "decoder": config.decoder}
    algorithm.attach(objective.network(inner, len(facts["classes"]), width, **how))
    return algorithm, backbone, config


def _refuse_bomb(facts: dict[str, Any], state: dict[str, torch.Tensor], path: Path) -> None:
    """DalibError where the facts describe weights that the file does not hold, before memory is taken for them."""
    told = [facts["config"].get("bottleneck", 0), facts["hparams"], facts["backbone"]]
    if max(len(facts["classes"]), *_numbers_in(told)) <= LARGE:
        return
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            algorithm, backbone, _ = _build(facts)
    except Exception:  # a network that cannot be built without numbers is built with them
        return
    parts = {"algorithm": algorithm} | ({"backbone": backbone.module} if backbone.frozen else {})
    needed = {f"{part}.{k}": p for part, module in parts.items() for k, p in module.named_parameters()}
    for name, parameter in needed.items():
        if name not in state or state[name].shape != parameter.shape:
            there = f"{tuple(state[name].shape)}" if name in state else "not there"
            raise DalibError(
                f"{path} is no usable dalib model: {name} is {there}, but what it says of itself needs "
                f"{tuple(parameter.shape)}; give a file written by {WRITER}"
            )
    kept = sum(buffer.numel() for module in parts.values() for buffer in module.buffers())
    if kept > sum(tensor.numel() for tensor in state.values()) + SPARE:
        raise DalibError(
            f"{path} is no usable dalib model: it describes {kept} numbers that training keeps, and holds fewer; "
            f"give a file written by {WRITER}"
        )


def _numbers_in(value: Any) -> Iterator[float]:
    """Every number in lists and mappings; of a list of numbers, which may be a shape, their product too."""
    if isinstance(value, (int, float)):
        yield value
    elif isinstance(value, (list, dict)):
        inside = list(value.values() if isinstance(value, dict) else value)
        if inside and all(isinstance(v, int) for v in inside):
            yield abs(math.prod(inside))
        for part in inside:
            yield from _numbers_in(part)


def _refuse_missing(facts: dict[str, Any], path: Path) -> None:
    """DalibError where the file names a plug-in that is not loaded."""
    needs = {"algorithm": (facts["algorithm"], ALGORITHMS), "backbone": (facts["backbone"]["name"], BACKBONES)}
    for kind, (name, registry) in needs.items():
        if (find_plugin(name) if kind == "backbone" else name) in registry:
            continue
        files = [f for f in facts.get("plugins") or () if isinstance(f, str)] or ["FILE.py"]
        lacking = f"{path} needs {kind} '{name}', which dalib has not{suggest(name, registry.names())}"
        raise DalibError(
            f"{lacking}; give the plug-in that defines it: --plugin {' and '.join(files)} (dalib.load_plugin)"
        )


def _backbone(facts: dict[str, Any]) -> Backbone:
    made = facts["backbone"]
    rows = RowShape.from_facts(made["rows"]) if made.get("rows") else None
    options = made.get("options", {})
    backbone = load_backbone(made["name"], "none", dim=made["dim"], frozen=made["frozen"], rows=rows, **options)
    backbone.parts = {name: Preprocess(**part) for name, part in made.get("parts", {}).items()}
    backbone.preprocess = Preprocess(**facts["preprocess"]) if facts["preprocess"] else None
    backbone.weights = made["weights"]
    return backbone
