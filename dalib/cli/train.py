"""`dalib train`: one algorithm on one task, its accuracies, and the model as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._common import DataRoot, Device, Plugins, load_plugins, open_folder, parse_settings, split_names
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, BACKBONES, DATASETS, DEFAULT_PROTOCOL

SHORT = ("steps", "batch_size", "lr", "crop", "precision")
"""Options that are settings of the recipe."""
OWN_WEIGHTS = {"identity": "none", "tiny": "pretrained"}
"""Weights of a backbone that has no ImageNet ones."""


def train_model(
    dataset: Annotated[str, typer.Option(metavar="D", help="A name (dalib list datasets) or features:PATH.npz.")],
    source: Annotated[str, typer.Option(metavar="S", help="The labelled domain, or several as S1+S2.")],
    target: Annotated[str, typer.Option(metavar="T", help="The domain to adapt to.")],
    algorithm: Annotated[
        str, typer.Option(metavar="A", help="A name from dalib list algorithms, or a combination as dann+mcc.")
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A hyper-parameter; may be repeated.")
    ] = None,
    backbone: Annotated[
        str, typer.Option(metavar="B", help="Default: identity for features, tiny for mini_office, else resnet50.")
    ] = "",
    weights: Annotated[
        str, typer.Option(metavar="W", help="imagenet, pretrained, none or a file; default: the backbone's own.")
    ] = "",
    backbone_option: Annotated[
        list[str] | None,
        typer.Option("--backbone-option", metavar="KEY=VALUE", help="As channels=[32,64]; may be repeated."),
    ] = None,
    frozen: Annotated[
        bool | None,
        typer.Option("--frozen/--finetune", help="Train on the backbone's features only; default for mini_office."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows per step and domain.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate of new layers.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the network's input in pixels.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option("--train", metavar="KEY=VALUE", help="Any field of TrainConfig; may be repeated."),
    ] = None,
    protocol: Annotated[str, typer.Option(metavar="P", help="A name from dalib list protocols.")] = DEFAULT_PROTOCOL,
    validation: Annotated[float, typer.Option(help="Part of the labelled rows held out.")] = 0.1,
    source_classes: Annotated[
        list[str] | None, typer.Option(metavar="C", help="Names or positions as 0:10; all unless given.")
    ] = None,
    target_classes: Annotated[
        list[str] | None, typer.Option(metavar="C", help="The same; classes that the source lacks are unknown.")
    ] = None,
    reject: Annotated[
        float,
        typer.Option(
            metavar="R", help="Rows whose entropy exceeds R log K are unknown, if the algorithm has no output for them."
        ),
    ] = 1.0,
    partial: Annotated[bool, typer.Option("--partial", help="Accept a data set that lacks something.")] = False,
    normalise: Annotated[
        list[str] | None, typer.Option(help="For features: row_sum, l2 or zscore; repeat for several, in order.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides weights, batches and splits.")] = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    plugin: Plugins = None,
    out: Annotated[Path | None, typer.Option(metavar="MODEL", help="Write the model there (.safetensors).")] = None,
) -> None:
    """Train one algorithm on one pair of domains and print its accuracies."""
    from dalib.bench.suite import validate
    from dalib.cli._fit import fit_run, print_accuracies, save_run
    from dalib.records.spec import RunSpec

    if seed < 0:
        raise DalibError(f"--seed {seed} is negative; give 0 or more")
    load_plugins(plugin)
    short = dict(zip(SHORT, (steps, batch_size, lr, crop, precision), strict=True))
    kind = DATASETS.get(dataset.partition(":")[0]).kind
    name = backbone or ("identity" if kind == "features" else "tiny" if dataset == "mini_office" else "resnet50")
    frozen = name == "tiny" and not backbone if frozen is None else frozen
    BACKBONES.get(name.partition(":")[0])
    algorithm = ALGORITHMS.canonical(algorithm)
    cls = ALGORITHMS.get(algorithm)
    if cls.rejects and reject < 1:
        raise DalibError(
            f"--reject {reject} has no effect on {algorithm}, which has an output for unknown; leave it out"
        )
    made = {"name": name, "weights": weights or OWN_WEIGHTS.get(name, "imagenet"), "frozen": frozen}
    spec = validate(
        RunSpec,
        {
            "data": {"dataset": dataset, "normalise": split_names(normalise), "partial": partial},
            "source": source,
            "target": target,
            "protocol": {
                "name": protocol,
                "validation": validation,
                "source_classes": split_names(source_classes),
                "target_classes": split_names(target_classes),
                "reject": reject,
            },
            "algorithm": algorithm,
            "algorithm_version": cls.version,
            "hparams": cls.create(algorithm, parse_settings("--set", set_)).hparams,
            "backbone": made | {"options": parse_settings("--backbone-option", backbone_option)},
            "train": {k: v for k, v in short.items() if v is not None} | parse_settings("--train", recipe),
            "seed": seed,
        },
        "dalib train",
    )
    if out is not None:
        open_folder(out.parent, "--out in")
    run = fit_run(spec, data_root, device)
    print_accuracies(run)
    if out is not None:
        save_run(run, out)
