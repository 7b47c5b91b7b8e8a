"""A forecast's contract: a part in [0, 1] or nan, blind to target labels, the same every time, never an exception."""

from __future__ import annotations

import math
import pickle
import random
from dataclasses import replace

import numpy as np
import torch

from dalib.checks.result import require
from dalib.checks.validator import K, make_outputs
from dalib.core.forecast import Forecast
from dalib.core.types import Outputs


def _told(cls: type[Forecast], quality: float, n: int = 56) -> tuple[Outputs, Outputs, Outputs | None]:
    """Held-out source rows, target rows, and where it is wanted another model's answers to the latter."""
    second = make_outputs(quality, n=n, seed=2, labelled=False) if cls.needs_second else None
    return make_outputs(0.3), make_outputs(quality, n=n, seed=1, labelled=False), second


def check_estimate_is_a_part(cls: type[Forecast]) -> None:
    value = cls().estimate(*_told(cls, 0.7))
    require(type(value) is float, f"estimate returned {type(value).__name__}; return a Python float")
    require(0 <= value <= 1, f"estimate is {value} on an ordinary model; give a part in [0, 1]")


def check_worse_answers_are_expected_to_be_worse(cls: type[Forecast]) -> None:
    """Of a clean and certain target no less is expected than of noise."""
    good, bad = cls().estimate(*_told(cls, 1.0)), cls().estimate(*_told(cls, 0.0))
    require(good >= bad, f"a clean target is expected at {good:.3g} and noise at {bad:.3g}; estimate the accuracy")


def check_target_labels_are_unread(cls: type[Forecast]) -> None:
    source, target, second = _told(cls, 0.7)
    labelled = replace(target, y=torch.randint(K, (len(target.z),), generator=torch.Generator().manual_seed(0)))
    try:
        blind = cls().estimate(source, target, second)
    except (TypeError, AttributeError) as error:
        require(False, f"estimate fails when target.y is None ({error}); do not read it")
    same = cls().estimate(source, labelled, second)
    require(blind == same, f"the estimate moves from {blind} to {same} with target labels; do not read them")


def check_estimate_is_deterministic_and_pure(cls: type[Forecast]) -> None:
    told = _told(cls, 0.6)
    kept = [o.logits.clone() for o in told if o is not None]
    states = torch.get_rng_state(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
    first, second = cls().estimate(*told), cls().estimate(*told)
    require(first == second, f"two calls give {first} and {second}; seed a generator of your own")
    now = torch.get_rng_state(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
    require(
        torch.equal(states[0], now[0]) and states[1:] == now[1:],
        "estimate draws from a global random generator; seed one of your own",
    )
    after = [o.logits for o in told if o is not None]
    require(all(torch.equal(a, b) for a, b in zip(kept, after, strict=True)), "estimate writes into its inputs")


def check_degenerate_models_get_a_number(cls: type[Forecast]) -> None:
    """All right, all wrong, one answer, three rows, no held-out rows, no second model: a part or nan, no error."""
    source, target, second = _told(cls, 0.7)
    assert source.y is not None
    right, wrong = (replace(source, y=(source.logits.argmax(1) + k) % K) for k in (0, 1))
    one = replace(target, logits=torch.tensor([[1000.0, 0, 0, 0]]).repeat(len(target.z), 1))
    nobody = Outputs(source.z[:0], source.logits[:0], source.y[:0])
    for what, given in {
        "held-out rows that are all right": (right, target, second),
        "held-out rows that are all wrong": (wrong, target, second),
        "one answer to all target rows": (source, one, second),
        "three target rows": (source, *_told(cls, 0.7, n=3)[1:]),
        "no held-out source rows": (nobody, target, second),
        "no second model": (source, target, None),
    }.items():
        try:
            value = cls().estimate(*given)
        except Exception as error:
            require(
                False, f"estimate fails on {what} ({type(error).__name__}: {error}); return nan where it does not apply"
            )
        require(type(value) is float, f"estimate returned {type(value).__name__} on {what}; return a Python float")
        require(math.isnan(value) or 0 <= value <= 1, f"estimate is {value} on {what}; give a part in [0, 1], or nan")


FORECAST_CHECKS = (
    check_estimate_is_a_part,
    check_worse_answers_are_expected_to_be_worse,
    check_target_labels_are_unread,
    check_estimate_is_deterministic_and_pure,
    check_degenerate_models_get_a_number,
)
