"""Write the catalogue pages from the code: one section per plug-in, in order of family and name."""

from __future__ import annotations

import inspect
from pathlib import Path

from dalib.core.registry import ALGORITHMS, BACKBONES, DATASETS, VALIDATORS


def algorithms() -> str:
    """Every algorithm: summary, hyper-parameters and the class's own docstring (formula, shapes, reference)."""
    found = {name: ALGORITHMS.get(name) for name in ALGORITHMS.names()}
    ordered = sorted(found, key=lambda name: (found[name].family, name))
    lines = ["# Algorithms", "", "Made from the code when the documentation is built.", ""]
    lines += ["| name | family | what it does |", "|---|---|---|"]
    lines += [f"| [{n}](#{n.replace('_', '-')}) | {found[n].family} | {ALGORITHMS.summary(n)} |" for n in ordered]
    for name in ordered:
        given = ", ".join(f"{k} = {v!r}" for k, v in found[name].defaults().items())
        lines += ["", f"({name.replace('_', '-')})=", f"## {name}", "", ALGORITHMS.summary(name), ""]
        lines += [f"`{found[name].__name__}({given})`", "", "```text", inspect.getdoc(found[name]) or "", "```"]
    return "\n".join(lines) + "\n"


def others() -> str:
    """Data sets, backbones and validators with their one-line summaries."""
    lines = ["# Data sets, backbones, validators", "", "Made from the code when the documentation is built.", ""]
    for title, registry in (("Data sets", DATASETS), ("Backbones", BACKBONES), ("Validators", VALIDATORS)):
        lines += [f"## {title}", "", "| name | what it is |", "|---|---|"]
        lines += [f"| `{name}` | {registry.summary(name)} |" for name in registry.names()] + [""]
    return "\n".join(lines)


def write(folder: Path) -> None:
    (folder / "algorithms.md").write_text(algorithms(), encoding="utf-8")
    (folder / "plugins.md").write_text(others(), encoding="utf-8")
