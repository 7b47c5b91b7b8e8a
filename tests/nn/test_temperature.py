"""The temperature that suits labels, against SciPy's minimiser."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from dalib.nn.temperature import MOST, fit_temperature


@pytest.mark.parametrize("scale", [0.3, 1.0, 8.0])
def test_the_temperature_makes_smoothed_labels_likeliest(scale: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((200, 4))
    p = np.exp(log_softmax(2 * logits, axis=1))
    y = np.array([rng.choice(4, p=row) for row in p])

    def loss(log_t: float) -> float:
        log_p = log_softmax(scale * logits / np.exp(log_t), axis=1)
        eps = 1 / 202
        return -np.mean((1 - eps) * log_p[np.arange(200), y] + eps * log_p.mean(1))

    best = np.exp(minimize_scalar(loss, bounds=(-3.9, 3.9), method="bounded", options={"xatol": 1e-10}).x)
    found = fit_temperature(torch.from_numpy(scale * logits), torch.from_numpy(y))
    assert found == pytest.approx(best, rel=1e-4)


def test_rows_that_are_all_right_do_not_ask_for_certainty() -> None:
    y = torch.arange(30) % 3
    logits = 0.5 * torch.nn.functional.one_hot(y, 3).double()
    p = (logits / fit_temperature(logits, y)).softmax(1).amax(1).mean()
    assert 0.9 < float(p) < 0.99


def test_noise_gets_the_largest_temperature_and_no_rows_one() -> None:
    g = torch.Generator().manual_seed(0)
    logits, y = 50 * torch.randn(300, 3, generator=g), torch.randint(3, (300,), generator=g)
    assert fit_temperature(logits, y) == pytest.approx(MOST, rel=0.3)
    assert fit_temperature(logits[:0], y[:0]) == 1.0
