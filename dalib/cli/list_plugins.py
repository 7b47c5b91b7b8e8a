"""`dalib list`: what there is, without importing any of it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._columns import print_columns
from dalib.cli._common import Plugins, bold, choose, load_plugins
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, OBJECTIVES, REGISTRIES, parse_file
from dalib.core.text import say

COSTS = Path(__file__).parent.parent / "algorithms" / "costs.json"
"""Measured by benchmarks/speed/step_cost.py: a training step ÷ source_only's, a solution ÷ linear_probe's."""
HEADER = ("name", "family", "setting", "cost", "what it does")
DEFAULT = {"family": "other", "setting": "closed-set"}


def list_names(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help=f"{', '.join(REGISTRIES)}; default: all of them.")
    ] = None,
    objective: Annotated[
        str,
        typer.Option(metavar="O", help="Only algorithms that work on this kind of answers (dalib list objectives)."),
    ] = "",
    plugin: Plugins = None,
) -> None:
    """List the plug-ins of every kind, or of one."""
    if kind is not None:
        choose("kind of plug-in", kind, REGISTRIES)
    load_plugins(plugin)
    if objective:
        kind = _only_algorithms(kind, objective)
    for number, name in enumerate([kind] if kind else REGISTRIES):
        if kind is None:
            say("\n" if number else "", bold(name))
        registry = REGISTRIES[name]
        if registry is ALGORITHMS:
            able = set(ALGORITHMS.able(objective)) if objective else None
            print_columns([row for row in algorithm_rows() if able is None or row[0] in able], HEADER)
        else:
            print_columns([(n, registry.summary(n)) for n in registry.names()])


def _only_algorithms(kind: str | None, objective: str) -> str:
    choose("objective", objective, OBJECTIVES.names())
    if kind not in (None, "algorithms"):
        raise DalibError(f"--objective {objective} chooses among algorithms; give dalib list algorithms, not {kind}")
    return "algorithms"


def algorithm_rows() -> list[tuple[str, ...]]:
    """Name, family, setting, cost and summary of every algorithm."""
    files, costs = ALGORITHMS.files(), json.loads(COSTS.read_text(encoding="utf-8"))
    rows: list[tuple[str, ...]] = []
    for name in ALGORITHMS.names():
        family, setting = (
            read_variable(files[name], v) if name in files else getattr(ALGORITHMS.get(name), v) for v in DEFAULT
        )
        rows.append((name, family, setting, f"{costs[name]:.1f}" if name in costs else "", ALGORITHMS.summary(name)))
    return rows


def read_variable(path: Path, variable: str) -> str:
    """A class variable of an algorithm's file, `family` or `setting`, read without importing it."""
    classes = [node for node in parse_file(path).body if isinstance(node, ast.ClassDef)]
    for line in (line for cls in classes for line in cls.body):
        names = (
            line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
        )
        if any(isinstance(n, ast.Name) and n.id == variable for n in names):
            return str(ast.literal_eval(line.value))  # type: ignore[attr-defined]
    return DEFAULT[variable]
