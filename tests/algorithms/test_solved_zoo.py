"""Solved methods on the shift each is built for, and the symmetries of their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

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


def moved() -> Data:
    """The target is moved by 8 out of the classes' plane and, in it, half of the way to the neighbouring classes."""
    (p_s, y_s), (p_t, y_t) = corners(0), corners(1)
    e = frame()
    return embed(p_s, e[:2], 2, 0.3), y_s, embed(p_t, e[:2], 3, 0.3) + 8 * e[2] + 2 * e[0] + e[1], y_t


def rotated(angle: float = 0.6) -> Data:
    """The classes turn in their plane: the domains' means stay, the classes' means move. Plus an offset out of it."""
    (p_s, y_s), (p_t, y_t) = corners(0), corners(1)
    c, s = np.cos(angle), np.sin(angle)
    e = frame()
    return embed(p_s, e[:2], 2, 0.3), y_s, embed(p_t @ np.array([[c, -s], [s, c]]), e[:2], 3, 0.3) + 2 * e[2], y_t


def fit(name: str, data: Data, **hparams: Any) -> dalib.AdaptationClassifier:
    x_s, y_s, x_t, _ = data
    cls = getattr(dalib, name)
    if "classifier" in cls.defaults():
        hparams.setdefault("classifier", "nearest")
    return dalib.AdaptationClassifier(cls(**hparams)).fit(x_s, y_s, x_t)


def score(name: str, data: Data, **hparams: Any) -> float:
    """Target accuracy with a 1-NN classifier on the rows as they are."""
    return float((fit(name, data, **hparams).predict(data[2]) == data[3]).mean())


def plain(data: Data) -> float:
    """Target accuracy of 1-NN without adaptation."""
    model = dalib.AdaptationClassifier(dalib.NearestNeighbour()).fit(data[0], data[1])
    return float((model.predict(data[2]) == data[3]).mean())


def embedding(model: dalib.AdaptationClassifier, x: np.ndarray) -> np.ndarray:
    """The rows' place in the space of the classifier, in float64."""
    with torch.no_grad():
        return model.fitted_.algorithm.predict(torch.as_tensor(x, dtype=torch.float32))[0].numpy()


@pytest.mark.parametrize(
    ("name", "data", "hparams"),
    [
        ("SubspaceAlignment", turned, {"components": 2}),
        ("GFK", turned, {"components": 2}),
        ("PCAMap", noisy, {"components": 2}),
        ("TCA", moved, {"components": 2}),
        ("TCA", moved, {"kernel": "linear"}),
        ("TCA", moved, {"kernel": "rbf"}),
        ("JDA", moved, {}),
        ("JDA", rotated, {"components": 2}),
        ("BDA", rotated, {"components": 2, "mu": 0.7}),
        ("TJM", moved, {}),
        ("EasyTL", moved, {}),
    ],
)
def test_a_solved_method_beats_its_classifier_on_the_shift_it_is_built_for(
    name: str, data: Any, hparams: dict[str, Any]
) -> None:
    before, after = plain(data()), score(name, data(), **hparams)
    assert after > before + 0.1, f"{name}: {after:.3f}, 1-NN: {before:.3f}"


SOLVED = ("SubspaceAlignment", "GFK", "PCAMap", "TCA", "JDA", "BDA", "TJM")


@pytest.mark.parametrize("name", SOLVED)
def test_rows_keep_their_place_when_the_training_rows_are_permuted(name: str) -> None:
    x_s, y_s, x_t, y_t = turned()
    rng = np.random.default_rng(5)
    i, j = rng.permutation(len(x_s)), rng.permutation(len(x_t))
    one, other = (fit(name, d, components=2) for d in ((x_s, y_s, x_t, y_t), (x_s[i], y_s[i], x_t[j], y_t[j])))
    z, again = embedding(one, x_t), embedding(other, x_t)
    np.testing.assert_allclose(again * np.sign((z * again).sum(0)), z, atol=1e-7)


@pytest.mark.parametrize("name", SOLVED)
def test_predictions_do_not_depend_on_the_coordinate_system(name: str) -> None:
    x_s, y_s, x_t, y_t = turned()
    Q = np.linalg.qr(np.random.default_rng(6).standard_normal((D, D)))[0]
    one, other = (fit(name, d, components=2) for d in (turned(), (x_s @ Q, y_s, x_t @ Q, y_t)))
    np.testing.assert_allclose(one.decision_function(x_t), other.decision_function(x_t @ Q), atol=1e-4)


@pytest.mark.parametrize(("name", "hparams"), [("JDA", {"iterations": 1}), ("BDA", {"mu": 0.0})])
def test_without_class_means_the_solution_is_tcas(name: str, hparams: dict[str, Any]) -> None:
    x_t = rotated()[2]
    got, expected = fit(name, rotated(), **hparams), fit("TCA", rotated())
    np.testing.assert_allclose(got.decision_function(x_t), expected.decision_function(x_t), atol=1e-6)


def test_half_a_balance_is_jda() -> None:
    x_t = rotated()[2]
    got, expected = fit("BDA", rotated(), mu=0.5), fit("JDA", rotated())
    np.testing.assert_allclose(got.decision_function(x_t), expected.decision_function(x_t), atol=1e-6)


def test_class_means_help_where_the_classes_move_and_the_domains_do_not() -> None:
    assert score("JDA", rotated(), components=2) > score("TCA", rotated(), components=2) + 0.03


def test_a_balance_above_one_is_refused() -> None:
    with pytest.raises(dalib.DalibError, match=r"bda.mu = 1.5 is out of range; give a number in \[0, 1\]"):
        fit("BDA", rotated(), mu=1.5)


def test_one_solution_of_tjm_is_tca_with_a_linear_kernel() -> None:
    x_t = moved()[2]
    got, expected = fit("TJM", moved(), iterations=1), fit("TCA", moved(), kernel="linear")
    np.testing.assert_allclose(got.decision_function(x_t), expected.decision_function(x_t), atol=1e-6)


def test_easy_transfer_gives_every_class_a_target_row() -> None:
    """Far fewer rows of class 3 than of the others, and those near class 2's mean: the mean alone would get none."""
    x_s, y_s, x_t, y_t = rotated(0.0)
    x_t = np.concatenate([x_t[y_t < 3], x_s[y_s == 2][:1] * 0.45 + x_s[y_s == 3][:1] * 0.55 - 0.3])
    model = fit("EasyTL", (x_s, y_s, x_t, y_t))
    assert set(model.predict(x_t)) == {0, 1, 2, 3}


def test_easy_transfer_never_predicts_a_class_without_source_rows() -> None:
    x_s, y_s, x_t, _ = moved()
    algorithm = dalib.EasyTL()
    algorithm.attach(dalib.Network.on_features(D, 4, bottleneck=0))

    class Rows:
        def embed(self, _: Any, domain: Any) -> torch.Tensor:
            return torch.as_tensor(domain.x)

    some, names = y_s != 1, tuple("abcd")
    algorithm.fit(Rows(), dalib.Domain("s", x_s[some], y_s[some], names, ""), dalib.Domain("t", x_t, None, names, ""))  # type: ignore[arg-type]
    logits = algorithm.predict(torch.as_tensor(x_t))[1]
    assert logits.shape == (N, 4)
    assert set(logits.argmax(1).tolist()) == {0, 2, 3}
