"""Which executor runs a suite, and how it is set: `[executor]` of a suite, the command line; in no key."""

from __future__ import annotations

import inspect
import math
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError, create_model

from dalib.bench.cores import count_cores
from dalib.core.errors import DalibError, unknown
from dalib.core.registry import EXECUTORS

EVERYWHERE = 1000
"""Runs at a time where the engine knows how many machines it has, unless `jobs` says less."""


class ExecutorSpec(BaseModel):
    """Where the runs of a suite happen.

    name: of an executor (`dalib list executors`); empty = `inline` for one job, `processes` for several
    jobs: runs at a time

    What else is given are the executor's own settings (`dalib show slurm`).
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = ""
    jobs: StrictInt | None = Field(None, ge=1)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


@dataclass(frozen=True)
class Executor:
    """An executor with its settings.

    elsewhere: its runs happen on other machines, whose devices and cores are not those of this one
    """

    name: str
    jobs: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> ModuleType:
        return sys.modules[EXECUTORS.get(self.name).__module__]

    @property
    def elsewhere(self) -> bool:
        return bool(getattr(self.module, "ELSEWHERE", False))

    @property
    def threads(self) -> int:
        """Of a run: its share of this machine's cores, or of what it asks for elsewhere."""
        return math.ceil(self.options.get("cpus", 1)) if self.elsewhere else max(1, count_cores() // self.jobs)

    def execute(self, items: Sequence[Any], work: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
        result: Iterator[tuple[Any, Any]] = EXECUTORS.get(self.name)(
            items, work, min(self.jobs, len(items)), **self.options
        )
        return result

    def show_job(self, items: Sequence[Any]) -> str:
        """What it would hand to its engine; empty where it has no engine."""
        show = getattr(self.module, "show_job", None)
        return str(show(items, min(self.jobs, len(items)), **self.options)) if show and items else ""

    def submit(self, items: Sequence[Any], work: Callable[[Any], Any]) -> int:
        """Hand everything to the engine and come back; how many items are with it.

        Raises
            DalibError: the runs would end with this process
        """
        submit = getattr(self.module, "submit", None)
        if submit is None:
            raise DalibError(
                f"runs of {self.name} end with the process that started them; leave out --detach (detach=)"
            )
        return int(submit(items, work, min(self.jobs, max(len(items), 1)), **self.options))


def choose_executor(spec: ExecutorSpec, asked: str | Mapping[str, Any] = "", jobs: int | None = None) -> Executor:
    """The executor that was asked for, else the suite's, else the one that suits the number of jobs.

    Args
        asked: a name, or `name` with settings; a suite's settings of another executor are left out
    Raises
        DalibError: an unknown executor or setting, or a bad value
    """
    given = {"name": asked} if isinstance(asked, str) else dict(asked)
    name = given.pop("name", "") or spec.name
    own = spec.options if name == spec.name or not spec.name else {}
    asked_for: list[Any] = [jobs, given.pop("jobs", None), spec.jobs if name == spec.name else None]
    jobs = next((int(n) for n in asked_for if n is not None), None)
    if jobs is not None and jobs < 1:
        raise DalibError(f"jobs = {jobs} is below 1; give a number of worker processes")
    name = name or ("inline" if (jobs or 1) == 1 else "processes")
    if name not in EXECUTORS:
        raise unknown("executor", name, EXECUTORS.names(), "dalib list executors")
    options = _check_options(name, own | given)
    elsewhere = getattr(sys.modules[EXECUTORS.get(name).__module__], "ELSEWHERE", False)
    return Executor(name, jobs or (EVERYWHERE if elsewhere else 1), options)


def _check_options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The settings as the keyword-only parameters of `execute` want them."""
    execute = EXECUTORS.get(name)
    kinds = typing.get_type_hints(execute)
    known = {
        p.name: (kinds.get(p.name, Any), p.default)
        for p in inspect.signature(execute).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    for key in given:
        if key not in known:
            raise unknown(f"setting of executor {name}", key, known, f"[executor] or --executor.{key} (executor=…)")
    if not given:
        return {}
    model = create_model("Options", **known)  # type: ignore[call-overload]
    try:
        checked = model(**given)
    except ValidationError as error:
        first = error.errors()[0]
        text = first["msg"].removeprefix("Input ")
        raise DalibError(f"executor {name}: {first['loc'][0]} = {first['input']!r} {text}") from None
    return {key: getattr(checked, key) for key in given}
