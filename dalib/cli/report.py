"""`dalib report` and `dalib view`: a suite as one page, as a file or while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dalib.cli._common import DataRoot, Plugins, StoreRoot, SuiteName, load_plugins, open_folder
from dalib.core.text import say

Pictures = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, help="Most pictures of the data in the page, small: what rows get wrong; 0: none are read."
    ),
]


def write_report(
    suite: SuiteName,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the page (index.html), or a file that ends in .html.")
    ] = Path("report"),
    select: Annotated[str, typer.Option(help="The selection that is shown first; default: last.")] = "",
    metric: Annotated[str, typer.Option(help="The metric that is shown first; default: the suite's.")] = "",
    store: StoreRoot = Path("results/runs"),
    records: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Records that dalib export wrote, instead of a store.")
    ] = None,
    data_root: DataRoot = None,
    pictures: Pictures = 240,
    plugin: Plugins = None,
) -> None:
    """Write a suite as one page: table, summary, curves, classes, failures, settings. It needs no network."""
    load_plugins(plugin)
    from dalib.report.page.write import write_page

    open_folder(out.parent if out.suffix == ".html" else out, "--out")
    shown: dict[str, Any] = {"select": select, "metric": metric, "data_root": data_root, "pictures": pictures}
    path = write_page(suite, out, store=store, records=records, **shown)
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def view_suite(
    suite: SuiteName,
    store: StoreRoot = Path("results/runs"),
    address: Annotated[
        str, typer.Option(metavar="IP", help="Another address than this machine's own asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="0: any that is free.", min=0, max=65535)] = 8765,
    data_root: DataRoot = None,
    pictures: Pictures = 240,
    plugin: Plugins = None,
) -> None:
    """Serve the page of dalib report while a suite runs: it shows new records as they arrive. Ctrl-C ends it."""
    load_plugins(plugin)
    from dalib.report.page.server import open_server

    server = open_server(suite, store=store, address=address, port=port, data_root=data_root, pictures=pictures)
    say(f"{server.url}  (Ctrl-C ends it)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("ended")
    finally:
        server.server_close()
