"""Confidence in pseudo-labels, against SciPy's Gaussians."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import log_softmax
from scipy.stats import multivariate_normal

from dalib.nn.confidence import joint_confidence, mixture_log_posterior


def reference(z: np.ndarray, gamma: np.ndarray, weight: np.ndarray) -> np.ndarray:
    scores = []
    for k in range(gamma.shape[1]):
        mean = np.average(z, axis=0, weights=gamma[:, k])
        away = z - mean
        spread = sum(w * np.outer(a, a) for w, a in zip(weight[:, k], away, strict=True)) / weight[:, k].sum()
        law = multivariate_normal(mean, spread + 1e-6 * np.eye(z.shape[1]))
        scores.append(np.log(gamma[:, k].sum()) + law.logpdf(z))
    return log_softmax(np.stack(scores, 1), axis=1)


def draw(n: int = 40, d: int = 3, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g), (2 * torch.randn(n, classes, generator=g)).softmax(1)


def test_the_posterior_is_that_of_gaussians_with_these_means_sizes_and_covariances() -> None:
    z, p = draw()
    w = torch.rand(p.shape, generator=torch.Generator().manual_seed(1))
    found = mixture_log_posterior(z, p, w)
    np.testing.assert_allclose(found, reference(z.double().numpy(), p.double().numpy(), w.double().numpy()), atol=1e-8)


def test_a_label_is_as_sure_as_the_mixture_and_the_model_say_together() -> None:
    z, p = draw()
    unit, probabilities = z.double().numpy(), p.double().numpy()
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    first = np.exp(reference(unit, probabilities, np.ones_like(probabilities)))
    log_gamma = reference(unit, first, first)
    best = np.sort(log_gamma, axis=1)
    gap = best[:, -1] - best[:, -2]
    labels = log_gamma.argmax(1)
    expected = gap / gap.max() * probabilities[np.arange(len(labels)), labels]
    found, confidence = joint_confidence(z, p)
    assert found.tolist() == labels.tolist()
    np.testing.assert_allclose(confidence, expected, atol=1e-5)
    assert float(confidence.min()) >= 0 and float(confidence.max()) <= 1


def test_fewer_rows_than_columns_and_a_class_that_nobody_has_give_finite_numbers() -> None:
    z, p = draw(6, 20, 4)
    p[:, 3] = 0
    labels, confidence = joint_confidence(z, p / p.sum(1, keepdim=True))
    assert bool(confidence.isfinite().all()) and 3 not in labels.tolist()
