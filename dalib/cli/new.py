"""`dalib new KIND NAME`: a plug-in file that works, to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dalib.core.registry import REGISTRIES
from dalib.core.text import say

NEXT = {
    "algorithm": "dalib run demo --plugin {path} --only {name}",
    "objective": "a feature file with objective = '{name}', and dalib train --plugin {path} …",
    "validator": "dalib run SUITE --plugin {path}",
    "metric": "dalib rescore SUITE --plugin {path}",
    "measure": "dalib rank --plugin {path} --measures {name} …",
    "format": "dalib table SUITE --plugin {path} --format {name}",
    "dataset": "dalib train --plugin {path} --dataset {name} …",
    "protocol": "dalib train --plugin {path} --protocol {name} …",
    "executor": "dalib run SUITE --plugin {path} --executor {name} --jobs 2",
    "backbone": "dalib train --plugin {path} --backbone {name} …",
    "listener": "dalib train --plugin {path} --listener {name} …",
}
OTHERWISE = "dalib list {kind}s --plugin {path}"


def write_plugin(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(r.kind for r in REGISTRIES.values())}.")],
    name: Annotated[str, typer.Argument(help="Lower-case words joined by _; the file is NAME.py.")],
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where to write the file.")] = Path(),
) -> None:
    """Write a plug-in file that works, to fill in."""
    from dalib.checks import new_plugin

    path = new_plugin(kind, name, folder)
    say(f"wrote {path}; it passes its contract tests as it is. Next:")
    say(f"  dalib check {path}")
    say(f"  {NEXT.get(kind, OTHERWISE).format(path=path, kind=kind, name=name)}")
