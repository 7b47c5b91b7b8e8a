"""`dalib list`: what there is, without importing any of it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated, Any

import typer

from dalib.cli._common import Plugins, bold, choose, load_plugins, print_columns
from dalib.core.registry import ALGORITHMS, REGISTRIES, Registry, parse_file


def list_names(
    kind: Annotated[
        str | None, typer.Argument(help="algorithms, datasets, backbones or validators; default: all four.")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """List algorithms, datasets, backbones and validators."""
    if kind is not None:
        choose("kind of plug-in", kind, REGISTRIES)
    load_plugins(plugin)
    for number, name in enumerate([kind] if kind else REGISTRIES):
        if kind is None:
            print(("\n" if number else "") + bold(name))
        print_columns(_rows(REGISTRIES[name]))


def _rows(registry: Registry[Any]) -> list[tuple[str, ...]]:
    files = registry.files()
    if registry is not ALGORITHMS:
        return [(name, registry.summary(name)) for name in registry.names()]
    return [
        (name, read_family(files[name]) if name in files else registry.get(name).family, registry.summary(name))
        for name in registry.names()
    ]


def read_family(path: Path) -> str:
    """The class variable `family` of an algorithm's file, read without importing it; `other` if there is none."""
    classes = [node for node in parse_file(path).body if isinstance(node, ast.ClassDef)]
    for line in (line for cls in classes for line in cls.body):
        names = (
            line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
        )
        if any(isinstance(n, ast.Name) and n.id == "family" for n in names):
            return str(ast.literal_eval(line.value))  # type: ignore[attr-defined]
    return "other"
