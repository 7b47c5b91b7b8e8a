"""`--SECTION.KEY VALUE`: the one way to set anything of a run, read from the models that a suite is read by."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from dalib.core.errors import DalibError, unknown
from dalib.core.text import say

if TYPE_CHECKING:
    from dalib.core.fields import Setting

GIVEN, EXPLAINED = "dalib.given", "dalib.explained"
Given = dict[str, dict[str, Any]]
"""section -> key -> value."""


@dataclass(frozen=True)
class Former:
    """A spelling from before.

    path: what it is now
    pair: KEY=VALUE follows, whose key is below the path
    flag: the value that it stands for; nothing follows
    """

    path: str
    pair: bool = False
    flag: str = ""


FORMER = {
    "--set": Former("algorithm", pair=True),
    "--train": Former("train", pair=True),
    "--backbone-option": Former("backbone.options", pair=True),
    "--frozen": Former("backbone.frozen", flag="true"),
    "--finetune": Former("backbone.frozen", flag="false"),
    "--precision": Former("train.precision"),
    "--validation": Former("protocol.validation"),
    "--reject": Former("protocol.reject"),
    "--source-classes": Former("protocol.source_classes"),
    "--target-classes": Former("protocol.target_classes"),
}
"""What `dalib train` took before, accepted with a hint."""


class SectionCommand(TyperCommand):
    """A command that takes settings of a suite's sections; `given_settings` has them.

    Class variables
        sections: those it takes besides the models' own
        former: old spellings that it accepts
        defaults: path -> what stands there unless it is given, where that is not the model's default; under an empty
            path, for all
    """

    sections: tuple[str, ...] = ()
    former: Mapping[str, Former] = {}
    defaults: Mapping[str, str] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[EXPLAINED] = list(args) if ctx.resilient_parsing or {"-h", "--help"} & set(args) else None
        try:
            args, ctx.meta[GIVEN], hints = take_settings(args, self.sections, self.former)
        except DalibError:
            if ctx.meta[EXPLAINED] is None:
                raise
        else:
            for hint in hints if not ctx.resilient_parsing else ():
                say(f"dalib: {hint}", file=sys.stderr)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """With the settings, where they are to be explained or completed."""
        params, args = super().get_params(ctx), ctx.meta.get(EXPLAINED)
        return params if args is None else [*params, *setting_options(self.sections, args, self.defaults)]


def given_settings(ctx: typer.Context) -> Given:
    """The settings of the command line, section by section."""
    given: Given = ctx.meta[GIVEN]
    return given


def take_settings(
    args: Sequence[str], sections: Sequence[str] = (), former: Mapping[str, Former] | None = None
) -> tuple[list[str], Given, list[str]]:
    """(the other arguments, the settings, hints at new spellings).

    Raises
        DalibError: an unknown section, a setting without a value or with two
    """
    rest: list[str] = []
    hints: list[str] = []
    given: Given = {}
    words = deque(args)
    while words:
        word = words.popleft()
        name, equals, text = word.partition("=")
        if word == "--":
            rest += [word, *words]
            words.clear()
        elif former and name in former:
            path, text, hint = _translate(name, former[name], text if equals else None, words)
            hints.append(hint)
            set_value(given, path, _read(path, text))
        elif name.startswith("--") and "." in name:
            path = name[2:].replace("-", "_")
            _check_section(path, sections)
            set_value(given, path, _read(path, text if equals else _take_value(path, words)))
        else:
            rest.append(word)
    return rest, given, hints


def set_value(given: Given, path: str, value: Any) -> None:
    """Enter `value` at `train.lr`; several of names add up."""
    section, *keys = path.split(".")
    place: dict[str, Any] = given.setdefault(section, {})
    if section == "algorithm":
        keys = [".".join(keys)]
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    if keys[-1] in place and not isinstance(value, list):
        raise DalibError(f"--{path} is given twice ({place[keys[-1]]} and {value}); leave one out")
    place[keys[-1]] = [*place.get(keys[-1], ()), *value] if isinstance(value, list) else value


def setting_options(sections: Sequence[str], args: Sequence[str], defaults: Mapping[str, str]) -> list[Any]:
    """The settings as options that are explained and completed; with those of the algorithm and backbone in `args`."""
    from inspect import Parameter, Signature

    def probe(**values: Any) -> None:
        pass

    parameters, types = [], {}
    for path, setting in _all_settings(sections, args):
        option = typer.Option(
            None,
            f"--{path}",
            metavar=_metavar(setting),
            help=_explain(setting, defaults.get(path, defaults.get("", ""))),
            rich_help_panel=f"--{path.partition('.')[0]}.KEY",
            autocompletion=_completer(setting),
            show_default=False,
        )
        name = path.replace(".", "_")
        parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=option, annotation=str))
        types[name] = str
    probe.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    probe.__annotations__ = types
    probe_app = typer.Typer(add_completion=False)
    probe_app.command()(probe)
    options = typer.main.get_command(probe_app).params
    for option in options:
        option.expose_value, option.required = False, False
    return [*options]


def _all_settings(sections: Sequence[str], args: Sequence[str]) -> Iterator[tuple[str, Setting]]:
    from pydantic_core import PydanticUndefined

    from dalib.core.fields import Setting, describe_settings
    from dalib.records.sections import SECTIONS

    for section, model in SECTIONS.items():
        for setting in describe_settings(model):
            if setting.default is not PydanticUndefined and setting.sort != "mapping":
                yield f"{section}.{setting.name}", setting
    words = [part for word in args for part in word.split("=", 1)]
    named = {o: words[words.index(f"--{o}") + 1] for o in ("algorithm", "backbone") if f"--{o}" in words[:-1]}
    yield from _own_settings(named)
    if "algorithm" in sections and "algorithm" not in named:
        doc = "a hyper-parameter of the algorithm (dalib show NAME); of a combination: --algorithm.dann.weight"
        yield "algorithm.KEY", Setting("KEY", "", "", (), "", doc)


def _own_settings(named: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    """The named algorithm's hyper-parameters and the named backbone's options, by path."""
    from dalib.core.fields import Setting
    from dalib.core.registry import ALGORITHMS, BACKBONES

    if named.get("algorithm", "") in ALGORITHMS:
        cls = ALGORITHMS.get(named["algorithm"])
        for name, hyper in cls.hypers.items():
            yield f"algorithm.{name}", Setting(name, hyper.default, "", hyper.options, hyper.range, hyper.doc)
    if named.get("backbone", "").partition(":")[0] in BACKBONES:
        from dalib.backbones import own_options

        for name, default in own_options(named["backbone"]).items():
            yield f"backbone.{name}", Setting(name, default, "", (), "", "")


def _metavar(setting: Setting) -> str:
    names = {"yes or no": "[true|false]", "names": "A,B,…", "text": "WORD", "whole number": "N"}
    return names.get(setting.sort, "X")


def _explain(setting: Setting, default: str) -> str:
    from dalib.cli._common import show_value

    shown = f"default: {default or show_value(setting.default)}"
    return "; ".join(filter(None, (setting.doc, setting.bounds, shown)))


def _completer(setting: Setting) -> Any:
    words = setting.options or (("true", "false") if setting.sort == "yes or no" else ())
    return lambda incomplete: [w for w in words if w.startswith(incomplete)]


def _check_section(path: str, sections: Sequence[str]) -> None:
    from dalib.records.sections import SECTIONS

    section, _, key = path.partition(".")
    if section not in (*SECTIONS, *sections):
        raise unknown("section", section, [*SECTIONS, *sections], f"--{path}")
    if not key or ".." in path or path.endswith("."):
        raise DalibError(f"--{path} names no setting; write for example --train.lr 0.1")


def _translate(name: str, old: Former, text: str | None, words: deque[str]) -> tuple[str, str, str]:
    """(path, value, hint) of an old spelling."""
    if old.flag:
        return old.path, old.flag, f"{name} is now --{old.path}{'' if old.flag == 'true' else ' ' + old.flag}"
    if text is None:
        text = words.popleft() if words else ""
    if not old.pair:
        return old.path, text, f"{name} {text} is now --{old.path} {text}"
    key, equals, value = (part.strip() for part in text.partition("="))
    shown = old.path.partition(".")[0]
    if not equals or not key:
        raise DalibError(f"{name} {text} is not KEY=VALUE; write for example --{shown}.{key or 'weight'} 0.5")
    return f"{old.path}.{key}", value, f"{name} {text} is now --{shown}.{key} {value}"


def _take_value(path: str, words: deque[str]) -> str:
    """The value that follows an option, taken from the words; a yes-or-no setting may stand alone."""
    sort = _sort(path)
    if words and (words[0] in ("true", "false") if sort == "yes or no" else not words[0].startswith("--")):
        return words.popleft()
    if sort not in ("", "yes or no"):
        raise DalibError(f"--{path} needs a value; write for example --{path}=…")
    return "true"


def _sort(path: str) -> str:
    """The sort of a section's field; empty for what its model does not name: hyper-parameters, a backbone's options."""
    from dalib.core.fields import sort_of
    from dalib.records.sections import SECTIONS

    section, *keys = path.split(".")
    field = SECTIONS[section].model_fields.get(keys[0]) if section in SECTIONS and len(keys) == 1 else None
    return sort_of(field.annotation)[0] if field else ""


def _read(path: str, text: str) -> Any:
    """The value that a suite's file would hold."""
    sort = _sort(path)
    if sort == "text":
        return text
    if sort == "names" and not text.startswith("["):
        return [part for part in text.split(",") if part]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False}.get(text, text)
