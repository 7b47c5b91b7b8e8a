"""`dalib schema`: what an editor needs to complete and check suites."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._common import Plugins, load_plugins, write_text
from dalib.core.text import hand_out, say, to_json


def print_schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write it there; default: print it.")] = None,
    plugin: Plugins = None,
) -> None:
    """Print the JSON schema of suites, by which an editor completes keys and names and underlines mistakes.

    A first line `#:schema ./suite.schema.json` in a suite tells taplo and VS Code's Even Better TOML where it lies.
    """
    load_plugins(plugin)
    from dalib.bench.schema import suite_schema

    text = to_json(suite_schema()) + "\n"
    if out is None:
        hand_out(text)
        return
    write_text(out, text)
    say(f"{out}; the first line of a suite beside it: #:schema ./{out.name}")
