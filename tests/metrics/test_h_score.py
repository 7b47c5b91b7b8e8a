from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hmean
from sklearn.metrics import recall_score

from dalib.scoring.metrics import metrics_for


def test_it_is_the_harmonic_mean_of_both_recalls(metric, opened) -> None:
    y, _, answer, _ = opened
    recalls = recall_score(y, answer, labels=[0, 1, 2, 3], average=None)
    assert metric.score(*opened) == pytest.approx(hmean([recalls[:3].mean(), recalls[3]]), rel=1e-12)


def test_it_is_0_where_nothing_is_right(metric, opened) -> None:
    y, prediction, _, known = opened
    assert metric.score(y, prediction, (y + 1) % 4, known) == 0


def test_without_unknown_rows_it_is_nan(metric, classes) -> None:
    assert np.isnan(metric.score(*classes))


def test_it_is_measured_where_there_are_unknown_classes_only() -> None:
    assert "h_score" in metrics_for("classification") and "h_score" not in metrics_for("classification", unknown=False)
