"""`dalib show NAME`: what a plug-in does, its formula, hyper-parameters and source; what the settings of a run mean."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from dalib.cli._columns import print_columns
from dalib.cli._common import Plugins, bold, load_plugins, show_value
from dalib.core.dataset import DatasetInfo
from dalib.core.errors import unknown
from dalib.core.registry import REGISTRIES
from dalib.core.text import say

FULL = 90
"""Characters of a docstring's line from which on the next one may continue it."""


def show_plugin(
    name: Annotated[
        str, typer.Argument(help="A plug-in of any kind (dalib list), or a section of settings: train, protocol …")
    ],
    plugin: Plugins = None,
) -> None:
    """Say what a plug-in does, or what the settings of a section of dalib train and of a suite mean."""
    from dalib.backbones import find_plugin
    from dalib.records.sections import SECTIONS

    load_plugins(plugin)
    if name in SECTIONS:
        show_section(name)
        return
    lookup = find_plugin(name)
    kinds = [kind for kind, registry in REGISTRIES.items() if lookup in registry]
    if not kinds:
        known = {n for registry in REGISTRIES.values() for n in registry.names()}
        raise unknown("plug-in or section", name, {*known, *SECTIONS}, "dalib list")
    for number, kind in enumerate(kinds):
        if number:
            say()
        registry = REGISTRIES[kind]
        show = SHOW.get(kind) or _show_any(registry.kind)
        show(name, registry.get(lookup), registry.summary(lookup))


def show_section(name: str) -> None:
    """The settings of a section, with what each means."""
    from pydantic_core import PydanticUndefined

    from dalib.core.fields import describe_settings
    from dalib.records.sections import SECTIONS

    say(bold(name), f"  settings: --{name}.KEY VALUE of dalib train and dalib run, [{name}] of a suite")
    say((SECTIONS[name].__doc__ or "").strip().splitlines()[0])
    say()
    rows = []
    for setting in describe_settings(SECTIONS[name]):
        default = "" if setting.default is PydanticUndefined else show_value(setting.default)
        values = ", ".join(filter(None, ("|".join(setting.options), setting.bounds))) or setting.sort
        rows.append((setting.name, default, values, setting.doc))
    print_columns(rows, ("setting", "default", "values", "meaning"))


def _print_text(text: str) -> None:
    """A docstring after an empty line; on a terminal, lines that are full and go on in the next one are one again."""
    if text:
        say()
    lines: list[str] = []
    for line in inspect.cleandoc(text).splitlines():
        before = lines[-1] if lines else ""
        begins = re.match(r" *[\w, *]+:", line) and _indent(line) == _indent(before)
        if sys.stdout.isatty() and len(before) >= FULL and line and _indent(line) >= _indent(before) and not begins:
            lines[-1] += f" {line.lstrip()}"
        else:
            lines.append(line)
    for line in lines:
        say(line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _show_algorithm(name: str, cls: Any, summary: str) -> None:
    say(bold(f"{name}"), f"  algorithm, {cls.family}, version {cls.version}")
    say(summary)
    _print_text(cls.__doc__ or "")
    defaults = cls.defaults()
    say()
    if defaults:
        rows = [(key, _value(value), ", ".join(map(_value, cls.space.get(key, ())))) for key, value in defaults.items()]
        print_columns(rows, ("hyper-parameter", "default", "search space"))
    else:
        say("no hyper-parameters")


def _value(value: object) -> str:
    return value if isinstance(value, str) and value else repr(value)


def _show_validator(name: str, cls: Any, summary: str) -> None:
    labels = "uses target labels" if cls.uses_target_labels else "label-free on the target"
    say(bold(name), f"  validator, {labels}; higher is better")
    say(summary)
    _print_text(cls.__doc__ or "")


def _show_metric(name: str, cls: Any, summary: str) -> None:
    unit = f"in {cls.unit}" if cls.unit else "a plain number"
    direction = "higher" if cls.higher_is_better else "lower"
    say(bold(name), f"  metric of {' and '.join(cls.objectives)}, {unit}; {direction} is better")
    say(summary)
    _print_text(cls.__doc__ or "")


def _show_measure(name: str, cls: Any, summary: str) -> None:
    reads = "reads the pretrained classifier" if cls.needs_classifier else "reads features only"
    say(bold(name), f"  transferability measure, {reads}; higher is better")
    say(summary)
    _print_text(cls.__doc__ or "")


def _show_protocol(name: str, cls: Any, summary: str) -> None:
    whose = "source and target" if cls.labels == "both" else f"the {cls.labels}"
    say(bold(name), f"  protocol, version {cls.version}; grants labels of {whose}")
    say(summary)
    _print_text(cls.__doc__ or "")


def _show_objective(name: str, cls: Any, summary: str) -> None:
    say(bold(name), f"  objective, told by {', '.join(cls.metrics)}")
    say(summary)
    _print_text(cls.__doc__ or "")


def _show_listener(name: str, cls: Any, summary: str) -> None:
    say(bold(name), "  listener, follows a fit and changes no number of it")
    say(summary)
    _print_text(cls.__doc__ or "")


def _show_dataset(name: str, info: DatasetInfo, summary: str) -> None:
    say(bold(name), f"  data set, {info.kind}")
    say(info.title or summary)
    say()
    if info.domains:
        print_columns([(d, info.counts.get(d, "")) for d in info.domains], ("domain", info.rows))
        say()
    facts = {
        "classes": f"{len(info.classes)}: {', '.join(info.classes)}" if info.classes else "as found in the data",
        "made by": f"dalib data make {name} --out DIR (on first use, in the cache)" if info.generator else "",
        "source": info.source,
        "licence": info.licence,
        "paper": info.paper,
    }
    print_columns([(key, value) for key, value in facts.items() if value])


def _show_backbone(name: str, build: Any, summary: str) -> None:
    from dalib.backbones import FAMILIES, find_plugin, own_weights, takes_rows
    from dalib.backbones._pretraining import find_pretraining

    say(bold(name), "  backbone")
    say(summary)
    _print_text(build.__doc__ or "")
    rows: list[tuple[str, object]] = []
    if find_plugin(name) not in FAMILIES and name != "identity" and not takes_rows(name):
        backbone = build(name, "none")
        prepare = backbone.preprocess
        size = sum(p.numel() for p in backbone.module.parameters())
        rows += [("features", backbone.dim), ("parameters", f"{size / 1e6:.2f} million")]
        rows += [("blocks", len(backbone.groups))]
        if prepare:
            rows.append(("input", f"resized to {prepare.resize} px, crop {prepare.crop} px"))
    if name not in (*FAMILIES, "identity"):
        own = own_weights(name)
        seen = " + ".join(find_pretraining(name, own))
        rows.append(("pretrained on", f"{seen} (weights {own})" if seen else "nothing, from scratch"))
        say()
        print_columns(rows)


def _show_format(name: str, cls: Any, summary: str) -> None:
    files = f"files end in .{cls.ending}" if cls.ending else "for a screen, no files"
    say(bold(name), f"  table format, {files}{', written by default' if cls.by_default else ''}")
    say(summary)
    _print_text(cls.__doc__ or "")


def _show_any(kind: str) -> Callable[[str, Any, str], None]:
    """For a kind of which nothing more is known: what its file and its class or function say."""

    def show(name: str, plugin: Any, summary: str) -> None:
        say(bold(name), f"  {kind}")
        say(summary)
        if inspect.isclass(plugin) or inspect.isroutine(plugin):
            _print_text(plugin.__doc__ or "")

    return show


SHOW = {
    "algorithms": _show_algorithm,
    "datasets": _show_dataset,
    "backbones": _show_backbone,
    "validators": _show_validator,
    "metrics": _show_metric,
    "measures": _show_measure,
    "protocols": _show_protocol,
    "objectives": _show_objective,
    "listeners": _show_listener,
    "formats": _show_format,
}
