"""Constructors store and do nothing else; hyper-parameters survive JSON; wrong ones are refused."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import torch

from dalib.checks import dense_world, world
from dalib.checks.result import require
from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.registry import OBJECTIVES


def _attach(cls: type[Algorithm], **hparams: Any) -> Algorithm:
    """In the world that the algorithm lives in."""
    return (dense_world if dense_world.is_dense(cls) else world).attached(cls, **hparams)


def check_docstring(cls: type[Algorithm]) -> None:
    """A formula, every hyper-parameter under Args, a Reference, and a one-line module docstring."""
    doc = inspect.cleandoc(cls.__doc__ or "")
    module = inspect.getmodule(cls)
    require(module and (module.__doc__ or "").strip(), "the file has no docstring; its first line is the catalogue row")
    require(doc and cls.__doc__ != Algorithm.__doc__, f"{cls.__name__} has no docstring; say what it does")
    formula = doc.partition("\nArgs")[0]
    require("=" in formula or "->" in formula, f"{cls.__name__}: no formula before Args; add a line such as loss = …")
    require(
        "Reference" in doc or not (cls.uses_target or cls.paper),
        f"{cls.__name__}: no Reference section; cite the paper and where the file departs from it",
    )
    inherited = "\n".join(inspect.cleandoc(c.__doc__ or "") for c in cls.__mro__ if issubclass(c, Algorithm))
    for name in cls.defaults():
        told = any(
            name in line.partition(":")[0].replace(",", " ").split() for line in inherited.splitlines() if ":" in line
        )
        require(told, f"{cls.__name__}: hyper-parameter '{name}' is not under Args; add '{name}: meaning, unit, range'")


def check_defaults_are_usable(cls: type[Algorithm]) -> None:
    for name, value in cls.defaults().items():
        require(value is not inspect.Parameter.empty, f"hyper-parameter '{name}' has no default; give one")
        require(
            not isinstance(value, (list, dict, set)),
            f"the default of '{name}' is a mutable {type(value).__name__}, shared by all instances; use a tuple",
        )
    _attach(cls)


def check_constructor_only_stores(cls: type[Algorithm]) -> None:
    """Verbatim: the attribute is the very object that was given; no modules, parameters or random numbers yet."""
    before = torch.get_rng_state()
    for given in (cls.defaults(), {k: _other(v) for k, v in cls.defaults().items()}):
        made = cls(**given)
        for name, value in given.items():
            require(hasattr(made, name), f"the constructor does not store '{name}'; write self.{name} = {name}")
            kept = getattr(made, name)
            require(
                kept is value,
                f"the constructor changes '{name}': {value!r} became {kept!r}; store it verbatim, convert in build",
            )
        parts = [n for n, _ in [*made.named_children(), *made.named_parameters(), *made.named_buffers()]]
        require(not parts, f"the constructor makes '{(parts or [''])[0]}'; make modules and buffers in build")
        extra = sorted(set(vars(made)) - set(vars(torch.nn.Module())) - set(given))
        require(
            not extra, f"the constructor makes the attribute '{(extra or [''])[0]}'; it only stores hyper-parameters"
        )
    require(torch.equal(before, torch.get_rng_state()), "the constructor draws random numbers; do so in build")


def check_hyperparameters_survive_json(cls: type[Algorithm]) -> None:
    made = cls()
    text = json.dumps(made.hparams)
    again = cls.create(cls.__name__, json.loads(text))
    require(
        json.dumps(again.hparams) == text, f"hyper-parameters change through JSON: {text}; use numbers, text, lists"
    )


def check_wrong_hyperparameters_are_refused(cls: type[Algorithm]) -> None:
    wrong: list[dict[str, Any]] = [{"no_such_hyper_parameter": 1}]
    wrong += [{k: "text"} for k, v in cls.defaults().items() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    for hparams in wrong:
        try:
            cls.create(cls.__name__, hparams)
        except DalibError:
            continue
        require(False, f"create accepts {hparams}; do not override create")
    for name, value in cls.defaults().items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            _refuse_or_accept(cls, name, -1)
            _refuse_or_accept(cls, name, math.nan if isinstance(value, float) else 0)


def _refuse_or_accept(cls: type[Algorithm], name: str, value: float) -> None:
    try:
        _attach(cls, **{name: value})
    except DalibError:
        return
    except Exception as error:
        require(False, f"{name} = {value} raises {type(error).__name__} ({error}); raise DalibError in check")


def check_search_space(cls: type[Algorithm]) -> None:
    for name, values in cls.space.items():
        require(name in cls.defaults(), f"space names '{name}', which is no hyper-parameter")
        require(values, f"space['{name}'] is empty; list candidate values or leave it out")
        for value in values:
            cls.create(cls.__name__, {name: value}).check()


def check_class_variables(cls: type[Algorithm]) -> None:
    require(isinstance(cls.version, int) and cls.version >= 1, f"version = {cls.version!r}; use an integer >= 1")
    require(isinstance(cls.family, str) and cls.family, "family is empty; name the heading in the catalogue")
    require(isinstance(cls.paper, str), f"paper = {cls.paper!r}; use a BibTeX key or an empty string")
    known = set(OBJECTIVES.names()) | {"any"}
    for name in cls.objectives:
        require(name in known, f"objectives names '{name}'; use some of {', '.join(sorted(known))}")
    does = any(getattr(cls, name) is not getattr(Algorithm, name) for name in ("adapt", "loss", "step", "fit"))
    require(
        does or not cls.uses_target,
        f"{cls.__name__} does nothing with the target; write adapt(source, target, progress) -> named terms, or set "
        "uses_target = False",
    )


def _other(value: Any) -> Any:
    """A different object of the same type, for storing only."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value * 3 + type(value)(1000)
    if isinstance(value, str):
        return f"{value}_other"
    return type(value)([*value, 1]) if isinstance(value, (tuple, list)) else value


HYPERPARAMETER_CHECKS = (
    check_docstring,
    check_class_variables,
    check_defaults_are_usable,
    check_constructor_only_stores,
    check_hyperparameters_survive_json,
    check_wrong_hyperparameters_are_refused,
    check_search_space,
)
