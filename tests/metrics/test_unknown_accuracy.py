from __future__ import annotations

import numpy as np
from sklearn.metrics import recall_score


def test_it_is_the_recall_of_unknown(metric, opened) -> None:
    y, _, answer, _ = opened
    np.testing.assert_allclose(metric.score(*opened), recall_score(y == 3, answer == 3), rtol=1e-12)


def test_without_unknown_rows_it_is_nan(metric, classes) -> None:
    assert np.isnan(metric.score(*classes))
