from __future__ import annotations

import numpy as np
from sklearn.metrics import recall_score


def test_it_is_the_mean_recall_of_known_classes(metric, opened) -> None:
    y, _, answer, _ = opened
    reference = recall_score(y, answer, labels=[0, 1, 2], average="macro")
    np.testing.assert_allclose(metric.score(*opened), reference, rtol=1e-12)
