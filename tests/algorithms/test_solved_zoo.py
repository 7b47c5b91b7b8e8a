"""Solved methods on the shift each is built for, and the symmetries of their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dalib

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
N, D = 120, 40


def corners(seed: int, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Four classes at the corners of a square of side 4 in a plane, noise 0.5."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    return np.stack([y % 2, y // 2], 1) * 4 - 2 + 0.5 * rng.standard_normal((n, 2)), y


def embed(plane: np.ndarray, axes: np.ndarray, seed: int, noise: float) -> np.ndarray:
    """Rows of a plane laid along `axes` (2, D), with noise in every dimension."""
    return plane @ axes + noise * np.random.default_rng(seed).standard_normal((len(plane), D))


def frame(seed: int = 9) -> np.ndarray:
    """Four orthonormal rows (4, D)."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((D, 4)))[0].T


def turned(angle: float = 1.2) -> Data:
    """The classes' plane is turned out of itself (uneven axes, so that principal axes correspond) and moved."""
    (p_s, y_s), (p_t, y_t) = corners(0), corners(1)
    e, stretch = frame(), np.array([1.5, 1.0])
    axes_t = np.cos(angle) * e[:2] + np.sin(angle) * e[2:]
    return embed(p_s * stretch, e[:2], 2, 0.3), y_s, embed(p_t * stretch, axes_t, 3, 0.3) + 3 * e[3], y_t


def noisy() -> Data:
    """The target is the source with so much noise in all dimensions that distances mean little outside the plane."""
    (p_s, y_s), (p_t, y_t) = corners(0), corners(1)
    return embed(p_s, frame()[:2], 2, 1.5), y_s, embed(p_t, frame()[:2], 3, 1.5), y_t


def score(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy with a 1-NN classifier on the rows as they are."""
    x_s, y_s, x_t, y_t = data
    if name != "NearestNeighbour":
        hparams.setdefault("classifier", "nearest")
    model = dalib.AdaptationClassifier(getattr(dalib, name)(**hparams), standardise=False, random_state=0)
    return float((model.fit(x_s, y_s, x_t).predict(x_t) == y_t).mean())


@pytest.mark.parametrize(
    ("name", "data", "hparams"),
    [
        ("SubspaceAlignment", turned, {"components": 2}),
        ("GFK", turned, {"components": 2}),
        ("PCAMap", noisy, {"components": 2}),
    ],
)
def test_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for(
    name: str, data: Any, hparams: dict[str, Any]
) -> None:
    before, after = score("NearestNeighbour", data()), score(name, data(), **hparams)
    assert after > before + 0.1, f"{name}: {after:.3f}, 1-NN: {before:.3f}"
