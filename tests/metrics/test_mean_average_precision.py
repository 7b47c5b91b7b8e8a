from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score


def test_it_is_that_of_scikit_learn(metric, several) -> None:
    y, prediction, _, _ = several
    assert metric.score(*several) == pytest.approx(average_precision_score(y, prediction, average="macro"), rel=1e-12)


def test_each_column_counts_its_annotated_rows_and_columns_without_a_1_do_not(metric, several, hide) -> None:
    y, prediction, answer, known = hide(several, 0.3)
    y[:, 0] = np.minimum(y[:, 0], 0)
    rows = [y[:, k] >= 0 for k in range(5)]
    kept = [average_precision_score(y[rows[k], k], prediction[rows[k], k]) for k in range(1, 5)]
    assert metric.score(y, prediction, answer, known) == pytest.approx(np.mean(kept), rel=1e-12)
    assert np.isnan(metric.score(np.minimum(y, 0), prediction, answer, known))
