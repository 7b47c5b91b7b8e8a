"""The accuracy to expect on rows without labels, and how far off it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import NormalDist, median

from dalib.core.registry import FORECASTS
from dalib.core.types import Outputs

LEVEL = 0.9
WIDENING = 0.5
"""Part of the forecast fall below the source's accuracy by which the interval reaches beyond the forecasts."""
FEWEST = 10
"""Held-out rows, and rows to predict, below which nothing is said."""


@dataclass(frozen=True)
class ExpectedAccuracy:
    """What `expected_accuracy` says: parts in [0, 1].

    value: the median of the forecasts that count
    low, high: the interval
    forecasts: by name, every one that applies
    source: accuracy on the held-out source rows
    held_out, rows: how many rows it is from
    doubts: why the interval may be too narrow here
    """

    value: float
    low: float
    high: float
    forecasts: dict[str, float]
    source: float
    held_out: int
    rows: int
    doubts: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.0%} to {self.high:.0%})"


def expected_accuracy(
    source: Outputs, target: Outputs, second: Outputs | None = None, all_forecasts: bool = True
) -> ExpectedAccuracy | None:
    """The accuracy to expect, from what a model says of held-out source rows and of target rows.

    None where `cannot_expect` says why.

    value = median of the forecasts that count;  fall = max(0, acc_s - value)
    interval = [least - 1.64 se - fall / 2, greatest + 1.64 se + fall / 2],  se² = a_s (1 - a_s) / n_s + a (1 - a) / n_t

    The spread of the forecasts and the fall stand for what cannot be known without labels, se for chance; what it
    covers was measured (docs/expected-accuracy.md). a: accuracies with one right and one wrong row added.

    Args
        source: logits and labels of held-out source rows by this very model
        target: logits of the target's rows; its y is not looked at
        second: the target's rows by the same training with another seed, for `agreement`
        all_forecasts: those too that do not count
    """
    if source.y is None or cannot_expect(source, target):
        return None
    blind = Outputs(target.z, target.logits, None)
    told: dict[str, float] = {}
    for name in FORECASTS.names():
        forecast = FORECASTS.get(name)()
        if not (all_forecasts or forecast.counts):
            continue
        value = float(forecast.estimate(source, blind, second)) if second or not forecast.needs_second else math.nan
        if math.isfinite(value):
            told[name] = round(value, 6)
    counting = [value for name, value in told.items() if FORECASTS.get(name).counts]
    if not counting:
        return None
    n_s, n_t = len(source.y), len(target.logits)
    right = int((source.logits.argmax(1) == source.y).sum())
    middle, acc_s = median(counting), right / n_s
    smoothed = (right + 1) / (n_s + 2), (middle * n_t + 1) / (n_t + 2)
    chance = math.sqrt(sum(a * (1 - a) / n for a, n in zip(smoothed, (n_s, n_t), strict=True)))
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * chance + WIDENING * max(0.0, acc_s - middle)
    low, high = max(0.0, min(counting) - reach), min(1.0, max(counting) + reach)
    doubts = tuple(_doubts(source, blind, acc_s, middle))
    return ExpectedAccuracy(middle, low, high, told, acc_s, n_s, n_t, doubts)


def brief_expectation(source: Outputs, target: Outputs) -> tuple[float, float, float] | None:
    """(value, low, high) of `expected_accuracy`, as a record keeps them."""
    found = expected_accuracy(source, target, all_forecasts=False)
    return None if found is None else (round(found.value, 6), round(found.low, 6), round(found.high, 6))


def cannot_expect(source: Outputs, target: Outputs) -> str:
    """Why no accuracy can be expected: too few rows, or answers to so few classes that sureness means nothing."""
    n_s, n_t = 0 if source.y is None else len(source.y), len(target.logits)
    if source.y is None or n_s < FEWEST or n_t < FEWEST:
        return (
            f"{n_s} held-out source rows and {n_t} target rows are too few to expect an accuracy from; give {FEWEST} "
            "of each"
        )
    answered, known = len(target.logits.argmax(1).unique()), len(source.y.unique())
    if answered < known / 2 and n_t >= 3 * known:
        return (
            f"only {answered} of {known} classes are answered in {n_t} target rows, so how sure the model is says "
            "nothing of its accuracy there; look at its answers"
        )
    return ""


def _doubts(source: Outputs, target: Outputs, acc_s: float, value: float) -> list[str]:
    """Where this was seen to fail: what was trained to be sure on the target, and large falls."""
    said = []
    sure_s, sure_t = (float(o.p.amax(1).mean()) for o in (source, target))
    if sure_t > sure_s - 0.01:
        said.append("the model is as sure on the target as on the source; a method that makes it so cannot be told")
    if acc_s - value > 0.25:
        said.append(
            f"the forecast lies {100 * (acc_s - value):.0f} points below the source: further falls were underestimated"
        )
    return said
