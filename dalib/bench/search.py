"""Hyper-parameter search: every row gets the same number of draws, each of which is an ordinary run."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from dalib.core.errors import DalibError, unknown
from dalib.core.fields import refuse_booleans

TRIES = 200


class Interval(BaseModel):
    """Any number between low and high; log: uniform in its logarithm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float
    high: float
    log: StrictBool = False

    @model_validator(mode="after")
    def _ordered(self) -> Interval:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"low = {self.low}, high = {self.high} is no interval; give low < high, above 0 with log")
        return self


Values = Interval | list[Any]


class SearchSpec(BaseModel):
    """See docs/suites.md.

    budget: draws per row, the first of which is the row as it stands
    sampler: `random`, or `tpe` (Optuna's tree-structured Parzen estimator), which proposes one draw per row and round
    validator: what `tpe` maximises: its best score along a run, averaged over tasks and seeds; `oracle` is refused
    train: recipe settings that are searched for every row
    space: row label -> hyper-parameters, in place of the algorithm's own space
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: int = Field(1, ge=1, le=10_000)
    sampler: Literal["random", "tpe"] = "random"
    seed: int = 0
    validator: str = "source_accuracy"
    train: dict[str, Values] = Field(default_factory=dict)
    space: dict[str, dict[str, Values]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, given: Any) -> Any:
        return refuse_booleans(cls, given)

    @model_validator(mode="after")
    def _usable(self) -> SearchSpec:
        if self.validator == "oracle":
            raise ValueError("the oracle reads target test labels; search by a validator that does not")
        for name, values in {**self.train, **{k: v for s in self.space.values() for k, v in s.items()}}.items():
            if isinstance(values, list) and not values:
                raise ValueError(f"{name} has no values; list some, or give low and high")
        return self


@dataclass(frozen=True)
class Draw:
    """What one draw changes of its row; nothing for the first."""

    hparams: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)


def row_space(search: SearchSpec, label: str, own: dict[str, list[Any]]) -> dict[str, Values]:
    """Names (`train.lr` for recipe settings) -> values of one row."""
    space: dict[str, Values] = dict(search.space.get(label, own))
    return space | {f"train.{name}": values for name, values in search.train.items()}


def draw_random(search: SearchSpec, label: str, space: dict[str, Values], current: dict[str, Any]) -> list[Draw]:
    """The row as it stands and up to budget - 1 different settings; fewer when the space holds fewer.

    Args
        current: the row's own values of everything in `space`
    """
    chance = random.Random(f"{search.seed}:{label}")
    draws, seen = [Draw()], {_spell(current, space)}
    most = _count_settings(space, current)
    for _ in range(TRIES * search.budget if space else 0):
        if len(draws) == search.budget or len(seen) >= most:
            break
        values = {name: _pick(chance, values) for name, values in space.items()}
        if (spelt := _spell(values, space)) not in seen:
            seen.add(spelt)
            draws.append(_split(values))
    return draws


def _spell(values: dict[str, Any], space: dict[str, Values]) -> str:
    """Equal for equal settings: 1 and 1.0 are, and so they are for True."""
    return repr([float(v) if isinstance(v, (int, float)) else v for v in map(values.get, space)])


def _count_settings(space: dict[str, Values], current: dict[str, Any]) -> float:
    """How many different settings there are, the row's own among them; infinite with an interval."""
    inside = all(_holds(values, current.get(name)) for name, values in space.items())
    distinct = [
        len({_spell({"": v}, {"": []}) for v in vs}) if isinstance(vs, list) else math.inf for vs in space.values()
    ]
    return math.prod(distinct) + (not inside)


def propose(
    search: SearchSpec, label: str, space: dict[str, Values], current: dict[str, Any],
    history: Sequence[tuple[Draw, float]],
) -> Draw | None:  # fmt: skip
    """TPE's next draw after the draws and scores so far; None for a row without anything to search."""
    if not history:
        return Draw()
    if not space:
        return None
    optuna = import_optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kinds = {
        name: optuna.distributions.CategoricalDistribution(v)
        if isinstance(v, list)
        else optuna.distributions.FloatDistribution(v.low, v.high, log=v.log)
        for name, v in space.items()
    }
    sampler = optuna.samplers.TPESampler(seed=random.Random(f"{search.seed}:{label}:{len(history)}").getrandbits(31))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for draw, score in history:
        values = {**current, **draw.hparams, **{f"train.{k}": v for k, v in draw.train.items()}}
        inside = all(_holds(v, values.get(name)) for name, v in space.items())
        if inside and math.isfinite(score):
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: values[name] for name in space}, distributions=kinds, value=score
                )
            )
    return _split(study.ask(kinds).params)


def import_optuna() -> Any:
    """Optuna, or the error that says how to get it."""
    try:
        import optuna
    except ImportError:
        raise DalibError("sampler = 'tpe' needs Optuna; pip install 'dalib-toolkit[search]', or use 'random'") from None
    return optuna


def check_space(
    search: SearchSpec, labels: Sequence[str], known: Mapping[str, Sequence[str]], recipe: Sequence[str]
) -> None:
    """Every name in the search exists.

    Raises
        DalibError: an unknown row, hyper-parameter or recipe setting
    """
    for label, names in search.space.items():
        if label not in labels:
            raise unknown("row", label, labels, "[search.space]")
        for name in names:
            if name not in known[label]:
                raise unknown(f"hyper-parameter of {label}", name, known[label], "[search.space]")
    for name in search.train:
        if name not in recipe:
            raise unknown("setting", name, recipe, "[search.train]")


def _pick(chance: random.Random, values: Values) -> Any:
    if isinstance(values, list):
        return chance.choice(values)
    if values.log:
        value = math.exp(chance.uniform(math.log(values.low), math.log(values.high)))
    else:
        value = chance.uniform(values.low, values.high)
    return float(f"{value:.4g}")


def _holds(values: Values, value: Any) -> bool:
    if isinstance(values, list):
        return value in values
    return isinstance(value, (int, float)) and values.low <= value <= values.high


def _split(values: dict[str, Any]) -> Draw:
    hparams = {k: v for k, v in values.items() if not k.startswith("train.")}
    return Draw(hparams, {k.removeprefix("train."): v for k, v in values.items() if k.startswith("train.")})
