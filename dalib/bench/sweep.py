"""A sweep over how many target labels there are: every row once per value."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dalib.bench.row import Row
from dalib.core.registry import PROTOCOLS


class Sweep(BaseModel):
    """Values of one setting of `[protocol]`; empty = no sweep.

    shots: labelled target images per class; sets `split = "shots"`, so that rows under every protocol are tested on the
        same images at the same value
    fraction: labelled part of the target; only rows whose protocol labels such a part are repeated
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shots: list[Annotated[int, Field(ge=1)]] = []
    fraction: list[Annotated[float, Field(gt=0, le=1)]] = []

    @model_validator(mode="after")
    def check_values(self) -> Sweep:
        if self.shots and self.fraction:
            raise ValueError("is over shots and fraction at once; give one of them")
        seen = set()
        for value in self.values:
            if value in seen:
                raise ValueError(f"holds {value} twice; remove one")
            seen.add(value)
        return self

    @property
    def name(self) -> str:
        """`shots`, `fraction` or, without a sweep, an empty string."""
        return "shots" if self.shots else "fraction" if self.fraction else ""

    @property
    def values(self) -> list[Any]:
        return [*self.shots, *self.fraction]


def expand_rows(rows: dict[str, Row], sweep: Sweep, protocol: str) -> dict[str, Row]:
    """Every row as `label@value`, `swept` = label; rows that set the value themselves, or do not depend on it, stay.

    Args
        protocol: the suite's own, of rows that name none

    Raises
        ValueError: two copies, or a copy and a row of the file, of one label
    """
    expanded: dict[str, Row] = {}
    for label, row in rows.items():
        name = row.protocol.get("name", protocol)
        depends = name not in PROTOCOLS or sweep.name in PROTOCOLS.get(name).sweeps
        if row.swept or not depends or sweep.name in row.protocol:
            expanded[label] = row
            continue
        shared = {"split": "shots"} if sweep.name == "shots" else {}
        for value in sweep.values:
            own = shared | row.protocol | {sweep.name: value}
            copy = f"{label}@{value:g}"
            if copy in expanded or copy in rows:
                raise ValueError(f"has two rows called {copy!r}, one of them of the sweep; give other values or names")
            expanded[copy] = row.model_copy(update={"swept": label, "protocol": own})
    return expanded
