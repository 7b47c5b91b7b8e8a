"""What adaptation starts from: a model file, a fitted model, a checkpoint with a head, or any module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dalib.backbones import load_backbone
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone, Identity, Preprocess
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS
from dalib.core.rows import row_shape
from dalib.core.types import Domain
from dalib.data.declaration import canonical
from dalib.feed.stores import open_store
from dalib.train.config import TrainConfig
from dalib.train.device import pick_device
from dalib.train.fitted import Fitted
from dalib.train.model_file import load_model

CHECKPOINTS = (".pth", ".pt", ".ckpt", ".bin", ".npz")
"""How files of weights end that are no models of dalib."""


def open_model(
    model: Fitted | str | Path,
    *,
    backbone: Mapping[str, Any] | None = None,
    classes: Sequence[str] | str | Path = (),
    device: str = "auto",
) -> Fitted:
    """A fitted model, from its file where it is one.

    Args
        model: what `dalib.fit(…).fitted` or `load_model` gave, a model file, or with `backbone` a checkpoint of
            torchvision's or timm's names that holds a head
        backbone: `name` and options of the checkpoint's network
        classes: names of its head's outputs, in their order, blanks around them left out; a file with one name a line

    Raises
        DalibError: no model there, a checkpoint without a head, another number of names than outputs
    """
    if isinstance(model, Fitted) or not backbone:
        if classes or backbone:
            raise DalibError("a dalib model knows its classes and its backbone; leave classes and backbone out")
        return model if isinstance(model, Fitted) else _load(model, device)
    name, options = str(backbone.get("name", "")), {k: v for k, v in backbone.items() if k != "name"}
    made = load_backbone(name, str(model), head=True, **options)
    if made.head is None:
        raise DalibError(
            f"{model} holds no classifier on the {made.dim} features of {name}; give a checkpoint with its head"
        )
    names = read_classes(classes, made.head.out_features, str(model))
    network = Network(replace(made, head=None), len(names), 0)
    network.head.load_state_dict(made.head.state_dict())
    return _as_fitted(network, replace(made, head=None), names, device)


def _load(path: str | Path, device: str) -> Fitted:
    try:
        return load_model(path, device)
    except DalibError as error:
        if "is no dalib model" not in str(error) and Path(str(path)).suffix not in CHECKPOINTS:
            raise
        raise DalibError(
            f"{path} is no dalib model; if it is a checkpoint of torchvision's or timm's names, say which network "
            "(--backbone NAME) and what its outputs are called (--classes A,B,…), in Python (backbone=…, classes=…)"
        ) from None


def read_classes(classes: Sequence[str] | str | Path, outputs: int, what: str) -> tuple[str, ...]:
    """Names of a head's outputs, given as such or as a file with one a line.

    Raises
        DalibError: none, another number than there are outputs, or one twice
    """
    if isinstance(classes, (str, Path)):
        path = Path(classes)
        if not path.is_file():
            raise DalibError(f"no file of class names {path}; give one with a name a line, or the names themselves")
        try:
            classes = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except UnicodeDecodeError:
            raise DalibError(f"the file of class names {path} is no text in UTF-8; save it as that") from None
    names = tuple(canonical(str(name)) for name in classes)
    if not names:
        raise DalibError(
            f"{what} does not say what its {outputs} outputs are called; give their names in order (classes)"
        )
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DalibError(f"the class name '{twice[0]}' is given {names.count(twice[0])} times; name each output once")
    if len(names) != outputs:
        raise DalibError(f"{what} has {outputs} outputs, and {len(names)} classes are named; give a name for each")
    return names


def wrap_module(
    module: nn.Module,
    rows: Domain,
    classes: Sequence[str] | str | Path,
    *,
    preprocess: Preprocess | None = None,
    device: str = "auto",
) -> Fitted:
    """Any classifier as a fitted model; a copy, whose body and head are told apart.

    Args
        module: prepared rows (B, *S) -> logits (B, K), by an `nn.Linear` that comes last
        rows: rows that it takes: images as bytes with `preprocess`, else numbers as they are
        classes: names of its outputs

    Raises
        DalibError: the module does not take the rows, or its answers are those of no linear layer
    """
    kind, module = type(module).__name__, deepcopy(module).to(pick_device(device)).eval()
    if rows.is_images and rows.x.dtype.kind == "u" and preprocess is None:
        raise DalibError(
            f"target '{rows.name}' holds images as bytes; say how {kind} wants them "
            "(preprocess=dalib.Preprocess(256, 224))"
        )
    shape = None if preprocess else row_shape(rows.x)
    backbone = Backbone("module", module, 1, [], preprocess, rows=shape)
    where = pick_device(device)
    batch = open_store(backbone, rows, where).batch(torch.arange(min(2, len(rows))))
    found, answer = _watch(module, batch, kind)
    if not isinstance(answer, Tensor) or answer.ndim != 2:
        got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise DalibError(f"{kind} gives {got} for {len(answer)} rows; a classifier gives (rows, classes)")
    names = read_classes(classes, answer.shape[1], kind)
    for path, (z, told) in found.items():
        if told.shape == answer.shape and torch.equal(told, answer) and z.ndim == 2:
            head, body = module.get_submodule(path), _without(module, path)
            with torch.no_grad():
                same = body(batch)
            if isinstance(same, Tensor) and same.shape == z.shape and torch.equal(same, z):
                break
    else:
        raise DalibError(
            f"{kind}'s answers are not what an nn.Linear of it gives last, so body and head cannot be told apart; give "
            "nn.Sequential(body, nn.Linear(width, classes))"
        )
    assert isinstance(head, nn.Linear)
    groups = [body] if any(True for _ in body.parameters()) else []
    backbone = replace(backbone, module=body, dim=z.shape[1], groups=groups)
    network = Network(backbone, len(names), 0)
    network.head.load_state_dict(
        {"weight": head.weight, "bias": torch.zeros(len(names)) if head.bias is None else head.bias}
    )
    return _as_fitted(network, backbone, names, device)


def _watch(module: nn.Module, batch: Any, kind: str) -> tuple[dict[str, tuple[Tensor, Tensor]], Any]:
    """(input and output of every linear layer that was called once, the module's answer)."""
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}
    hooks = []
    for path, part in module.named_modules():
        if isinstance(part, nn.Linear):
            hooks.append(
                part.register_forward_hook(
                    lambda _, given, told, path=path: seen.setdefault(path, []).append((given[0], told))
                )
            )
    try:
        with torch.no_grad():
            answer = module(batch)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise DalibError(f"{kind} does not take the target's rows ({type(error).__name__}: {reason})") from None
    finally:
        for hook in hooks:
            hook.remove()
    return {path: calls[0] for path, calls in seen.items() if len(calls) == 1}, answer


def _without(module: nn.Module, path: str) -> nn.Module:
    """The module with one part of it passing on what it is given."""
    if not path:
        return Identity()
    module = deepcopy(module)
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, nn.Identity())
    return module


def _as_fitted(network: Network, backbone: Backbone, classes: tuple[str, ...], device: str) -> Fitted:
    """As if it had been trained on a source: the algorithm is `source_only`."""
    algorithm: Algorithm = ALGORITHMS.get("source_only")()
    algorithm.attach(network)
    where = pick_device(device)
    algorithm.to(where).eval()
    return Fitted(algorithm, backbone, classes, TrainConfig(bottleneck=0), where)
