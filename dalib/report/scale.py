"""A metric as tables see it: in which unit its numbers are shown, and which of two is the better one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dalib.core.errors import DalibError, suggest
from dalib.core.registry import METRICS
from dalib.report.statistics.scores import NOTHING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Scale:
    """metric: `target_accuracy`; unit, higher_is_better: as `dalib.core.metric.Metric` has them."""

    metric: str = "target_accuracy"
    unit: str = "%"
    higher_is_better: bool = True

    @property
    def sign(self) -> int:
        """What a number is multiplied by so that higher is better."""
        return 1 if self.higher_is_better else -1

    @property
    def factor(self) -> int:
        """What a number is multiplied by where it is shown."""
        return 100 if self.unit == "%" else 1

    @property
    def name(self) -> str:
        """`Target accuracy in %`, `Target rmse, lower is better`."""
        words = self.metric.replace("_", " ").capitalize() + (f" in {self.unit}" if self.unit else "")
        return words if self.higher_is_better else f"{words}, lower is better"

    @property
    def heading(self) -> str:
        """`Accuracy`: the metric without its side."""
        return self.metric.partition("_")[2].replace("_", " ").capitalize()

    @property
    def steps(self) -> str:
        """What differences are counted in."""
        return "points" if self.unit == "%" else self.unit or "its own unit"

    def show(self, value: float, like: float = math.nan) -> str:
        """0.7123 -> `71.2` in %, `0.712` otherwise; `like`: with as many decimals as that number."""
        if self.unit == "%":
            return f"{100 * value:.1f}"
        return _three_digits(value, value if math.isnan(like) else like).replace("-", "−")

    def show_difference(self, value: float) -> str:
        """0.031 -> `+3.1` in %, `+0.0310` otherwise."""
        if self.unit == "%":
            return f"{round(100 * value, 1) + 0.0:+.1f}".replace("-", "−")
        return ("+" if value >= 0 else "") + self.show(value)

    def best(self, values: Iterable[float]) -> float:
        """The best of numbers, nan left out; nan where there is none."""
        known = [value for value in values if not math.isnan(value)]
        return (max if self.higher_is_better else min)(known, default=math.nan)

    def is_worse(self, difference: float) -> bool:
        """Whether a difference to something is to its disadvantage; one within 1e-10 is none."""
        return self.sign * difference < -NOTHING


def scale_of(metric: str) -> Scale:
    """The scale of `<side>_<metric>`, as records name it.

    Raises
        DalibError: no such metric is registered, so its unit and direction are unknown
    """
    name = metric.partition("_")[2]
    if name not in METRICS:
        raise DalibError(
            f"no metric named '{name}' is loaded{suggest(name, METRICS.names())}, so the unit and direction of "
            f"'{metric}' are unknown; add --plugin FILE.py (dalib.load_plugin) with the file that defines it"
        )
    cls = METRICS.get(name)
    return Scale(metric, cls.unit, cls.higher_is_better)


def round_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Floats to 6 decimals, and to 6 digits below 1e-4: a metric may be in a large unit. Within 1e-10 of 0 is 0."""
    told = frame.round(6)
    for name in frame.select_dtypes("float"):
        small = frame[name].abs().between(NOTHING, 1e-4, inclusive="neither")
        told.loc[small, name] = [float(f"{value:.6g}") for value in frame.loc[small, name]]
    return told


def _three_digits(value: float, like: float) -> str:
    """As many decimals as give `like` three significant digits."""
    size = abs(like)
    if 0 < size < 1e-4:
        return f"{value:.2e}"
    decimals = int(np.clip(2 - math.floor(math.log10(size)), 0, 6)) if size else 2
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
