"""Weights from confusions, and calibration with a bias for each class, against NumPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from dalib.nn.label_shift import confusion_weights, deal_rows, fit_calibration


def test_weights_solve_the_equations_and_negative_ones_become_zero() -> None:
    C = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.05], [0.0, 0.05, 0.2]])
    rows = [(i, j) for i in range(3) for j in range(3) for _ in range(round(100 * C[i, j]))]
    said, y = torch.eye(3)[[i for i, _ in rows]], torch.tensor([j for _, j in rows])
    for mu in ([0.2, 0.3, 0.5], [0.9, 0.05, 0.05]):
        answers = torch.eye(3)[np.repeat(np.arange(3), np.rint(100 * np.array(mu)).astype(int))]
        expected = np.clip(np.linalg.inv(C) @ mu, 0, None)
        np.testing.assert_allclose(confusion_weights(said, y, answers), expected, atol=1e-6)


def test_without_an_inverse_the_weights_are_those_of_least_squares() -> None:
    said, y = torch.eye(3)[[0, 0, 1, 1]], torch.tensor([0, 2, 1, 1])  # class 2 is always called 0
    answers = torch.eye(3)[[0, 1, 1, 1]]
    C = np.array([[0.25, 0, 0.25], [0, 0.5, 0], [0, 0, 0]])
    np.testing.assert_allclose(confusion_weights(said, y, answers), np.linalg.pinv(C) @ [0.25, 0.75, 0], atol=1e-6)
    nothing = confusion_weights(said, y, torch.eye(3)[[2, 2]])
    assert torch.equal(nothing, torch.ones(3, dtype=torch.float64))


def _loss(theta: np.ndarray, x: np.ndarray, targets: np.ndarray) -> float:
    return float(-(targets * log_softmax(theta[0] * x + theta[1:], 1)).sum(1).mean())


def test_calibration_is_the_least_of_the_smoothed_loss_and_returns_the_labels_proportions() -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(3, 400, p=[0.2, 0.3, 0.5])
    x = 3 * (np.eye(3)[y] + 0.8 * rng.normal(size=(400, 3))) + np.array([2.0, 0, -1])
    targets = np.full((400, 3), 1 / 402 / 3)
    targets[np.arange(400), y] += 1 - 1 / 402
    free = minimize(_loss, np.array([1.0, 0, 0, 0]), args=(x, targets), method="Nelder-Mead",
                    options={"maxiter": 8000, "maxfev": 8000, "xatol": 1e-9, "fatol": 1e-14})  # fmt: skip
    s, b = fit_calibration(torch.from_numpy(x), torch.from_numpy(y), biased=True)
    expected = free.x[1:] - free.x[1:].mean()
    np.testing.assert_allclose([s, *b], [free.x[0], *expected], atol=1e-3)
    p = (s * torch.from_numpy(x) + b).softmax(1).mean(0)
    np.testing.assert_allclose(p, targets.mean(0), atol=1e-5)
    s_1, b_1 = fit_calibration(torch.from_numpy(x), torch.from_numpy(y), biased=False)
    grid = np.linspace(0.1, 3, 2901)
    best = grid[np.argmin([_loss(np.array([g, 0, 0, 0]), x, targets) for g in grid])]
    assert abs(s_1 - best) < 2e-3 and not b_1.any()


def test_rows_that_are_all_right_ask_for_no_infinity() -> None:
    y = torch.arange(40) % 2
    s, b = fit_calibration(10 * torch.eye(2)[y], y, biased=True)
    assert 0.02 <= s <= 50 and b.abs().max() < 1e-3


def test_rows_are_dealt_by_class_and_a_class_of_one_row_is_left_aside() -> None:
    y = torch.tensor([0, 1, 0, 2, 0, 1, 0])
    assert deal_rows(y, 3).tolist() == [0, 0, 1, -1, 2, 1, 0]


def test_biases_of_a_calibration_have_mean_zero() -> None:
    g = torch.Generator().manual_seed(0)
    y = torch.randint(3, (60,), generator=g)
    logits = torch.nn.functional.one_hot(y, 3) + torch.randn(60, 3, generator=g) + torch.tensor([2.0, 0.0, -1.0])
    _, b = fit_calibration(logits, y, biased=True)
    assert abs(float(b.mean())) < 1e-12 and float(b.abs().max()) > 0.3


def test_the_labels_of_few_rows_are_smoothed_as_platt_does() -> None:
    x, y = np.array([[2.0, 0], [0, 1.0], [1.5, 0], [0.2, 0], [0, 3.0]]), np.array([0, 1, 0, 1, 1])
    targets = np.full((5, 2), 1 / 7 / 2)
    targets[np.arange(5), y] += 1 - 1 / 7
    grid = np.linspace(0.1, 5, 49001)
    losses = [_loss(np.array([s, 0, 0]), x, targets) for s in grid[::50]]
    s, b = fit_calibration(torch.from_numpy(x), torch.from_numpy(y), biased=False)
    assert s == pytest.approx(grid[::50][int(np.argmin(losses))], abs=6e-3) and not b.any()
