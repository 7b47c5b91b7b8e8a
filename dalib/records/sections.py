"""The sections in which a run's settings are said: `train`, `protocol`, `backbone`, `data`, as its description has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from dalib.core.errors import unknown
from dalib.core.fields import read_docs
from dalib.core.registry import is_class
from dalib.records.spec import BackboneSpec, RunSpec

SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation for name, field in RunSpec.model_fields.items() if is_class(field.annotation, BaseModel)
}


def sort_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a backbone, its own ones (`channels`) moved into `options`.

    Raises
        DalibError: a setting that the backbone `given["name"]` does not have
    """
    own = {k: v for k, v in given.items() if k not in BackboneSpec.model_fields}
    if not own:
        return dict(given)
    from dalib.backbones import own_options

    name = str(given.get("name", BackboneSpec().name))
    options = own_options(name)
    for key in own:
        if key not in options:
            raise unknown(f"setting of backbone {name}", key, [*read_docs(BackboneSpec), *options])
    kept = {k: v for k, v in given.items() if k in BackboneSpec.model_fields}
    return {**kept, "options": {**given.get("options", {}), **own}}
