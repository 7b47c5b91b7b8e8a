"""CORAL: Correlation alignment in closed form; target rows stay where they are.

CORAL with a linear SVM on SURF features: the published accuracies, and those of our own classifier.

Published averages over the twelve tasks, on rows divided by their sum and z-scored per domain, C by cross-validation on
the source:
    46.7  Sun et al. (AAAI 2016): twenty draws of 20 source rows per class
    48.8  later tables (MEDA, EasyTL): all source rows, once
The authors' program has no linear SVM on moved rows A x: it fits LIBSVM, one class against one, with the kernel
x_iᵀ A x_j between source rows, which is not symmetric, and uses it with x_iᵀ A x_t. With our `recolour` for A and
scikit-learn's SVC (the same LIBSVM) that gives
    46.2  five draws of 20 rows per class, C by two-fold cross-validation as in the program
    48.2  all source rows, C by two-fold cross-validation: caltech -> amazon 54.3 (published 52.1), caltech -> dslr 36.3
          (45.9), the other ten tasks within 0.1 of the tables
Folds are drawn, and C decides those two: they are 52.1 at C = 1 and 45.9 at C = 0.001. So C = 0.001 for caltech -> dslr
below is chosen to match: it shows where the figure can come from, and not that we would have chosen it.

`coral` with classifier = "svm" is what it says, a linear SVM (squared hinge, one class against the rest) on moved rows.
All source rows, reg = 1, average over the twelve tasks:
    C        0.00001  0.0001  0.001  0.01   0.1    1 (default)
    average  46.5     48.0    45.9   42.2   41.3   41.3
45.5 with C from five-fold cross-validation on the moved source rows (0.00001 to 0.01). C is small since rows of 800
z-scored features have a squared length near 800.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

import dalib
from dalib.data.normalise import normalise_features
from dalib.nn.linalg import recolour
from tests.support.algorithms import check_refusal
from tests.support.shifts import (
    check_a_solved_method_beats_its_own_classifier,
    check_a_solved_method_does_no_harm_without_a_shift,
    solve,
    stretched,
    translated,
)


@pytest.mark.parametrize("classifier", ["logistic", "nearest"])
def test_a_solved_method_beats_its_own_classifier(classifier: str) -> None:
    check_a_solved_method_beats_its_own_classifier("CORAL", translated, {"reg": 0.01}, classifier)


def test_coral_undoes_a_stretch() -> None:
    before, after = solve("LinearProbe", stretched()), solve("CORAL", stretched(), reg=0.01)
    assert after > before + 0.1, f"{after:.3f}, linear probe: {before:.3f}"


def test_a_solved_method_does_no_harm_without_a_shift() -> None:
    check_a_solved_method_does_no_harm_without_a_shift("CORAL")


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"reg": 0.0}, "coral.reg = 0.0"),
        ({"classifier": "forest"}, "no coral.classifier named 'forest'"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("CORAL", hparams, message)


Domain = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def surf(shared_data: Path) -> dict[str, Domain]:
    with np.load(shared_data / "office_caltech10_surf.npz") as file:
        return {
            name: (normalise_features(file[f"{name}_x"], ["row_sum", "zscore"]), file[f"{name}_y"].astype(int))
            for name in ("amazon", "caltech", "dslr", "webcam")
        }


def percent(predicted: np.ndarray, y: np.ndarray) -> float:
    return 100 * float((predicted == y).mean())


@pytest.mark.parametrize(
    ("source", "target", "C", "published"),
    [
        ("amazon", "webcam", 1.0, 44.4),
        ("amazon", "dslr", 1.0, 39.5),
        ("caltech", "webcam", 0.001, 46.4),
        ("caltech", "dslr", 0.001, 45.9),
        ("webcam", "dslr", 1.0, 86.6),
        ("dslr", "webcam", 1.0, 84.7),
        ("webcam", "caltech", 1.0, 33.7),
        ("dslr", "amazon", 1.0, 37.7),
    ],
)
def test_the_published_accuracy_comes_out_with_the_authors_kernel(
    surf: dict[str, Domain], source: str, target: str, C: float, published: float
) -> None:
    (x_s, y_s), (x_t, y_t) = surf[source], surf[target]
    moved = recolour(torch.as_tensor(x_s).double(), torch.as_tensor(x_t).double(), 1.0).numpy()
    svm = SVC(C=C, kernel="precomputed").fit(moved @ x_s.T, y_s)
    assert percent(svm.predict(x_t @ moved.T), y_t) == pytest.approx(published, abs=0.06)


@pytest.mark.parametrize(
    ("source", "target", "C", "measured"),
    [
        ("webcam", "dslr", 1.0, 77.1),
        ("webcam", "amazon", 1.0, 34.6),
        ("webcam", "caltech", 1.0, 30.5),
        ("webcam", "dslr", 0.0001, 78.3),
        ("dslr", "webcam", 0.0001, 80.0),
        ("amazon", "webcam", 0.0001, 38.3),
    ],
)
def test_a_linear_svm_on_moved_rows_reaches_what_was_measured(
    surf: dict[str, Domain], source: str, target: str, C: float, measured: float
) -> None:
    (x_s, y_s), (x_t, y_t) = surf[source], surf[target]
    model = dalib.AdaptationClassifier(dalib.CORAL(classifier="svm", C=C, reg=1.0)).fit(x_s, y_s, x_t)
    assert percent(model.predict(x_t), y_t) == pytest.approx(measured, abs=1.0)  # a few rows among 157 to 1123
