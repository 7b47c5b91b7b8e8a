"""Covariate shift: a classifier too simple for the source is fitted where the target lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import dalib

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def curve(seed: int, shift: float, n: int = 150, d: int = 4) -> Data:
    """A parabola divides the classes in both domains; the target lies on its right arm, which is nearly straight.

    Without a shift both domains are standard Gaussians.
    """
    rng = np.random.default_rng(seed)
    x_s, x_t = rng.standard_normal((n, d)), rng.standard_normal((n, d))
    if shift:
        x_t[:, 0] = 0.6 * x_t[:, 0] + shift

    def label(x: np.ndarray) -> np.ndarray:
        return (x[:, 1] > 0.5 * x[:, 0] ** 2 - 0.5 + 0.2 * rng.standard_normal(len(x))).astype(int)

    return x_s, label(x_s), x_t, label(x_t)


def fit(name: str, data: Data, **hparams: Any) -> dalib.AdaptationClassifier:
    return dalib.AdaptationClassifier(getattr(dalib, name)(**hparams)).fit(*data[:3])


def mean_accuracy(name: str, shift: float, **hparams: Any) -> float:
    draws = [curve(seed, shift) for seed in range(3)]
    return float(np.mean([(fit(name, d, **hparams).predict(d[2]) == d[3]).mean() for d in draws]))


def unweighted(shift: float) -> float:
    draws = [curve(seed, shift) for seed in range(3)]
    return float(np.mean([(LogisticRegression().fit(d[0], d[1]).predict(d[2]) == d[3]).mean() for d in draws]))


def check_the_weighted_classifier_beats_the_unweighted_one(name: str, classifier: str) -> None:
    before, after = unweighted(1.5), mean_accuracy(name, 1.5, classifier=classifier)
    assert after > before + 0.1, f"{name}: {after:.3f}, unweighted: {before:.3f}"


def check_weights_do_little_harm_where_the_domains_are_equal(name: str) -> None:
    assert mean_accuracy(name, 0.0) > unweighted(0.0) - 0.02


def check_the_classifier_is_the_one_of_the_weights(name: str) -> None:
    x_s, y_s, x_t, _ = data = curve(0, 1.5)
    z_s, z_t = torch.tensor(x_s).float().double(), torch.tensor(x_t).float().double()
    w = getattr(dalib, name)().weigh(z_s, torch.tensor(y_s), z_t).numpy()
    reference = LogisticRegression(tol=1e-8, max_iter=5000).fit(z_s, y_s, sample_weight=w / w.mean())
    got = fit(name, data).decision_function(x_t)
    np.testing.assert_allclose(got, reference.decision_function(z_t), atol=2e-3)


def check_the_order_of_rows_does_not_matter(name: str) -> None:
    x_s, y_s, x_t, y_t = curve(1, 1.5)
    rng = np.random.default_rng(0)
    i, j = rng.permutation(len(x_s)), rng.permutation(len(x_t))
    one, other = fit(name, (x_s, y_s, x_t, y_t)), fit(name, (x_s[i], y_s[i], x_t[j], y_t[j]))
    np.testing.assert_allclose(other.decision_function(x_t), one.decision_function(x_t), atol=1e-3)


def check_weights_follow_the_target(name: str) -> None:
    x_s, y_s, x_t, _ = curve(2, 1.5)
    w = getattr(dalib, name)().weigh(torch.tensor(x_s), torch.tensor(y_s), torch.tensor(x_t)).numpy()
    assert np.average(x_s[:, 0], weights=w) > x_s[:, 0].mean() + 0.5


def check_nearest_neighbours_are_refused(name: str) -> None:
    with pytest.raises(
        dalib.DalibError, match=r"classifier = 'nearest' takes no row weights.* use 'logistic' or 'svm'"
    ):
        fit(name, curve(0, 1.5), classifier="nearest")


def check_a_domain_of_one_row_is_refused(name: str) -> None:
    z, y = torch.randn(1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.zeros(1).long()
    with pytest.raises(dalib.DalibError, match="no density ratio can be estimated at 1 source rows"):
        getattr(dalib, name)().weigh(z, y, z)
