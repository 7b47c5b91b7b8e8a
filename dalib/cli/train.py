"""`dalib train`: one algorithm on one task, how good it is, and the model as a file."""

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
    Track,
    bold,
    complete_names,
    load_plugins,
    open_folder,
    progress_bar,
    split_names,
)
from dalib.cli._sections import FORMER, SectionCommand, given_settings, set_value
from dalib.core.errors import DalibError
from dalib.core.registry import DEFAULT_PROTOCOL, METRICS, PROTOCOLS
from dalib.core.text import say

if TYPE_CHECKING:
    from dalib.fitting import TrainedRun


class TrainCommand(SectionCommand):
    sections = ("algorithm",)
    former = FORMER
    defaults = {"backbone.name": "as for --backbone", "backbone.weights": "the backbone's own"}


def train_model(
    ctx: typer.Context,
    dataset: Annotated[
        str,
        typer.Option(
            metavar="D",
            help="A name (dalib list datasets) or features:PATH.npz.",
            autocompletion=complete_names("datasets"),
        ),
    ],
    algorithm: Annotated[
        str,
        typer.Option(
            metavar="A",
            help="A name from dalib list algorithms, or a combination as dann+mcc.",
            autocompletion=complete_names("algorithms"),
        ),
    ],
    source: Annotated[str, typer.Option(metavar="S", help="The labelled domain, or several as S1+S2.")] = "",
    target: Annotated[
        str,
        typer.Option(
            metavar="T",
            help="The domain to adapt to, or a folder of images without labels; default for --protocol supervised: S.",
        ),
    ] = "",
    backbone: Annotated[
        str,
        typer.Option(
            metavar="B",
            help="A name from dalib list backbones; default: identity for features, tiny, frozen, for data that dalib "
            "draws, else resnet50.",
            autocompletion=complete_names("backbones"),
        ),
    ] = "",
    protocol: Annotated[
        str,
        typer.Option(
            metavar="P",
            help=f"A name from dalib list protocols; default: {DEFAULT_PROTOCOL}.",
            autocompletion=complete_names("protocols"),
        ),
    ] = "",
    steps: Annotated[int | None, typer.Option(help="Short for --train.steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Short for --train.batch_size.")] = None,
    lr: Annotated[float | None, typer.Option(help="Short for --train.lr.")] = None,
    crop: Annotated[int | None, typer.Option(help="Short for --train.crop.")] = None,
    weights: Annotated[str, typer.Option(metavar="W", help="Short for --backbone.weights.")] = "",
    normalise: Annotated[list[str] | None, typer.Option(metavar="A,B", help="Short for --data.normalise.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Short for --data.partial.")] = False,
    skip_unreadable: SkipUnreadable = False,
    seed: Annotated[int, typer.Option(help="Decides weights, batches and splits.")] = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    plugin: Plugins = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep the state there now and then, till the end: after a stop the same command goes on; default: "
            "beside MODEL.",
        ),
    ] = None,
    listener: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=FILE]",
            help="Follow the training with a listener (dalib list listeners); may be repeated. step_log=FILE writes "
            "every step's loss terms as a line of JSON.",
            autocompletion=complete_names("listeners"),
        ),
    ] = None,
    track: Track = None,
    out: Annotated[Path | None, typer.Option(metavar="MODEL", help="Write the model there (.safetensors).")] = None,
) -> None:
    """Train one algorithm on one pair of domains and print how good it is.

    Everything that a suite can say is set by --SECTION.KEY VALUE: the recipe (--train.momentum 0.5), the protocol
    (--protocol.shots 5), the backbone (--backbone.frozen, and its own options), the data (--data.normalise l2,zscore)
    and the algorithm's hyper-parameters (--algorithm.weight 2). dalib show train, protocol, backbone and data explain
    them too.

    torchrun --nproc-per-node N -m dalib train … shares every step over N processes, one per GPU.
    """
    given = given_settings(ctx)
    short: dict[str, Any] = {
        "backbone.name": backbone or None,
        "backbone.weights": weights or None,
        "protocol.name": protocol or None,
        "data.normalise": list(split_names(normalise)) or None,
        "data.partial": partial or None,
        "data.skip_unreadable": skip_unreadable or None,
        "train.steps": steps,
        "train.batch_size": batch_size,
        "train.lr": lr,
        "train.crop": crop,
    }
    for path, value in short.items():
        if value is not None:
            set_value(given, path, value)
    load_plugins(plugin)
    if seed < 0:
        raise DalibError(f"--seed {seed} is negative; give 0 or more")
    if out is not None:
        open_folder(out.parent, "--out in")
    if checkpoint is not None:
        open_folder(checkpoint.parent, "--checkpoint in")
    from dalib.core.protocol import labels_of
    from dalib.fitting import fit

    if labels_of(given.get("protocol", {}).get("name", DEFAULT_PROTOCOL)) == "target":
        source, target = source or target, target or source
    for name, value in (("--source", source), ("--target", target)):
        if not value:
            raise DalibError(f"missing option '{name}' (see dalib train --help)")
    from dalib.train.ranks import connected

    options: dict[str, Any] = {"seed": seed, "root": data_root, "out": out, "checkpoint": checkpoint}
    options |= {"listeners": listener or (), "track": track or (), "hparams": given.pop("algorithm", {}), **given}
    with connected(device) as (ranks, own):
        options |= {"device": own, "distributed": ranks is not None}
        if ranks is not None and not ranks.first:
            fit(dataset, source, target, algorithm, **options)
            return
        with progress_bar(f"{algorithm} {source}->{target}") as progress:
            run = fit(dataset, source, target, algorithm, progress=progress, **options)
    print_values(run)
    if run.path is not None:
        size = run.path.stat().st_size / 1e6
        plugins = "".join(f" --plugin {quote(str(file))}" for file in plugin or ())
        say(f"model {run.path} ({size:.1f} MB); use it: dalib predict {quote(str(run.path))} PATH{plugins}")


def print_values(run: TrainedRun) -> None:
    """What was trained, then one line per set of rows."""
    spec, device = run.spec, run.fitted.device.type
    steps = f"{spec.train.steps} steps, " if run.fitted.curve else ""
    frozen = ", frozen" if spec.backbone.frozen else ""
    weights = f" ({run.fitted.backbone.weights}{frozen})" if run.fitted.backbone.preprocess else ""
    say(bold(f"{spec.algorithm}  {spec.data.dataset}  {run.task.name}"))
    say(f"{spec.backbone.name}{weights}, {steps}seed {spec.seed}, {run.seconds:.1f} s on {device}")
    if run.note:
        say(f"partial data: {run.note}")
    for remark in run.remarks:
        say(f"note: {remark}")
    for doubt in run.expected.doubts if run.expected else ():
        say(f"note: expected accuracy: {doubt}")
    sizes = (len(run.task.labelled), len(run.task.validation), len(run.task.test))
    counts = dict(zip(PROTOCOLS.get(run.task.protocol).rows, sizes, strict=True))
    unknown = [k for k, n in counts.items() if n and k not in run.values]
    form = "7.2%" if METRICS.get(run.metric).unit == "%" else "9.4g"
    name = run.metric.replace("_", " ")
    print_columns(
        [(f"{name} on {k}", f"{v:{form}}", f"n = {counts[k]}") for k, v in run.values.items()]
        + [(f"{name} on {k}", "unknown", f"n = {counts[k]}, whose labels do not tell") for k in unknown]
        + ([] if sizes[2] else [(f"{name} on target", "unknown", f"n = {len(run.task.target)}, without labels")])
        + [("expected on target", str(run.expected), "without labels")] * (run.expected is not None)
        + [(f"target, {k.replace('_', ' ')}", f"{v:7.2%}", "") for k, v in run.opened.items()]
    )
