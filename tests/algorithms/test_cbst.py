"""CBST: the term against a loop, the rising part, and nothing before its time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from dalib.checks.dense_world import attached, batches
from dalib.core.registry import ALGORITHMS

CBST = ALGORITHMS.get("cbst")


def expected(prediction: np.ndarray, part: float) -> float:
    p, log_p = softmax(prediction, axis=1), log_softmax(prediction, axis=1)
    confidence, called = p.max(1), p.argmax(1)
    thresholds = np.ones(p.shape[1])
    for c in range(p.shape[1]):
        of_c = np.sort(confidence[called == c])[::-1]
        count = int(part * len(of_c))
        thresholds[c] = of_c[count - 1] if count else 1.0
    ratio = p / thresholds[None, :, None, None]
    label, sure = ratio.argmax(1), ratio.max(1) >= 1
    each = -np.take_along_axis(log_p, label[:, None], 1)[:, 0]
    return float((each * sure).sum() / sure.size)


@pytest.mark.parametrize(("progress", "part"), [(0.4, 0.32), (1.0, 0.5)])
def test_the_term_is_the_cross_entropy_of_the_surest_pixels(progress, part):
    algorithm = attached(CBST, weight=2.0)
    source, target = batches(algorithm)
    found = float(algorithm.adapt(source, target, progress)["self_training"])
    assert found == pytest.approx(2 * expected(target.prediction.detach().double().numpy(), part), rel=2e-3)


def test_nothing_counts_before_it_starts():
    algorithm = attached(CBST, start=0.5)
    source, target = batches(algorithm)
    assert float(algorithm.adapt(source, target, 0.49)["self_training"]) == 0
    assert float(algorithm.adapt(source, target, 0.5)["self_training"]) > 0
