"""Tables whose columns have numbers for names, and labels of target rows as tables with missing ones hold them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, Ridge

import dalib

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = RNG.normal(size=(60, 3)) + 2 * np.eye(3)[Y]
TABLE, TARGET = pd.DataFrame(X), pd.DataFrame(X[:50] + 0.3)
KNOWN = np.arange(50) >= 44


def estimators() -> dict[str, Callable[[], Any]]:
    return {
        "classifier": lambda: dalib.AdaptationClassifier(dalib.CORAL(), device="cpu"),
        "network": lambda: dalib.AdaptationClassifier(dalib.MCC(), backbone="mlp", train={"steps": 1}, device="cpu"),
        "regressor": lambda: dalib.AdaptationRegressor(dalib.CORAL(), device="cpu"),
        "transformer": lambda: dalib.AdaptationTransformer(dalib.CORAL()),
        "weighted": lambda: dalib.WeightedEstimator(dalib.KMM(), LogisticRegression()),
    }


@pytest.mark.parametrize("kind", estimators())
def test_columns_called_by_numbers_keep_their_order(kind: str) -> None:
    make = estimators()[kind]
    use = "transform" if kind == "transformer" else "predict"
    fitted = make().fit(TABLE, Y, X_target=TARGET)
    assert len(getattr(fitted, use)(TARGET)) == 50
    with pytest.raises(ValueError, match=r"from column 1 on: \[2, 1\], not \[1, 2\]; give the columns of fit"):
        getattr(fitted, use)(TARGET[[0, 2, 1]])
    with pytest.raises(ValueError, match=r"from column 2 on: \[7\], not \[2\]"):
        make().fit(TABLE, Y, X_target=TARGET.rename(columns={2: 7}))
    again = make().fit(TABLE[[2, 1, 0]], Y, X_target=TARGET[[2, 1, 0]])
    assert len(getattr(again, use)(TARGET[[2, 1, 0]])) == 50


def test_rows_without_names_are_taken_beside_a_table_as_before() -> None:
    fitted = dalib.AdaptationClassifier(dalib.CORAL(), device="cpu").fit(TABLE, Y, TARGET.to_numpy())
    assert np.array_equal(fitted.predict(TARGET.to_numpy()), fitted.predict(TARGET))
    bare = dalib.AdaptationClassifier(dalib.CORAL(), device="cpu").fit(X, Y, TARGET)
    assert np.array_equal(bare.predict(TARGET[[0, 1, 2]]), fitted.predict(TARGET))


@pytest.mark.parametrize(
    ("labels", "marks"),
    [
        (Y, np.where(KNOWN, Y[:50], np.nan)),
        (Y, pd.Series(Y[:50]).astype("Int64").where(KNOWN)),
        (Y, [int(y) if k else None for y, k in zip(Y, KNOWN, strict=False)]),
        (Y.astype(float), np.where(KNOWN, Y[:50], -1)),
        (Y.astype(str), [str(y) if k else None for y, k in zip(Y, KNOWN, strict=False)]),
    ],
)
def test_labels_of_target_rows_are_those_of_the_source_however_the_others_are_marked(labels: Any, marks: Any) -> None:
    expected = dalib.AdaptationClassifier(dalib.FeatureAugmentation(), device="cpu").fit(
        X, Y, TARGET.to_numpy(), y_target=np.where(KNOWN, Y[:50], -1)
    )
    got = dalib.AdaptationClassifier(dalib.FeatureAugmentation(), device="cpu").fit(
        X, labels, TARGET.to_numpy(), y_target=marks
    )
    assert np.array_equal(got.predict_proba(X), expected.predict_proba(X))
    assert got.classes_.dtype == np.asarray(labels).dtype


def test_a_number_that_is_no_class_is_refused() -> None:
    for odd in (0.5, 3.0, np.inf):
        with pytest.raises(ValueError, match="a class that no source row has"):
            dalib.AdaptationClassifier(dalib.FeatureAugmentation(), device="cpu").fit(
                X, Y, TARGET.to_numpy(), y_target=np.where(KNOWN, odd, np.nan)
            )


class Seen(Ridge):
    """A regressor that keeps the labels it was given."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Seen:
        self.seen_ = np.asarray(y)
        return super().fit(X, y, sample_weight)


def test_numbers_of_target_rows_are_not_cut_to_the_whole_numbers_of_the_source() -> None:
    marks = np.where(KNOWN, Y[:50] + 0.75, np.nan)
    for told in (marks, marks.astype(object)):
        fitted = dalib.WeightedEstimator(dalib.KMM(), Seen()).fit(X, Y, X_target=TARGET.to_numpy(), y_target=told)
        assert np.array_equal(fitted.estimator_.seen_, [*Y, *marks[KNOWN]])


@pytest.mark.parametrize("method", [dalib.PCAMap, dalib.SubspaceAlignment, dalib.GFK])
@pytest.mark.parametrize("value", [0.0, 1.5])
def test_sparse_rows_that_are_all_alike_are_moved_as_dense_ones_are(method: Any, value: float) -> None:
    x = np.full((40, 12), value)
    moved = dalib.AdaptationTransformer(method()).fit(csr_matrix(x), Y[:40], X_target=csr_matrix(x)).transform(x)
    dense = dalib.AdaptationTransformer(method()).fit(x, Y[:40], X_target=x).transform(x)
    assert moved.shape == dense.shape and np.isfinite(moved).all() and np.ptp(moved, axis=0).max() < 1e-9


def test_columns_of_a_classifier_behind_are_those_of_its_classes() -> None:
    """Rows of weight 0 are left out, and with them a class that only they are of."""
    rng, y = np.random.default_rng(0), np.arange(60) % 3
    x = 4 * np.eye(3)[y] + rng.normal(size=(60, 3))
    for name in ("coral", "kmm"):
        model = dalib.AdaptationClassifier(name, estimator=LogisticRegression())
        model.fit(x, y, x + 1, sample_weight=(y > 0).astype(float))
        assert model.classes_.tolist() == [1, 2] and model.predict_proba(x).shape == (60, 2)
        assert (model.classes_[model.predict_proba(x + 1).argmax(1)] == model.predict(x + 1)).all()


def test_labels_in_a_column_are_labels() -> None:
    rng, y = np.random.default_rng(0), np.arange(60) % 3
    x = 4 * np.eye(3)[y] + rng.normal(size=(60, 3))
    few, d = np.where(np.arange(60) < 6, y, -1), np.repeat([1, -1], 60)
    plain = dalib.AdaptationClassifier("coral").fit(x, y, x + 1, few).predict_proba(x)
    apart = dalib.AdaptationClassifier("coral").fit(x, y, x + 1, few[:, None]).predict_proba(x)
    together = dalib.AdaptationClassifier("coral").fit(
        np.concatenate([x, x + 1]), np.concatenate([y, few])[:, None].tolist(), sample_domain=d
    )
    np.testing.assert_array_equal(plain, apart)
    np.testing.assert_array_equal(plain, together.predict_proba(x))
