"""`dalib adapt MODEL TARGET`: a trained model goes on with a new domain's rows alone, without the source."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dalib.cli._columns import print_columns
from dalib.cli._common import (
    DataRoot,
    Device,
    Plugins,
    SkipUnreadable,
    bold,
    complete_names,
    load_plugins,
    open_folder,
    progress_bar,
    split_names,
)
from dalib.cli._sections import SectionCommand, given_settings, set_value
from dalib.core.errors import DalibError
from dalib.core.text import say

if TYPE_CHECKING:
    from dalib.adaptation.adapt import AdaptedModel


class AdaptCommand(SectionCommand):
    sections = ("algorithm",)
    defaults = {"": "the model's own"}


def adapt_model(
    ctx: typer.Context,
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A file written by dalib train --out, or a checkpoint.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A folder or zip of images, features (.npz), or a data set's name.")
    ],
    algorithm: Annotated[
        str,
        typer.Option(
            metavar="A",
            help="One that needs no source: shot, nrc, aad, cowa, tent, adabn, t3a.",
            autocompletion=complete_names("algorithms"),
        ),
    ] = "shot",
    domain: Annotated[str, typer.Option(metavar="D", help="Which domain of TARGET, where it has several.")] = "",
    backbone: Annotated[
        str,
        typer.Option(
            metavar="B",
            help="The network of a checkpoint that is no dalib model: resnet50, timm:MODEL …",
            autocompletion=complete_names("backbones"),
        ),
    ] = "",
    classes: Annotated[
        str, typer.Option(metavar="A,B", help="Names of a checkpoint's outputs, in order; or a file, one a line.")
    ] = "",
    steps: Annotated[int | None, typer.Option(help="Short for --train.steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Short for --train.batch_size.")] = None,
    lr: Annotated[float | None, typer.Option(help="Short for --train.lr.")] = None,
    seed: Annotated[int, typer.Option(help="Decides batches and augmentation.")] = 0,
    skip_unreadable: SkipUnreadable = False,
    device: Device = "auto",
    data_root: DataRoot = None,
    plugin: Plugins = None,
    out: Annotated[Path | None, typer.Option(metavar="MODEL", help="Write the model there (.safetensors).")] = None,
) -> None:
    """Adapt a trained model to a new domain: no source rows, none asked for, no labels.

    The recipe is that of the model's own training unless set by --train.KEY VALUE; --algorithm.KEY VALUE sets
    hyper-parameters. Where TARGET's folders are called as the model's classes, accuracy before and after is printed;
    labels decide nothing.
    """
    given = given_settings(ctx)
    for name, value in (("steps", steps), ("batch_size", batch_size), ("lr", lr)):
        if value is not None:
            set_value(given, f"train.{name}", value)
    options: dict[str, Any] = {"hparams": given.pop("algorithm", {}), "train": given.pop("train", {})}
    network = given.pop("backbone", {}) | ({"name": backbone} if backbone else {})
    if given:
        raise DalibError(
            f"--{next(iter(given))}.… means nothing to a trained model; dalib adapt takes --train.KEY and "
            "--algorithm.KEY"
        )
    if network and not backbone:
        raise DalibError("--backbone.… belongs to a checkpoint; say which network it is of: --backbone NAME")
    load_plugins(plugin)
    if seed < 0:
        raise DalibError(f"--seed {seed} is negative; give 0 or more")
    if out is not None:
        open_folder(out.parent, "--out in")
    from dalib.adaptation.adapt import adapt

    names: Any = Path(classes) if classes and Path(classes).is_file() else split_names([classes] if classes else [])
    options |= {"backbone": network, "classes": names, "domain": domain, "seed": seed, "device": device}
    options |= {"root": data_root, "skip_unreadable": skip_unreadable, "out": out}
    with progress_bar(f"{algorithm} {target}") as progress:
        result = adapt(model, target, algorithm, progress=progress, **options)
    print_adapted(result)
    if result.path is not None:
        size = result.path.stat().st_size / 1e6
        plugins = "".join(f" --plugin {quote(str(file))}" for file in plugin or ())
        say(f"model {result.path} ({size:.1f} MB); use it: dalib predict {quote(str(result.path))} PATH{plugins}")


def print_adapted(result: AdaptedModel) -> None:
    """What went on with what, then how the answers changed."""
    fitted, n = result.fitted, len(result.target)
    backbone, start = fitted.backbone, fitted.extra["adapted_from"]
    steps = f"{fitted.config.steps} steps, " if fitted.curve else ""
    weights = f" ({backbone.weights}{', frozen' if backbone.frozen else ''})" if backbone.preprocess else ""
    say(bold(f"{result.algorithm}  {fitted.extra['task']}"))
    trained = f" on {start['task']}" if start["task"] else ""
    say(f"from {start['algorithm']}{trained}")
    say(f"{backbone.name}{weights}, {steps}seed {fitted.extra['seed']}, {result.seconds:.1f} s on {fitted.device.type}")
    for remark in result.remarks:
        say(f"note: {remark}")
    rows = [(name, f"{value:7.2%}", f"n = {n}") for name, value in result.values.items()]
    rows += [] if result.values else [("accuracy", "unknown", f"n = {n}, without labels")]
    if result.expected_before is not None:
        rows.append(("expected before", str(result.expected_before), "without labels"))
    print_columns([*rows, ("answers changed", f"{result.changed:7.2%}", f"n = {n}")])
