"""LDA and k nearest neighbours against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier

import dalib
from dalib.checks.world import fit
from dalib.core.errors import DalibError
from dalib.nn.classifiers import fit_classifier, score_classifier
from dalib.records.spec import DataSpec, RunSpec


def rows(n: int, d: int, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.sort(rng.integers(classes, size=n))
    mix = np.random.default_rng(9).standard_normal((d, d))
    return rng.standard_normal((n, d)) @ mix + 2 * y[:, None] + 5, y


def solve(kind: str, z: np.ndarray, y: np.ndarray, x: np.ndarray, classes: int = 3, k: int = 5) -> np.ndarray:
    state = fit_classifier(kind, torch.from_numpy(z), torch.from_numpy(y), 1.0, classes, k=k)
    return score_classifier(kind, torch.from_numpy(x), state, classes).numpy()


@pytest.mark.parametrize(("n", "d"), [(90, 6), (20, 40)])
def test_lda_is_scikit_learns_at_ledoit_and_wolfs_factor(n: int, d: int) -> None:
    """At a given factor scikit-learn's classes are shrunk one by one, which averages to the same covariance."""
    (z, y), (x, _) = rows(n, d), rows(30, d, seed=1)
    inside = z - np.stack([z[y == c].mean(0) for c in range(3)])[y]
    factor = ledoit_wolf_shrinkage(inside, assume_centered=True)
    assert 0 < factor < 1
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=factor).fit(z, y)
    logits = solve("lda", z, y, x)
    np.testing.assert_allclose(
        torch.from_numpy(logits).softmax(1).numpy(), reference.predict_proba(x), rtol=1e-4, atol=1e-7
    )
    assert (logits.argmax(1) == reference.predict(x)).all()


def test_lda_of_one_row_per_class_is_the_nearest_mean() -> None:
    z, y = rows(40, 5)
    z, y = z[[0, 15, 39]], y[[0, 15, 39]]
    x, _ = rows(30, 5, seed=1)
    assert sorted(y) == [0, 1, 2]
    expected = ((x[:, None] - z) ** 2).sum(2).argmin(1)
    assert (solve("lda", z, y, x).argmax(1) == y[expected]).all()


@pytest.mark.parametrize("k", [1, 3, 5, 10])
def test_k_nn_predicts_as_scikit_learn_does_and_its_logits_are_votes(k: int) -> None:
    (z, y), (x, _) = rows(80, 4), rows(50, 4, seed=1)
    reference = KNeighborsClassifier(k).fit(z, y)
    logits = solve("k_nn", z, y, x, k=k)
    assert (logits.argmax(1) == reference.predict(x)).all()
    votes = np.exp(logits) * (k + 1) - 1 / 3
    np.testing.assert_allclose(votes / k, reference.predict_proba(x), atol=1e-9)


def test_more_neighbours_than_rows_are_all_rows() -> None:
    z, y = rows(4, 3)
    assert np.array_equal(solve("k_nn", z, y, z, k=4), solve("k_nn", z, y, z, k=100))


@pytest.mark.parametrize("kind", ["lda", "k_nn"])
def test_row_weights_are_refused(kind: str) -> None:
    z, y = (torch.from_numpy(a) for a in rows(9, 3))
    with pytest.raises(ValueError, match="takes no weights"):
        fit_classifier(kind, z, y, 1.0, 3, torch.arange(9.0))
    with pytest.raises(DalibError, match=f"classifier = '{kind}' takes no row weights"):
        dalib.KMM(classifier=kind).check()


@pytest.mark.parametrize("kind", ["lda", "k_nn", "svm", "nearest"])
def test_a_probe_takes_every_classifier(kind: str) -> None:
    class Probe(dalib.LinearProbe):  # type: ignore[misc, name-defined]
        def __init__(self, C: float = 1.0, classifier: str = kind, k: int = 3) -> None:
            super().__init__(C, classifier, k)

    fitted = fit(Probe)
    buffers = dict(fitted.algorithm.named_buffers())
    assert ("classifier_k" in buffers) == (kind == "k_nn") and buffers.get("classifier_k", 3) == 3
    assert fitted.candidates[-1]["target_accuracy"] > 0.6


def test_wrong_settings_are_one_clear_line() -> None:
    with pytest.raises(DalibError, match=r"linear_probe.k = 0 is out of range; give a whole number >= 1"):
        dalib.LinearProbe(k=0).check()
    with pytest.raises(DalibError, match="no classifier named 'lad'; did you mean 'lda'"):
        dalib.LinearProbe(classifier="lad").check()


def test_a_probes_key_is_that_of_records_made_before() -> None:
    def key(**hparams: object) -> str:
        return RunSpec(
            data=DataSpec(dataset="d"), source="a", target="b", algorithm="linear_probe", hparams=hparams
        ).key

    assert key(C=1.0) == key(C=1.0, classifier="logistic", k=5) != key(C=1.0, classifier="lda", k=5)
