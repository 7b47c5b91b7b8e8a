"""A measure's contract: a float, higher where the labels fit, blind to the order of rows and the numbers of classes."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dalib.checks.result import require
from dalib.checks.validator import make_outputs
from dalib.core.measure import Measure
from dalib.core.types import Outputs

TOLERANCE = 1e-6
"""Relative, for what may change by rounding only."""


def make_labelled(n: int = 64, quality: float = 0.8) -> Outputs:
    """Features around 4 class centres and logits of 6 pretrained classes, of which 4 follow the labels."""
    outputs = make_outputs(quality, n)
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    return replace(outputs, logits=torch.cat([outputs.logits, noise], 1))


def _labels(outputs: Outputs) -> Tensor:
    assert outputs.y is not None
    return outputs.y


def _take(outputs: Outputs, rows: Tensor) -> Outputs:
    return Outputs(outputs.z[rows], outputs.logits[rows], _labels(outputs)[rows])


def _shuffle(n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def check_score_is_a_number(cls: type[Measure]) -> None:
    score = cls().score(make_labelled())
    require(type(score) is float, f"score returned {type(score).__name__}; return a Python float")
    require(math.isfinite(score), f"score is {score} on ordinary features; nan only where it does not apply")


def check_labels_that_fit_score_higher(cls: type[Measure]) -> None:
    """Labels of separable features score above the same labels in every one of five random orders."""
    outputs = make_labelled()
    good = cls().score(outputs)
    for seed in range(5):
        bad = cls().score(replace(outputs, y=_labels(outputs)[_shuffle(len(outputs.z), seed)]))
        require(
            good > bad,
            f"labels that fit score {good:.4g} and random ones {bad:.4g}; higher must be better, flip the sign",
        )


def check_row_order_is_irrelevant(cls: type[Measure]) -> None:
    outputs = make_labelled()
    first, second = cls().score(outputs), cls().score(_take(outputs, _shuffle(len(outputs.z), 0)))
    require(_same(first, second), f"another order of the rows changes the score from {first:.8g} to {second:.8g}")


def check_class_numbers_are_irrelevant(cls: type[Measure]) -> None:
    """Classes may be called 7, 2, 11, 0."""
    outputs = make_labelled()
    other = replace(outputs, y=torch.tensor([7, 2, 11, 0])[_labels(outputs)])
    first, second = cls().score(outputs), cls().score(other)
    require(_same(first, second), f"other numbers for the classes change the score from {first:.8g} to {second:.8g}")


def check_degenerate_features_are_finite(cls: type[Measure]) -> None:
    """Constant, zero, huge, tiny or repeated features, certain or constant logits, more columns than rows."""
    for what, outputs in _degenerate(make_labelled()):
        score = cls().score(outputs)
        require(type(score) is float, f"score returned {type(score).__name__} with {what}; return a Python float")
        require(math.isfinite(score), f"score is {score} with {what}; clamp what it divides by or takes the log of")


def _degenerate(outputs: Outputs) -> Iterator[tuple[str, Outputs]]:
    z, logits, wide = outputs.z, outputs.logits, torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
    yield "constant features", replace(outputs, z=torch.ones_like(z), logits=torch.ones_like(logits))
    yield "zero features", replace(outputs, z=torch.zeros_like(z), logits=torch.zeros_like(logits))
    yield "huge features", replace(outputs, z=1e12 * z, logits=1e4 * logits)
    yield "tiny features", replace(outputs, z=1e-12 * z, logits=1e-12 * logits)
    yield "one informative feature", replace(outputs, z=torch.eye(1, 8) * z[:, :1])
    yield "rows that repeat", _take(outputs, torch.arange(64) % 4)
    yield "more features than rows", replace(outputs, z=torch.cat([z, wide], 1))
    yield "a class of one row", replace(outputs, y=torch.where(torch.arange(64) == 0, 9, _labels(outputs)))


def check_inapplicable_is_nan(cls: type[Measure]) -> None:
    """No rows, one row, one class, no labels, features that are not finite: nan (or a number), never an error."""
    outputs = make_labelled()
    for what, case in {
        "no rows": _take(outputs, torch.arange(0)),
        "one row": _take(outputs, torch.arange(1)),
        "one class": replace(outputs, y=torch.zeros_like(_labels(outputs))),
        "no labels": replace(outputs, y=None),
        "features that are nan": replace(outputs, z=outputs.z * math.nan, logits=outputs.logits * math.nan),
    }.items():
        try:
            score = cls().score(case)
        except Exception as error:
            require(False, f"score fails with {what} ({type(error).__name__}: {error}); return nan")
        require(type(score) is float, f"score returned {type(score).__name__} with {what}; return a Python float")
        require(not math.isinf(score), f"score is {score} with {what}; return nan where it does not apply")


def check_classifier_is_read_only_if_needed(cls: type[Measure]) -> None:
    outputs = make_labelled()
    score, bare = cls().score(outputs), cls().score(replace(outputs, logits=outputs.logits[:, :0]))
    if cls.needs_classifier:
        require(
            math.isnan(bare), f"score is {bare} without a classifier's logits; return nan, or needs_classifier = False"
        )
    else:
        require(score == bare, f"the score moves from {score} to {bare} without logits; set needs_classifier = True")


def check_score_is_deterministic_and_pure(cls: type[Measure]) -> None:
    outputs = make_labelled()
    kept = [outputs.z.clone(), outputs.logits.clone(), _labels(outputs).clone()]
    states = torch.get_rng_state(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
    first, second = cls().score(outputs), cls().score(outputs)
    require(first == second, f"two calls give {first} and {second}; seed a generator of your own")
    now = torch.get_rng_state(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
    require(
        torch.equal(states[0], now[0]) and states[1:] == now[1:],
        "score draws from a global random generator; seed one of your own",
    )
    inputs = (outputs.z, outputs.logits, _labels(outputs))
    require(all(map(torch.equal, kept, inputs)), "score writes into its inputs; clone them")


MEASURE_CHECKS = (
    check_score_is_a_number,
    check_labels_that_fit_score_higher,
    check_row_order_is_irrelevant,
    check_class_numbers_are_irrelevant,
    check_degenerate_features_are_finite,
    check_inapplicable_is_nan,
    check_classifier_is_read_only_if_needed,
    check_score_is_deterministic_and_pure,
)
