"""`dalib export`: a suite's records as one file, or a trained model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._common import Plugins, StoreRoot, complete_suites, load_plugins, open_folder
from dalib.core.errors import DalibError
from dalib.core.text import say


def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SUITE|MODEL",
            help="A suite's .toml file or name, or a model file (.safetensors).",
            autocompletion=complete_suites,
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Of records usually results/records/NAME.jsonl, or a URL (s3://…); of a model by default beside it.",
        ),
    ] = "",
    to: Annotated[str, typer.Option(metavar="FORMAT", help="Of a model: onnx, or torch (torch.export, .pt2).")] = "",
    store: StoreRoot = Path("results/runs"),
    plugin: Plugins = None,
) -> None:
    """Write a suite's records, without host names and predictions, as one JSON-lines file; or, with --to, a model.

    The model's file takes raw rows, images too, and its answers are compared with the model's own before it is kept.
    """
    load_plugins(plugin)
    if to:
        export_trained(what, out, to)
    elif what.endswith(".safetensors"):
        raise DalibError(f"{what} is a model; say what it shall become: --to onnx or --to torch")
    elif not out:
        raise DalibError("missing option '--out' (see dalib export --help)")
    else:
        export_records(what, out, store)


def export_trained(model: str, out: str, to: str) -> None:
    from dalib.train.portable import ENDINGS, export_model

    if to not in ENDINGS:
        raise DalibError(f"--to {to} is not one of {', '.join(ENDINGS)}")
    if not model.endswith(".safetensors"):
        raise DalibError(f"--to {to} is for a model file (.safetensors), and {model} is none; leave it out for records")
    path = export_model(model, out, to)  # type: ignore[arg-type]
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB), which answers as the model does")


def export_records(suite: str, out: str, store: Path) -> None:
    from dalib.bench.suite import find_suite_name
    from dalib.core.places import is_url
    from dalib.records.archive import export as write_archive
    from dalib.records.store import Store

    kept = Store(store)
    manifest = kept.manifest(find_suite_name(suite))
    if not is_url(out):
        open_folder(Path(out).parent, "--out in")
    number = write_archive(kept, manifest, out)
    missing = len(manifest.keys) - number
    size = "" if is_url(out) else f", {Path(out).stat().st_size / 1e6:.2f} MB"
    say(
        f"{out}: {number} records{size}"
        + (f"; {missing} of {len(manifest.keys)} runs have none yet" if missing else "")
    )
