"""Agreement with a teacher in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from dalib.nn.self_ensembling import confident_consistency, distance_from_balance
from tests.support.tensors import tensors


def test_only_rows_of_which_the_teacher_is_sure_count_for_consistency() -> None:
    rng = np.random.default_rng(1)
    p, q = (softmax(2 * rng.normal(size=(9, 4)), axis=1) for _ in range(2))
    sure = [i for i in range(9) if q[i].max() >= 0.6]
    assert 0 < len(sure) < 9
    expected = sum(((p[i] - q[i]) ** 2).sum() / 4 for i in sure) / 9
    assert float(confident_consistency(*tensors(p, q), 0.6)) == pytest.approx(expected, abs=1e-12)
    assert float(confident_consistency(*tensors(p, q), 0.0)) == pytest.approx(((p - q) ** 2).mean(), abs=1e-12)


def test_the_distance_from_balance_is_the_cross_entropy_with_equal_classes_and_least_there() -> None:
    p = softmax(np.random.default_rng(2).normal(size=(7, 4)), axis=1)
    m = p.mean(0)
    expected = -sum(np.log(v + 1e-6) / 4 + 3 / 4 * np.log(1 - v + 1e-6) for v in m)
    assert float(distance_from_balance(torch.from_numpy(p))) == pytest.approx(expected, abs=1e-12)
    assert float(distance_from_balance(torch.full((5, 4), 0.25).double())) < expected
