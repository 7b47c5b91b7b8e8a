from __future__ import annotations

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_auc_score


def test_it_is_the_area_by_the_probability_of_unknown_or_by_doubt(metric, opened) -> None:
    y, prediction, _, _ = opened
    p = softmax(prediction, axis=1)
    doubt = p[:, 3] if p.shape[1] == 4 else 1 - p.max(1)
    assert metric.score(*opened) == roc_auc_score(y == 3, doubt)


def test_without_unknown_rows_it_is_nan(metric, classes) -> None:
    assert np.isnan(metric.score(*classes))
