"""`dalib export`: a suite's records as one file, small enough to commit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._common import StoreRoot, SuiteName, open_folder
from dalib.core.text import say


def export_records(
    suite: SuiteName,
    out: Annotated[
        str, typer.Option(metavar="FILE.jsonl", help="Usually results/records/NAME.jsonl; or a URL (s3://…).")
    ],
    store: StoreRoot = Path("results/runs"),
) -> None:
    """Write a suite's records, without host names and predictions, as one JSON-lines file."""
    from dalib.bench.suite import find_suite_name
    from dalib.core.places import is_url
    from dalib.records.archive import export
    from dalib.records.store import Store

    kept = Store(store)
    manifest = kept.manifest(find_suite_name(suite))
    if not is_url(out):
        open_folder(Path(out).parent, "--out in")
    number = export(kept, manifest, out)
    missing = len(manifest.keys) - number
    size = "" if is_url(out) else f", {Path(out).stat().st_size / 1e6:.2f} MB"
    say(
        f"{out}: {number} records{size}"
        + (f"; {missing} of {len(manifest.keys)} runs have none yet" if missing else "")
    )
