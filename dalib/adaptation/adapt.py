"""`dalib.adapt`: a trained model, a new domain without labels, and no source."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn

from dalib.adaptation.start import open_model, wrap_module
from dalib.adaptation.target import open_target
from dalib.assemble import Report, check_crop
from dalib.backbones import find_plugin
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.errors import DalibError, unknown
from dalib.core.listener import Listener
from dalib.core.registry import ALGORITHMS, BACKBONES
from dalib.core.seeds import check_seed
from dalib.core.types import Domain
from dalib.data.given_rows import check_domain, check_given
from dalib.scoring.expected import ExpectedAccuracy, expected_accuracy
from dalib.scoring.metrics import decide, measure
from dalib.train.config import TrainConfig
from dalib.train.continuation import check_source_free
from dalib.train.fitted import Fitted
from dalib.train.model_file import model_path, registered_name, save_model
from dalib.train.trainer import Trainer


@dataclass
class AdaptedModel:
    """What `adapt` returns.

    fitted: the adapted model, for `dalib.predict`, `dalib.evaluate` and `dalib.save_model`
    start: the model as it was
    target: the rows, with labels where they are known
    algorithm: its registered name
    values: `accuracy before` and `accuracy after` where the target's labels are known; they decided nothing. Rows that
        protocol.reject turns down count as called `unknown`
    changed: part of the target's rows that are answered otherwise than before
    expected_before: the accuracy to expect of the model as it was; None where its file cannot say. Of the adapted one
        nothing can be expected: it answers no held-out source rows
    path: of the model file, if one was written
    remarks: what the data were read as, and why a number may say less than it seems to
    """

    fitted: Fitted
    start: Fitted
    target: Domain
    algorithm: str
    values: dict[str, float]
    changed: float
    seconds: float
    path: Path | None = None
    remarks: tuple[str, ...] = ()
    expected_before: ExpectedAccuracy | None = None


def adapt(
    model: Fitted | nn.Module | str | Path,
    target: Domain | np.ndarray | str | Path,
    algorithm: str | Algorithm = "shot",
    *,
    domain: str = "",
    hparams: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    backbone: Mapping[str, Any] | None = None,
    classes: Sequence[str] | str | Path = (),
    preprocess: Preprocess | None = None,
    seed: int = 0,
    device: str = "auto",
    root: str | Path | None = None,
    skip_unreadable: bool = False,
    out: str | Path | None = None,
    progress: Report | None = None,
    listeners: Sequence[Listener] = (),
) -> AdaptedModel:
    """Adapt a trained model to a domain without its source: what `dalib adapt` does.

    Labels of the target, where they are known, tell how good the model was and is; they decide nothing.

    Args
        model: a model file of `dalib train --out`, what `dalib.fit(…).fitted` or `load_model` gave, with `backbone`
            a checkpoint of torchvision's or timm's names that holds a head, or any module that gives logits
        target: a folder or an archive of pictures, a feature file (.npz), a data set by name, rows (n, *S), or a
            `Domain` as the model's backbone takes it
        algorithm: a name or an object; one that is `source_free` (`shot`, `nrc`, `aad`, `cowa`, `tent`, `adabn`, `t3a`)
        domain: which of the data set's
        hparams: of an algorithm given by name
        train: fields of TrainConfig; those of the model's own training unless given
        backbone: `name` and options of the network of a checkpoint that is no dalib model
        classes: names of the outputs of a checkpoint or module, in their order, or a file with one a line
        preprocess: how a module wants images
        seed: decides batches and augmentation
        device: `auto`, `cpu`, `cuda`, `cuda:N`
        root: where the data of a name lie; None = DALIB_DATA
        skip_unreadable: leave out image files that cannot be decoded; `remarks` say how many
        out: model file to write
        progress: called with (step, steps) now and then
        listeners: what else follows the training (`dalib.Listener`)

    Raises
        DalibError: a setting that is not one, or model, target and algorithm that do not fit together
        Diverged: a loss term stopped being finite
    """
    path, made = model_path(out) if out is not None else None, _make(algorithm, hparams or {})
    if isinstance(model, nn.Module):
        if not isinstance(target, (Domain, np.ndarray)):
            raise DalibError("a module takes rows; give the target as an array or a Domain")
        if isinstance(target, Domain):
            given = check_domain(target)
        else:
            given = Domain("target", check_given(target, "target"), None, (), "given")
        start = wrap_module(model, given, classes, preprocess=preprocess, device=device)
    else:
        if preprocess is not None:
            raise DalibError("preprocess belongs to a module; the preparation of images is part of a model file")
        start = open_model(model, backbone=backbone, classes=classes, device=device)
    if path is not None and find_plugin(start.backbone.name) not in BACKBONES:
        raise DalibError(
            f"no file can name the network '{start.backbone.name}'; leave out= out and keep "
            "result.fitted.algorithm.network.state_dict(), or register the network as a backbone plug-in"
        )
    config = _settle(start, train or {})
    start = replace(start, backbone=_prepare(start.backbone, config, "crop" in (train or {})))
    found = open_target(start, target, domain, root=root, skips=skip_unreadable)
    trainer = Trainer(config, seed=check_seed(seed), device=device, report=progress, listeners=listeners)
    before, begun = start.outputs(found.rows), time.monotonic()
    fitted = trainer.adapt(made, replace(start, moments=found.moments), found.rows)
    seconds, after = time.monotonic() - begun, fitted.outputs(found.rows)
    values: dict[str, float] = {}
    known, reject = len(start.classes), start.extra.get("protocol", {}).get("reject", 1.0)
    for when, told in (("before", before), ("after", after)):
        if found.rows.y is not None:
            values[f"accuracy {when}"] = measure(told, "", known, reject=reject)["_accuracy"]
    name = registered_name(made) if path is not None or isinstance(algorithm, Algorithm) else str(algorithm)
    source = str(start.extra.get("task", start.backbone.name)).partition("->")[0]
    fitted.extra = {
        **{k: start.extra[k] for k in ("dataset", "normalise", "protocol") if k in start.extra},
        "task": f"{source}->{found.rows.name}",
        "seed": seed,
        "metric": "accuracy",
        "values": values,
        "adapted_from": {"algorithm": start.algorithm.name_for_people(), "task": start.extra.get("task", "")},
    }
    old, new = before.logits.argmax(1), after.logits.argmax(1)
    remarks = (*found.remarks, *_doubts(old, new, fitted))
    changed = float(
        (decide(before.logits.numpy(), known, reject) != decide(after.logits.numpy(), known, reject)).mean()
    )
    expected = None
    if start.held_out is not None and start.algorithm.probabilistic and not start.algorithm.rejects and reject == 1:
        expected = expected_accuracy(start.held_out, before)
    result = AdaptedModel(fitted, start, found.rows, name, values, changed, seconds, None, remarks, expected)
    if path is not None:
        result.path = save_model(fitted, path, name)
    return result


def _make(algorithm: str | Algorithm, hparams: Mapping[str, Any]) -> Algorithm:
    """The algorithm, which must need no source; DalibError for what means nothing without one."""
    if isinstance(algorithm, Algorithm):
        if hparams:
            raise DalibError("hparams belong to an algorithm given by name; set them in the algorithm itself")
        check_source_free(algorithm)
        return algorithm
    cls = ALGORITHMS.get(algorithm)
    check_source_free(cls)
    for name in cls.of_the_source:
        if name in hparams:
            raise DalibError(
                f"{algorithm}.{name} is about training on the source, and there is none here; leave it out"
            )
    made: Algorithm = cls.create(algorithm, dict(hparams))
    made.check()
    return made


def _prepare(backbone: Backbone, config: TrainConfig, told: bool) -> Backbone:
    """With images at the recipe's crop; `told`: it is not the one that the network was trained with."""
    if backbone.preprocess is None:
        return backbone
    prepared = replace(backbone, preprocess=backbone.preprocess.at(config.crop, config.resize))
    if told and prepared.preprocess is not None:
        check_crop(prepared, prepared.preprocess.crop)
    return prepared


def _settle(start: Fitted, train: Mapping[str, Any]) -> TrainConfig:
    """The model's recipe with the settings given.

    Raises
        DalibError: a setting that is not one, or that a trained network has settled
    """
    if "bottleneck" in train:
        raise DalibError("train.bottleneck is part of the trained network; leave it out")
    for name in train:
        if name not in TrainConfig.model_fields:
            raise unknown("setting of train", name, TrainConfig.model_fields, "dalib show train")
    width = start.algorithm.network.bottleneck
    own = start.config.model_dump() | {"bottleneck": 0 if isinstance(width, nn.Identity) else start.config.bottleneck}
    try:
        return TrainConfig.model_validate(own | dict(train))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("train", *first["loc"])))
        text = first["msg"].removeprefix("Value error, ")
        raise DalibError(f"{where} = {first['input']!r}: {text}" if first["loc"] else f"train: {text}") from None


def _doubts(old: torch.Tensor, new: torch.Tensor, fitted: Fitted) -> list[str]:
    """Why adaptation may have gone wrong, told without labels."""
    said = []
    for when, answers in (("before adaptation", old), ("now", new)):
        if len(answers.unique()) == 1:
            said.append(f"{when} every target row is called '{fitted.names[int(answers[0])]}'")
    lost = len(old.unique()) - len(new.unique())
    if lost > len(old.unique()) / 2:
        said.append(f"{lost} of {len(old.unique())} classes are predicted no longer; take fewer steps or a lower lr")
    return said
