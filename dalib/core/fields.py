"""The settings of a pydantic model as facts for people, read from the model: what `--help` and `dalib show` say."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@dataclass(frozen=True)
class Setting:
    """One field of a model.

    sort: `number`, `whole number`, `yes or no`, `text`, `names` (several, joined by commas) or `mapping`
    options: the words that it may be; empty = any
    bounds: `>= 0, < 1`; empty = none
    """

    name: str
    default: Any
    sort: str
    options: tuple[str, ...]
    bounds: str
    doc: str


def describe_settings(model: type[BaseModel]) -> list[Setting]:
    """The fields that the model's docstring explains, in the model's order; what it leaves out is not for users."""
    docs = read_docs(model)
    return [_describe(name, field, docs[name]) for name, field in model.model_fields.items() if name in docs]


def read_docs(model: type[BaseModel]) -> dict[str, str]:
    """`name: text` and `a, b: text` of a docstring, by name; a text goes on in lines that are indented deeper."""
    docs: dict[str, str] = {}
    names: list[str] = []
    indent = 0
    for line in inspect.cleandoc(model.__doc__ or "").splitlines():
        start = len(line) - len(line.lstrip())
        head = re.match(r"(\w+(?:, \w+)*): +(.*)", line.strip())
        known = [n for n in (head[1].split(", ") if head else []) if n in model.model_fields]
        if head and known:
            names, indent = known, start
            docs.update(dict.fromkeys(names, head[2]))
        elif names and line.strip() and start > indent:
            docs.update({n: f"{docs[n]} {line.strip()}" for n in names})
        else:
            names = []
    return docs


def refuse_booleans(model: type[BaseModel], given: Any) -> Any:
    """What is given to a model, if no number in it is true or false, which pydantic takes for 1 and 0.

    Raises
        ValueError: one is
    """
    for name, field in model.model_fields.items() if isinstance(given, dict) else ():
        if isinstance(given.get(name), bool) and _wants_number(field.annotation):
            raise ValueError(f"{name} = {given[name]} is no number; its default is {field.get_default()}")
    return given


def _wants_number(annotation: Any) -> bool:
    return annotation in (int, float) or any(_wants_number(a) for a in get_args(annotation))


def _describe(name: str, field: FieldInfo, doc: str) -> Setting:
    sort, options = sort_of(field.annotation)
    bounds = [f"{sign} {value:g}" for how, sign in SIGNS.items() for m in field.metadata
              if (value := getattr(m, how, None)) is not None]  # fmt: skip
    return Setting(name, field.get_default(call_default_factory=True), sort, options, ", ".join(bounds), doc)


def sort_of(annotation: Any) -> tuple[str, tuple[str, ...]]:
    """(sort, options) of a field's type; see `Setting`."""
    origin = get_origin(annotation)
    if origin is Literal:
        return "text", tuple(map(str, get_args(annotation)))
    if annotation in (tuple, list) or origin in (tuple, list):
        items = [a for a in get_args(annotation) if a is not Ellipsis]
        return "names", sort_of(items[0])[1] if items else ()
    if annotation is dict or origin is dict:
        return "mapping", ()
    plain = {bool: "yes or no", int: "whole number", float: "number"}
    return plain.get(annotation, "text" if annotation is str else "number or mapping"), ()
