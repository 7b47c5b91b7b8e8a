"""Forecasts of accuracy, each against its formula in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from dalib.core.registry import FORECASTS
from dalib.core.types import Outputs
from dalib.nn.temperature import fit_temperature


def draw(n: int, sharp: float, seed: int) -> Outputs:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    logits = sharp * np.eye(4)[y] + rng.standard_normal((n, 4))
    return Outputs(torch.zeros(n, 0), torch.tensor(logits, dtype=torch.float32), torch.from_numpy(y))


SOURCE, TARGET, OTHER = draw(80, 2.5, 0), draw(200, 1.5, 1), draw(200, 1.5, 2)
T = fit_temperature(SOURCE.logits, SOURCE.y)
S, Q = (np.max(softmax(o.logits.numpy().astype(float) / T, axis=1), axis=1) for o in (SOURCE, TARGET))
RIGHT = (SOURCE.logits.argmax(1) == SOURCE.y).numpy()


def told(name: str, *more: Outputs) -> float:
    return float(FORECASTS.get(name)().estimate(SOURCE, Outputs(TARGET.z, TARGET.logits, None), *more))


def test_the_average_confidence() -> None:
    assert told("average_confidence") == pytest.approx(Q.mean(), abs=1e-6)


def test_the_difference_of_confidences() -> None:
    assert told("difference_of_confidences") == pytest.approx(RIGHT.mean() - S.mean() + Q.mean(), abs=1e-6)


def test_the_threshold_lets_as_many_source_rows_pass_as_are_right() -> None:
    for t in np.sort(S):
        if (t <= S).mean() <= RIGHT.mean() + 1e-9:
            break
    assert (t <= S).mean() == pytest.approx(RIGHT.mean())
    assert told("atc") == pytest.approx((t <= Q).mean(), abs=1e-6)


def test_the_agreement_of_two_seeds_needs_the_second() -> None:
    same = (TARGET.logits.argmax(1) == OTHER.logits.argmax(1)).double().mean()
    assert told("agreement", OTHER) == pytest.approx(float(same))
    assert np.isnan(told("agreement"))


def test_importance_weights_are_odds_of_a_domain_classifier_on_the_answers() -> None:
    """Against odds of scikit-learn's classifier of the rows it was fitted on, which differ little with two columns."""
    value = told("importance_weighted")
    answers = [log_softmax(o.logits.numpy().astype(float), axis=1) for o in (SOURCE, TARGET)]
    x, d = np.concatenate(answers), np.repeat([0, 1], [80, 200])
    x = (x - x.mean(0)) / np.sqrt(np.square(x - x.mean(0)).sum(1).mean())
    odds = np.exp(LogisticRegression(C=1.0).fit(x, d).decision_function(x[:80]))
    assert value == pytest.approx((odds * RIGHT).sum() / odds.sum(), abs=0.03)
    assert value < RIGHT.mean()


def test_the_nuclear_norm_is_read_on_a_line_through_samples_of_source_rows() -> None:
    p_s, p_t = (softmax(o.logits.numpy().astype(float) / T, axis=1) for o in (SOURCE, TARGET))

    def norm(p: np.ndarray) -> float:
        return float(np.linalg.norm(p, "nuc") / np.sqrt(min(p.shape) * len(p)))

    rng, x, y = np.random.default_rng(0), [], []
    for part in np.linspace(0, 1, 11):
        for _ in range(400):
            k = round(80 * part)
            rows = np.r_[rng.choice(np.flatnonzero(RIGHT), k), rng.choice(np.flatnonzero(~RIGHT), 80 - k)]
            x.append(norm(p_s[rows]))
            y.append(k / 80)
    slope, start = np.polyfit(x, y, 1)
    assert told("nuclear_norm") == pytest.approx(start + slope * norm(p_t), abs=0.05)
