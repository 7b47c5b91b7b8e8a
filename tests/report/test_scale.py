"""How a number of a metric is shown, and which of two is better."""

from __future__ import annotations

import math
import subprocess
import sys

import pandas as pd
import pytest

from dalib.core.errors import DalibError
from dalib.core.metric import Metric
from dalib.core.registry import METRICS
from dalib.report.scale import Scale, round_numbers, scale_of


def test_it_is_that_of_the_metric_whatever_the_side() -> None:
    assert scale_of("target_macro_f1") == Scale("target_macro_f1", "%", True)
    assert scale_of("source_rmse") == Scale("source_rmse", "", False)


def test_a_metric_of_a_plug_in_that_is_not_loaded_is_refused_with_the_remedy(monkeypatch) -> None:
    with pytest.raises(DalibError, match=r"no metric named 'acuracy' is loaded; did you mean 'accuracy'.*--plugin"):
        scale_of("target_acuracy")
    shift = type("Shift", (Metric,), {"unit": "px", "higher_is_better": False})
    monkeypatch.setattr(METRICS, "_extra", {"shift": shift})
    assert scale_of("target_shift").name == "Target shift in px, lower is better"


@pytest.mark.parametrize(
    ("value", "like", "text"),
    [
        (0.71234, math.nan, "0.712"), (12.345, math.nan, "12.3"), (1234.5, math.nan, "1234"), (0.0, math.nan, "0.00"),
        (-0.5, math.nan, "−0.500"), (0.0412, 12.3, "0.0"), (3.2e-6, math.nan, "3.20e−06"),
        (0.00123, math.nan, "0.00123"),
    ],
)  # fmt: skip
def test_plain_numbers_have_three_digits(value: float, like: float, text: str) -> None:
    assert Scale("target_rmse", "", False).show(value, like) == text


def test_parts_are_in_percent_with_one_decimal() -> None:
    scale = Scale()
    assert [scale.show(0.71249), scale.show(0.004, like=0.7)] == ["71.2", "0.4"]
    assert [scale.show_difference(v) for v in (0.031, -0.0004, -0.025)] == ["+3.1", "+0.0", "−2.5"]
    assert scale.name == "Target accuracy in %" and scale.heading == "Accuracy"


def test_the_best_and_the_worse_follow_the_direction() -> None:
    up, down = Scale(), Scale("target_rmse", "", False)
    assert (up.best([1, math.nan, 2]), down.best([1, math.nan, 2])) == (2, 1)
    assert math.isnan(up.best([math.nan]))
    assert (up.is_worse(-1), down.is_worse(-1), up.is_worse(0)) == (True, False, False)


def test_asking_every_metric_for_its_scale_loads_no_torch() -> None:
    code = (
        "import sys; from dalib.core.registry import METRICS; from dalib.report.scale import scale_of; "
        "[scale_of('target_' + name) for name in METRICS.names()]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_numbers_behind_a_report_keep_their_digits_in_a_large_unit() -> None:
    """An error of 12.3 micrometres in metres had been 0.000012."""
    frame = pd.DataFrame(
        {"label": ["a", "b"], "value": [1.2345678e-5, 0.12345678], "n": [3, 4], "gain": [1e-17, math.nan]}
    )
    told = round_numbers(frame)
    assert told["value"].tolist() == [1.23457e-5, 0.123457] and told["n"].tolist() == [3, 4]
    assert told.loc[0, "gain"] == 0 and math.isnan(told.loc[1, "gain"]) and told["label"].tolist() == ["a", "b"]
    assert told.dtypes.equals(frame.dtypes)
