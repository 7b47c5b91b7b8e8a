"""`dalib push` and `dalib pull`: models and records in a Hugging Face repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._common import Plugins, load_plugins
from dalib.core.text import say


def push_file(
    what: Annotated[str, typer.Argument(metavar="FILE", help="A model (.safetensors) or records (.jsonl).")],
    to: Annotated[str, typer.Option(metavar="hf:OWNER/NAME|DIR", help="A repository, made if need be, or a folder.")],
    public: Annotated[bool, typer.Option("--public", help="A repository that is made now can be seen by all.")] = False,
    plugin: Plugins = None,
) -> None:
    """Put a model with its card, or records, into a Hugging Face repository or a folder."""
    load_plugins(plugin)
    from dalib.sharing.repository import push

    say(push(what, to, private=not public))


def pull_files(
    where: Annotated[str, typer.Argument(metavar="hf:OWNER/NAME|DIR", help="A repository or a folder.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to put what is in it.")] = Path(),
    revision: Annotated[str, typer.Option(metavar="R", help="Branch, tag or commit; default: the newest.")] = "",
) -> None:
    """Copy the models and records of a repository here."""
    from dalib.sharing.repository import pull

    for path in pull(where, out, revision=revision):
        say(path)
