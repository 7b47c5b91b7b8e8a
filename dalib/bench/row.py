"""One row of a suite: an algorithm with its settings, and what it overrides of the suite's sections."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dalib.core.fields import refuse_booleans


class Row(BaseModel):
    """One row of the table: an algorithm, its hyper-parameters and what it overrides of the suite's sections.

    devices: processes that share every run of the row, each with a device of its own; in no key, for the result is that
        of one process, up to rounding
    swept: filled in by a sweep: the row of the file that this one is a copy of
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: str = ""
    train: dict[str, Any] = Field(default_factory=dict)
    backbone: dict[str, Any] = Field(default_factory=dict)
    protocol: dict[str, Any] = Field(default_factory=dict)
    devices: int = Field(default=1, ge=1)
    swept: str = ""
    hparams: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def gather_hparams(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        own = {k: v for k, v in refuse_booleans(cls, given).items() if k in cls.model_fields and k != "hparams"}
        if not isinstance(given.get("hparams", {}), dict):
            raise ValueError(f"hparams = {given['hparams']!r} is no table; give {{ name = value }}")
        free = {k: v for k, v in given.items() if k not in own and k != "hparams"}
        named = own.get("algorithm")
        if isinstance(named, (list, tuple)):
            own["algorithm"] = "+".join(map(str, named))
        return own | {"hparams": _flatten({**given.get("hparams", {}), **free})}


def refuse_one_name(labels: Iterable[str]) -> None:
    """ValueError for a row without a name, or two that nobody can tell apart."""
    seen: dict[str, str] = {}
    for label in labels:
        plain = unicodedata.normalize("NFC", label).strip()
        if not plain:
            raise ValueError(f"has a row called {label!r}; give it a name that can be seen")
        if plain in seen:
            raise ValueError(f"has rows {seen[plain]!a} and {label!a}, which look alike; call one of them otherwise")
        seen[plain] = label


def _flatten(hparams: dict[str, Any]) -> dict[str, Any]:
    """`{"dann": {"weight": 0.3}}`, TOML's `dann.weight = 0.3`, as `{"dann.weight": 0.3}`: a combination's own names."""
    out: dict[str, Any] = {}
    for name, value in hparams.items():
        out |= {f"{name}.{k}": v for k, v in value.items()} if value and isinstance(value, dict) else {name: value}
    return out
