"""A validator's contract: a float, higher for the better model, blind to target labels, never an exception."""

from __future__ import annotations

import math
import pickle
import random
from dataclasses import replace

import numpy as np
import torch

from dalib.checks.result import require
from dalib.core.types import Outputs
from dalib.core.validator import Validator

D, K = 8, 4


def make_outputs(quality: float, n: int = 60, seed: int = 0, shift: float = 0.0, labelled: bool = True) -> Outputs:
    """Features around class centres, logits that agree with the labels: quality 1 = clean and certain, 0 = noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    centres = 4 * np.eye(K, D)
    z = quality * centres[y] + (1.2 - quality) * rng.standard_normal((n, D)) + shift
    logits = 6 * quality * np.eye(K)[y] + 1.5 * (1 - quality) * rng.standard_normal((n, K))
    return Outputs(
        torch.tensor(z, dtype=torch.float32),
        torch.tensor(logits, dtype=torch.float32),
        torch.as_tensor(y) if labelled else None,
    )


def _pair(cls: type[Validator], quality: float, **more: float) -> tuple[Outputs, Outputs]:
    """Held-out source, and target (with labels for the oracle only)."""
    target = make_outputs(quality, n=56, seed=1, labelled=cls.uses_target_labels, shift=more.get("shift", 0.0))
    return make_outputs(quality), target


def check_score_is_a_number(cls: type[Validator]) -> None:
    score = cls().score(*_pair(cls, 0.8))
    require(type(score) is float, f"score returned {type(score).__name__}; return a Python float")
    require(math.isfinite(score), f"score is {score} on an ordinary model; nan only where it does not apply")


def check_higher_is_better(cls: type[Validator]) -> None:
    """A clean, aligned, certain model scores above one that guesses on shifted noise."""
    good, bad = cls().score(*_pair(cls, 1.0)), cls().score(*_pair(cls, 0.0, shift=2.0))
    require(
        good > bad, f"a good model scores {good:.4g} and a guessing one {bad:.4g}; higher must be better, flip the sign"
    )


def check_target_labels_are_unread(cls: type[Validator]) -> None:
    if cls.uses_target_labels:
        return
    source, target = _pair(cls, 0.8)
    labelled = replace(target, y=torch.randint(K, (len(target.z),), generator=torch.Generator().manual_seed(0)))
    try:
        blind = cls().score(source, target)
    except (TypeError, AttributeError) as error:
        require(False, f"score fails when target.y is None ({error}); do not read it, or set uses_target_labels = True")
    same = cls().score(source, labelled)
    require(blind == same, f"the score moves from {blind} to {same} with target labels; set uses_target_labels = True")


def check_score_is_deterministic_and_pure(cls: type[Validator]) -> None:
    source, target = _pair(cls, 0.6)
    kept = [t.clone() for t in (source.z, source.logits, target.z, target.logits)]
    states = torch.get_rng_state(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
    first, second = cls().score(source, target), cls().score(source, target)
    require(first == second, f"two calls give {first} and {second}; seed a generator of your own")
    now = torch.get_rng_state(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
    require(
        torch.equal(states[0], now[0]) and states[1:] == now[1:],
        "score draws from a global random generator; seed one of your own",
    )
    inputs = (source.z, source.logits, target.z, target.logits)
    require(
        all(torch.equal(a, b) for a, b in zip(kept, inputs, strict=True)), "score writes into its inputs; clone them"
    )


def check_degenerate_models_get_a_number(cls: type[Validator]) -> None:
    """Collapsed features, one predicted class, three rows, no held-out source rows: a float or nan, never an error."""
    source, target = _pair(cls, 0.8)

    def part(outputs: Outputs, n: int) -> Outputs:
        return Outputs(outputs.z[:n], outputs.logits[:n], None if outputs.y is None else outputs.y[:n])

    flat = replace(target, z=torch.ones_like(target.z), logits=torch.zeros_like(target.logits))
    one = replace(target, logits=torch.tensor([[1000.0, 0, 0, 0]]).repeat(len(target.z), 1))
    for what, pair in {
        "collapsed features": (source, flat),
        "a model that predicts one class": (source, one),
        "three target rows": (source, part(target, 3)),
        "no held-out source rows": (part(source, 0), target),
    }.items():
        try:
            score = cls().score(*pair)
        except Exception as error:
            require(
                False, f"score fails on {what} ({type(error).__name__}: {error}); return nan where it does not apply"
            )
        require(type(score) is float, f"score returned {type(score).__name__} on {what}; return a Python float")
        require(not math.isinf(score), f"score is {score} on {what}; clamp, or return nan where it does not apply")


VALIDATOR_CHECKS = (
    check_score_is_a_number,
    check_higher_is_better,
    check_target_labels_are_unread,
    check_score_is_deterministic_and_pure,
    check_degenerate_models_get_a_number,
)
