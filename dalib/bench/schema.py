"""The JSON schema of suites, for editors: made from the models that read them and from the registries."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from dalib.bench.row import Row
from dalib.bench.suite import SECTIONS, Suite
from dalib.core.fields import read_docs
from dalib.core.hyper import Hyper
from dalib.core.registry import (
    ALGORITHMS,
    BACKBONES,
    DATASETS,
    EXECUTORS,
    METRICS,
    PROTOCOLS,
    VALIDATORS,
    Registry,
    is_class,
)

Schema = dict[str, Any]
FILLED_IN = {"hash", "swept"}
"""Fields that no file sets."""


def suite_schema() -> Schema:
    """The JSON schema (draft 7, which every editor reads) of a suite's file, for completion and checks.

    A row that is named after an algorithm, or says which it is, knows its hyper-parameters. What a plug-in may add
    (names) is offered where it is known and not refused where it is not; `load_suite` checks the rest.
    """
    schema = Suite.model_json_schema()
    rooms = schema["$defs"]
    described = {name: field.annotation for name, field in Suite.model_fields.items()}
    for model in described.values():
        if is_class(model, BaseModel):
            rooms[model.__name__] = _explain(rooms[model.__name__], model)
    for room, name, registry in (
        ("BackboneSpec", "name", BACKBONES), ("ProtocolSpec", "name", PROTOCOLS),
        ("SearchSpec", "validator", VALIDATORS), ("ExecutorSpec", "name", EXECUTORS),
    ):  # fmt: skip
        rooms[room]["properties"][name] |= _words(registry)
    rooms["Row"] = _row_schema()
    schema = _explain(schema, Suite)
    properties = schema["properties"]
    properties["dataset"] |= _words(DATASETS)
    properties["metric"] |= _words(METRICS)
    properties["validators"] = {"anyOf": [{"const": "all"}, _several({"anyOf": _words(VALIDATORS)["anyOf"]})]} | {
        key: value for key, value in properties["validators"].items() if key in ("default", "description")
    }
    named = {name: _named_row(name, ALGORITHMS.get(name).hypers) for name in ALGORITHMS.names()}
    table = {"type": "object", "properties": named, "additionalProperties": {"$ref": "#/$defs/Row"}, "minProperties": 1}
    rows = [table, _several({"anyOf": _words(ALGORITHMS)["anyOf"]}) | {"minItems": 1}]
    properties["algorithms"] = {"description": read_docs(Suite)["algorithms"], "anyOf": rows}
    schema["required"] = ["dataset", "algorithms"]
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema, "title": "A suite of dalib"}


def _explain(schema: Schema, model: type[BaseModel]) -> Schema:
    """With the docstring's words at each setting, and without what no file sets and what only repeats a name."""
    docs = read_docs(model)
    properties = {}
    for name, field in schema["properties"].items():
        if name not in FILLED_IN:
            properties[name] = {key: value for key, value in field.items() if key != "title"}
            properties[name] |= {"description": docs[name]} if name in docs else {}
    return {
        **{key: value for key, value in schema.items() if key != "title"}, "properties": properties,
        "description": (model.__doc__ or "").strip().splitlines()[0],
    }  # fmt: skip


def _words(registry: Registry[Any]) -> Schema:
    """Any text; what is registered is offered."""
    return {"anyOf": [{"enum": registry.names()}, {"type": "string"}]}


def _several(item: Schema) -> Schema:
    return {"type": "array", "items": item, "uniqueItems": True}


def _row_schema(**own: Any) -> Schema:
    """A row; further keys are hyper-parameters."""
    sections = {name: {"$ref": f"#/$defs/{model.__name__}"} for name, model in SECTIONS.items()}
    named = {"description": "the algorithm; default: what the row is called", **_words(ALGORITHMS)}
    named["anyOf"] = [*named["anyOf"], _several({"type": "string"})]
    hparams = {"type": "object", "description": "hyper-parameters; they may stand in the row itself"}
    others = _explain(Row.model_json_schema(), Row)["properties"]
    return {"type": "object", "properties": {**others, "algorithm": named, **sections, "hparams": hparams}, **own}


def _named_row(name: str, hypers: dict[str, Hyper]) -> Schema:
    """A row called like an algorithm: its own hyper-parameters and no others, or another algorithm that it names."""
    row = _row_schema(additionalProperties=False)
    row["properties"] |= {"algorithm": {"const": name}} | {key: _hyper_schema(hyper) for key, hyper in hypers.items()}
    return {"anyOf": [row, {"allOf": [{"$ref": "#/$defs/Row"}, {"required": ["algorithm"]}]}]}


def _hyper_schema(hyper: Hyper) -> Schema:
    """What a hyper-parameter may be."""
    bounds = {
        "exclusiveMinimum": hyper.above, "minimum": hyper.least, "exclusiveMaximum": hyper.below, "maximum": hyper.most,
    }  # fmt: skip
    kinds: dict[str, Schema] = {
        "number": {"type": "number"}, "whole": {"type": "integer"}, "flag": {"type": "boolean"},
        "text": {"type": "string"},
    }  # fmt: skip
    value = kinds.get(hyper.kind, {}) | {key: bound for key, bound in bounds.items() if bound is not None}
    if hyper.options:
        words = {"enum": list(hyper.options)}
        value = words if hyper.kind == "choice" else {"anyOf": [value, words]}
    told = {"description": hyper.doc} if hyper.doc else {}
    return told | value | ({"default": hyper.default} if hyper.default is not None else {})
