from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy


def test_it_is_the_exponential_of_the_entropy(metric, classes) -> None:
    _, _, answer, _ = classes
    assert metric.score(*classes) == pytest.approx(np.exp(entropy(np.bincount(answer))) / 7, rel=1e-12)


@pytest.mark.parametrize(
    ("answer", "effective"),
    [([0, 1, 2, 3], 1.0), ([2, 2, 2, 2], 0.25), ([0, 0, 1, 1], 0.5), ([0] * 9 + [1], 0.346)],
)
def test_it_is_1_when_all_are_answered_equally_often_and_1_over_K_when_one_takes_all(metric, answer, effective) -> None:
    given = np.array(answer)
    assert metric.score(np.zeros_like(given), np.zeros((len(given), 4)), given, 4) == pytest.approx(effective, abs=5e-4)
