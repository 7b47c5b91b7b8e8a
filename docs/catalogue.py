"""Write the catalogue pages from the code: one section per plug-in, in order of family and name."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import dalib.nn
from dalib.cli.list_plugins import COSTS
from dalib.core.combination import why_alone
from dalib.core.registry import ALGORITHMS, REGISTRIES
from dalib.train.fleetable import can_fleet

INTRODUCTION = """\
Made from the code when the documentation is built. **cost**: time of a training step divided by that of source-only
(36 + 36 feature rows behind a bottleneck, d = 256, 31 classes, one CPU thread); of a solution divided by that of a
linear probe (500 + 500 rows); measured by `make costs`. With an image network in front, a loss costs little beside the
network. **lines**: of the file.
"""


def algorithms() -> str:
    """Every algorithm: summary, setting, cost, size, hyper-parameters, formula, reference, its paper's BibTeX."""
    found = {name: ALGORITHMS.get(name) for name in ALGORITHMS.files()}
    costs = json.loads(COSTS.read_text(encoding="utf-8"))
    papers = bibliography()
    ordered = sorted(found, key=lambda name: (found[name].family, name))
    lines = ["# Algorithms", "", INTRODUCTION]
    lines += [":::{container} catalogue"]
    lines += ["| name | family | setting | cost | lines | what it does |", "|---|---|---|---:|---:|---|"]
    for n in ordered:
        cost = f"{costs[n]:.1f}" if n in costs else ""
        size = len(ALGORITHMS.files()[n].read_text(encoding="utf-8").splitlines())
        link = f"[{n}](#{n.replace('_', '-')})"
        lines.append(f"| {link} | {found[n].family} | {found[n].setting} | {cost} | {size} | {ALGORITHMS.summary(n)} |")
    lines += [":::"]
    for name in ordered:
        given = ", ".join(f"{k} = {v!r}" for k, v in found[name].defaults().items())
        lines += ["", f"({name.replace('_', '-')})=", f"## {name}", "", ALGORITHMS.summary(name), ""]
        lines += [f"`{found[name].__name__}({given})`", "", "```text", flow(inspect.getdoc(found[name]) or ""), "```"]
        reason = can_fleet(found[name]())
        lines += [
            "",
            f"Trains one run at a time: it {reason}." if reason else "Trains in [fleets](performance.md#fleets).",
        ]
        alone = why_alone(found[name])
        lines += ["", f"Stands alone: {alone}." if alone else "Can be [summed](add-an-algorithm.md#sums) with others."]
        if found[name].paper:
            lines += ["", "```bibtex", papers[found[name].paper], "```"]
    return "\n".join(lines) + "\n"


def bibliography() -> dict[str, str]:
    """BibTeX key -> entry."""
    text = (Path(__file__).parent / "references.bib").read_text(encoding="utf-8")
    entries = [part.strip() for part in re.split(r"(?m)^(?=@)", text) if part.startswith("@")]
    return {re.match(r"@\w+\{([^,]+),", entry)[1]: entry for entry in entries}  # type: ignore[index]


def others() -> str:
    """Every other kind of plug-in with its one-line summaries."""
    lines = ["# Other plug-ins", "", "Made from the code when the documentation is built.", ""]
    for kind, registry in REGISTRIES.items():
        if registry is ALGORITHMS:
            continue
        lines += [f"## {kind.capitalize()}", "", "| name | what it is |", "|---|---|"]
        lines += [f"| `{name}` | {registry.summary(name)} |" for name in registry.names()] + [""]
    return "\n".join(lines)


def functions() -> str:
    """Every public function and layer of dalib.nn: signature and docstring."""
    lines = ["# Functions", "", "What the algorithms are made of; pure functions of tensors and a few small layers."]
    for info in sorted(pkgutil.iter_modules(dalib.nn.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"dalib.nn.{info.name}")
        lines += ["", f"## dalib.nn.{info.name}", "", (inspect.getdoc(module) or "").splitlines()[0]]
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
                continue
            if inspect.isfunction(thing) or inspect.isclass(thing):
                error = inspect.isclass(thing) and issubclass(thing, BaseException)  # those have no signature
                text = name if error else f"{name}{signature(thing)}"
                lines += ["", f"### {name}", "", "```text", text, "", flow(inspect.getdoc(thing) or ""), "```"]
    return "\n".join(lines) + "\n"


FULL = 100
"""Columns of a docstring's line whose next word had no room."""


def flow(text: str) -> str:
    """The text without the line breaks that are there since a line was full; a browser divides it in its width."""
    lines: list[str] = []
    last = ""
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        goes_on = last.strip() and line.strip() and indent >= len(last) - len(last.lstrip())
        if goes_on and len(last) + 1 + len(line.split()[0]) > FULL:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
        last = line
    return "\n".join(lines)


class _Bare(str):
    """An annotation that is shown as it is written."""

    def __repr__(self) -> str:
        return str(self)


def signature(thing: object) -> str:
    """`(x: Tensor, k: int = 3) -> Tensor`, without the quotes of annotations that are kept as text."""
    found = inspect.signature(thing)  # type: ignore[arg-type]

    def bare(annotation: object) -> object:
        return _Bare(annotation) if isinstance(annotation, str) else annotation

    parameters = [p.replace(annotation=bare(p.annotation)) for p in found.parameters.values()]
    return str(found.replace(parameters=parameters, return_annotation=bare(found.return_annotation)))


def write(folder: Path) -> None:
    (folder / "functions.md").write_text(functions(), encoding="utf-8")
    (folder / "algorithms.md").write_text(algorithms(), encoding="utf-8")
    (folder / "plugins.md").write_text(others(), encoding="utf-8")
