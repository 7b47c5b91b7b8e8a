"""`dalib new KIND NAME`: a plug-in file that works, to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NEXT = {
    "algorithm": "dalib run demo --plugin {path} --only {name}",
    "validator": "dalib run SUITE --plugin {path}",
    "measure": "dalib rank --plugin {path} --measures {name} …",
    "dataset": "dalib train --plugin {path} --dataset {name} …",
    "protocol": "dalib train --plugin {path} --protocol {name} …",
    "backbone": "dalib train --plugin {path} --backbone {name} …",
}


def write_plugin(
    kind: Annotated[str, typer.Argument(help="algorithm, validator, measure, dataset, backbone or protocol.")],
    name: Annotated[str, typer.Argument(help="Lower-case words joined by _; the file is NAME.py.")],
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where to write the file.")] = Path(),
) -> None:
    """Write a plug-in file that works, to fill in."""
    from dalib.checks import new_plugin

    path = new_plugin(kind, name, folder)
    print(f"wrote {path}; it passes its contract tests as it is. Next:")
    print(f"  dalib check {path}")
    print(f"  {NEXT[kind].format(path=path, name=name)}")
