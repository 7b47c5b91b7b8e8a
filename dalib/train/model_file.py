"""Trained models as one safetensors file: weights without code, and the facts needed to use them as metadata."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from dalib.backbones import load_backbone
from dalib.core.algorithm import Algorithm, FeatureAlgorithm
from dalib.core.backbone import Backbone, Preprocess, identity
from dalib.core.checksum import crc32
from dalib.core.errors import DalibError
from dalib.core.files import write_atomic
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.core.registry import ALGORITHMS, snake_case
from dalib.core.rows import RowShape
from dalib.train.config import TrainConfig
from dalib.train.device import pick_device
from dalib.train.fitted import Fitted

FORMAT = 2
READABLE = (1, 2)
"""Formats that can be read; files of the first carry no checksum."""
_SUM = rb"\"crc32\": \""
LARGEST, MOST_SOURCES, LONGEST_HEADER = 1 << 20, 1000, 16_000_000
"""Of a number in a file's facts, of its source domains, of the bytes that tell of its tensors and facts."""
SPARE = 10_000_000
"""Numbers by which a network may be larger than the tensors of its file (sums that training filled)."""
ORDINARY = 4096
"""Facts whose numbers are all at most this describe no network that is worth measuring (which takes two seconds)."""


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
    content = save(tensors, metadata={"dalib": json.dumps({"crc32": "0" * 8, **facts})})
    write_atomic(path, _with_sum(content, crc32(content)))
    return path


def model_path(path: str | Path) -> Path:
    """The path with the ending of model files. DalibError for one without a name, as an empty one is."""
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
    facts, state = _read(Path(path))
    where = pick_device(device)
    try:
        return _rebuild(facts, state, Path(path), where)
    except DalibError:
        raise
    except Exception as error:  # facts are whatever somebody wrote; torch, pydantic and plug-ins each have their words
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise DalibError(
            f"{path} is no usable dalib model ({type(error).__name__}: {reason}); train again with dalib train --out"
        ) from None


def _rebuild(facts: dict[str, Any], state: dict[str, torch.Tensor], path: Path, where: torch.device) -> Fitted:
    _check_facts(facts, state, path)
    _check_size(facts, state, path)
    config = TrainConfig(**facts["config"])
    algorithm, backbone = _construct(facts, config)
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
    return fitted


def _construct(facts: dict[str, Any], config: TrainConfig) -> tuple[Algorithm, Backbone]:
    """The network that the facts describe, with numbers that mean nothing yet."""
    backbone = _backbone(facts)
    algorithm: Algorithm = ALGORITHMS.get(facts["algorithm"]).create(facts["algorithm"], facts["hparams"])
    inner = identity(backbone.dim) if backbone.frozen else backbone
    width = 0 if isinstance(algorithm, FeatureAlgorithm) else config.bottleneck
    objective = find_objective(facts.get("objective", "classification"))
    algorithm.attach(Network(inner, len(facts["classes"]), width, facts.get("origins", 1), objective=objective))
    return algorithm, backbone


def _check_size(facts: dict[str, Any], state: dict[str, torch.Tensor], path: Path) -> None:
    """The network that the facts describe is no larger than the tensors beside them; it is measured, not allocated.

    Raises
        DalibError: it is larger
    """
    told = [facts["config"].get("bottleneck", 0), facts["hparams"], facts["backbone"]]
    if max(len(facts["classes"]), *_numbers_in(told)) <= ORDINARY:
        return
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            algorithm, backbone = _construct(facts, TrainConfig(**facts["config"]))
    except Exception:  # a plug-in that cannot be described so, or facts that are refused where they are used
        return
    parts = [algorithm, backbone.module] if backbone.frozen else [algorithm]
    needed = sum(x.numel() for part in parts for x in (*part.parameters(), *part.buffers()))
    there = sum(x.numel() for x in state.values())
    if needed > there + SPARE:
        raise DalibError(
            f"{path} is no usable dalib model: it describes a network of {needed} numbers and holds {there}; give a "
            "file written by dalib train --out"
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


def read_facts(path: str | Path) -> dict[str, Any]:
    """What a model file says about itself: algorithm, hparams, classes, config, backbone, preprocess, extra."""
    facts, state = _read(Path(path))
    _check_facts(facts, state, Path(path))
    return facts


KINDS: dict[str, tuple[type, ...]] = {
    "algorithm": (str,), "hparams": (dict,), "classes": (list,), "config": (dict,), "backbone": (dict,),
    "preprocess": (dict, type(None)), "extra": (dict,),
}  # fmt: skip
OF_BACKBONE: dict[str, tuple[type, ...]] = {"name": (str,), "dim": (int,), "frozen": (bool,), "weights": (str,)}


def _check_facts(facts: dict[str, Any], state: dict[str, torch.Tensor], path: Path) -> None:
    """What a file says of itself has the kinds it must have, and no width that its tensors do not bear out."""

    def refuse(what: str) -> DalibError:
        return DalibError(f"{path} is no usable dalib model: {what}; give a file written by dalib train --out")

    made = facts.get("backbone")
    for kinds, told, where in ((KINDS, facts, ""), (OF_BACKBONE, made if isinstance(made, dict) else {}, "backbone.")):
        for name, kind in kinds.items():
            if name not in told:
                raise refuse(f"it does not say {where}{name}")
            if not isinstance(told[name], kind) or (kind == (int,) and isinstance(told[name], bool)):
                raise refuse(f"{where}{name} is {str(told[name])[:40]!r}")
    classes, largest = facts["classes"], max([LARGEST, *(max(t.shape, default=0) for t in state.values() if t.numel())])
    if not classes or not all(isinstance(name, str) for name in classes):
        raise refuse(f"classes are {str(classes)[:40]}")
    numbers = {"backbone.dim": facts["backbone"]["dim"], "origins": facts.get("origins", 1)}
    numbers |= {f"config.{k}": v for k, v in facts["config"].items() if k in ("bottleneck", "crop", "resize")}
    numbers |= {k: v for k, v in facts["hparams"].items() if type(v) is int}
    for name, value in numbers.items():
        if type(value) is not int or not -largest <= value <= largest:
            raise refuse(f"{name} is {str(value)[:40]}")
    if facts.get("origins", 1) > MOST_SOURCES:
        raise refuse(f"origins are {facts['origins']}, more than {MOST_SOURCES}")
    if facts["backbone"]["dim"] < 1 or facts.get("origins", 1) < 1:
        raise refuse("backbone.dim and origins must be 1 or more")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    if not path.is_file():
        raise DalibError(f"no model file {path}; dalib train … --out MODEL writes one")
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            raise ValueError(f"a header of {length} bytes")
        with safe_open(path, framework="pt") as handle:
            told = handle.metadata() or {}
            facts = json.loads(told.get("dalib", "null"))
            state = {k: handle.get_tensor(k) for k in handle.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, ValueError, RecursionError, OSError, MemoryError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DalibError(
            f"{path} is not a safetensors file, or damaged ({reason}); give a file written by dalib train --out"
        ) from None
    if not isinstance(facts, dict) or facts.get("format") not in READABLE:
        raise DalibError(f"{path} holds weights but is no dalib model; give a file written by dalib train --out")
    if facts["format"] != 1 and not _is_whole(path.read_bytes(), str(facts.pop("crc32", ""))):
        raise DalibError(f"{path} is damaged: its checksum is another; copy it again, or train again with --out")
    for name, tensor in state.items():
        if name.startswith("moments.") and name.endswith(".deviation"):
            tensor = tensor[tensor != torch.inf]  # that of a constant column, which becomes 0
        if tensor.is_floating_point() and not tensor.isfinite().all():
            remedy = "so it can predict nothing; train again, with a lower lr"
            raise DalibError(f"{path} holds nan or infinity in {name}, {remedy}")
    return facts, state


def _with_sum(content: bytes, digits: str) -> bytes:
    """The file with these digits as its checksum; eight zeros are what the checksum is taken with."""
    start = content.find(_SUM) + len(_SUM)
    return content[:start] + digits.encode(errors="replace") + content[start + 8 :]


def _is_whole(content: bytes, digits: str) -> bool:
    return len(digits) == 8 and _SUM in content and crc32(_with_sum(content, "0" * 8)) == digits


def _backbone(facts: dict[str, Any]) -> Backbone:
    made = facts["backbone"]
    rows = RowShape.from_facts(made["rows"]) if made.get("rows") else None
    options = made.get("options", {})
    backbone = load_backbone(made["name"], "none", dim=made["dim"], frozen=made["frozen"], rows=rows, **options)
    backbone.parts = {name: Preprocess(**part) for name, part in made.get("parts", {}).items()}
    backbone.preprocess = Preprocess(**facts["preprocess"]) if facts["preprocess"] else None
    backbone.weights = made["weights"]
    return backbone
