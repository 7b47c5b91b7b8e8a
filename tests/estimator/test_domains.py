"""One table with sample_domain, few labelled target rows and row weights, in the classifier and the regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import dalib
from dalib import AdaptationClassifier, AdaptationRegressor, AdaptationTransformer
from dalib.estimator.domains import find_labelled, find_missing, read_domains
from tests.support.two_tables import one_table, shifted

FAST = {"steps": 60, "bottleneck": 16, "batch_size": 32, "lr": 0.05, "evaluations": 1}


def _classifier(algorithm: Any, **how: Any) -> AdaptationClassifier:
    return AdaptationClassifier(algorithm, train=FAST, device="cpu", **how)


@pytest.mark.parametrize("algorithm", ["coral", "kmm", "dann", "source_only"])
def test_one_table_and_two_give_the_same_model(algorithm: str) -> None:
    X, y, domain = one_table()
    source, target = domain > 0, domain < 0
    apart = _classifier(algorithm).fit(X[source], y[source], X[target])
    hidden = np.where(target, -1, y)
    for way in (domain, target, np.where(target, "target", "source"), domain.astype(float)):
        one = _classifier(algorithm).fit(X, hidden, sample_domain=way)
        assert np.array_equal(one.predict_proba(X), apart.predict_proba(X))
    blind = _classifier(algorithm, target_labels="ignore").fit(X, y, sample_domain=domain)
    assert np.array_equal(blind.predict_proba(X), apart.predict_proba(X))


def test_labels_of_every_target_row_are_neither_used_nor_hidden_in_silence() -> None:
    X, y, domain = one_table()
    with pytest.raises(ValueError, match=r"to hide them, set target_labels='ignore'.*to learn from them too"):
        _classifier("coral").fit(X, y, sample_domain=domain)
    used = _classifier("linear_probe", target_labels="use").fit(X, y, sample_domain=domain)
    assert used.score(X[domain < 0], y[domain < 0]) > 0.95


@pytest.mark.parametrize("mark", [-1, None, np.nan, "words"])
def test_few_labelled_target_rows_count_however_others_are_marked(mark: Any) -> None:
    X, y, domain = one_table()
    few = (domain < 0) & (np.arange(len(y)) % 9 == 0)
    labels: np.ndarray = y.astype(object)
    if mark == "words":
        labels, mark = np.array(["a", "b", "c"], object)[y], -1
    labels[(domain < 0) & ~few] = mark
    model = _classifier("linear_probe").fit(X, labels, sample_domain=domain)
    used = (domain > 0) | few
    by_hand = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(X[used].astype(np.float32), y[used])
    np.testing.assert_allclose(model.predict_proba(X), by_hand.predict_proba(X), atol=1e-3)
    marks = np.where(few[domain < 0], y[domain < 0], -1)
    if labels.dtype == object and isinstance(labels[domain > 0][0], str):
        marks = np.array(["a", "b", "c", ""])[marks]
    apart = _classifier("linear_probe").fit(X[domain > 0], labels[domain > 0].tolist(), X[domain < 0], marks)
    np.testing.assert_allclose(apart.predict_proba(X), model.predict_proba(X), atol=1e-6)


def test_a_network_knows_which_labelled_rows_are_the_targets() -> None:
    X, y, domain = one_table()
    few = (domain < 0) & (np.arange(len(y)) % 5 == 0)
    model = _classifier("mme").fit(X, np.where((domain > 0) | few, y, -1), sample_domain=np.where(domain > 0, 2, -1))
    network = model.fitted_.algorithm.network
    assert (network.origins, network.target_origin) == (2, 1)
    assert model.score(X[domain < 0], y[domain < 0]) > _classifier("source_only", target_labels="ignore").fit(
        X, y, sample_domain=domain
    ).score(X[domain < 0], y[domain < 0])


def test_several_sources_are_told_apart() -> None:
    X, y, domain = one_table()
    several = np.where(domain > 0, 1 + np.arange(len(y)) % 3, -7)
    model = _classifier("m3sda", target_labels="ignore").fit(X, y, sample_domain=several)
    assert model.fitted_.algorithm.network.origins == 3


def test_weights_of_rows_are_scikit_learns() -> None:
    X_s, y_s, X_t, _ = shifted()
    weight = np.random.default_rng(0).uniform(0, 3, len(y_s))
    weight[:20] = 0
    model = _classifier("linear_probe").fit(X_s, y_s, X_t, sample_weight=weight)
    by_hand = LogisticRegression(solver="newton-cholesky", tol=1e-10)
    by_hand.fit(X_s.astype(np.float32).astype(float), y_s, sample_weight=weight)
    np.testing.assert_allclose(model.predict_proba(X_t), by_hand.predict_proba(X_t), atol=1e-4)


def test_a_network_draws_rows_by_their_weight() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = np.arange(200) % 2
    weight = np.where(y == 1, 9.0, 1.0)
    p = _classifier("source_only").fit(X, y, sample_weight=weight).predict_proba(X)[:, 1].mean()
    plain = _classifier("source_only").fit(X, y).predict_proba(X)
    assert p > 0.8 > 0.6 > plain[:, 1].mean()
    assert np.array_equal(_classifier("source_only").fit(X, y, sample_weight=np.full(200, 3.0)).predict_proba(X), plain)


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [("meda", "its own classifier"), (dalib.CORAL(classifier="lda"), "'logistic' or 'svm'"), ("maml", "small tasks")],
)
def test_weights_that_would_change_nothing_are_refused(algorithm: Any, words: str) -> None:
    X_s, y_s, X_t, _ = shifted()
    with pytest.raises(dalib.DalibError, match=words):
        _classifier(algorithm).fit(X_s, y_s, X_t, sample_weight=np.arange(len(y_s)) + 1.0)


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ([0, 1] * 60, "holds 0, which is neither"),
        (["amazon", "webcam"] * 60, "holds 'amazon'; give whole numbers"),
        ([0.5, 1] * 60, "not whole"),
        ([1] * 120, "marks no row as the target's"),
        ([-1] * 120, "marks every row as the target's"),
        ([[1]] * 120, "one number per row"),
    ],
)
def test_a_domain_that_does_not_say_which_is_the_target_is_refused(domain: list[Any], words: str) -> None:
    X_s, y_s, *_ = shifted()
    with pytest.raises(ValueError, match=words):
        _classifier("coral", target_labels="ignore").fit(X_s, y_s, sample_domain=domain)


def test_labels_that_have_two_readings_are_refused() -> None:
    X, y, domain = one_table()
    two = np.where(y > 0, 1, -1)
    with pytest.raises(ValueError, match="-1 is a class of the source and the mark"):
        _classifier("coral").fit(X, two, sample_domain=domain)
    assert _classifier("coral", target_labels="ignore").fit(X, two, sample_domain=domain).classes_.tolist() == [-1, 1]
    holes = y.astype(float)
    holes[np.flatnonzero(domain > 0)[3]] = np.nan
    with pytest.raises(ValueError, match=f"no label in row {np.flatnonzero(domain > 0)[3]}, a source row"):
        _classifier("coral", target_labels="ignore").fit(X, holes, sample_domain=domain)
    odd = np.where(domain < 0, np.where(np.arange(len(y)) % 2, 9, -1), y)
    with pytest.raises(ValueError, match="'9' for a target row, a class that no source row has"):
        _classifier("coral").fit(X, odd, sample_domain=domain)
    with pytest.raises(ValueError, match="leave X_target and y_target out"):
        _classifier("coral").fit(X, y, X, sample_domain=domain)
    with pytest.raises(ValueError, match="target_labels = 'hide'"):
        _classifier("coral", target_labels="hide").fit(X, y, sample_domain=domain)


@pytest.mark.parametrize("final", [RandomForestClassifier(20, random_state=0), SVC(), LogisticRegression(C=3)])
@pytest.mark.parametrize("algorithm", [dalib.CORAL(reg=0.1), "gfk", "pca_map"])
def test_any_classifier_stands_behind_a_mapping(algorithm: Any, final: Any) -> None:
    X_s, y_s, X_t, _ = shifted()
    words = np.array(["mug", "bike", "pen"])[y_s]
    model = AdaptationClassifier(algorithm, estimator=final, device="cpu").fit(X_s, words, X_t)
    made = AdaptationTransformer(algorithm)
    by_hand = clone(final).fit(made.fit_transform(X_s.astype(np.float32), X_target=X_t.astype(np.float32)), words)
    assert np.array_equal(model.predict(X_t), by_hand.predict(made.transform(X_t.astype(np.float32))))
    for name in ("predict_proba", "decision_function"):
        assert hasattr(model, name) == hasattr(final, name)
    assert not hasattr(final, "classes_")


def test_labelled_target_rows_stay_where_the_target_is() -> None:
    X, y, domain = one_table()
    few = (domain < 0) & (np.arange(len(y)) % 9 == 0)
    marks = np.where((domain > 0) | few, y, -1)
    model = AdaptationClassifier("coral", estimator=LogisticRegression(), device="cpu")
    model.fit(X, marks, sample_domain=domain)
    x = X.astype(np.float32)
    moved = AdaptationTransformer("coral").fit_transform(x[domain > 0], X_target=x[domain < 0])
    by_hand = LogisticRegression().fit(np.vstack([moved, x[few]]), np.r_[y[domain > 0], y[few]])
    np.testing.assert_allclose(model.estimator_.coef_, by_hand.coef_, atol=1e-6)


def test_cross_validation_with_routing_is_the_loop_by_hand() -> None:
    X, y, domain = one_table()
    model = make_pipeline(StandardScaler(), _classifier("coral", target_labels="ignore"))
    splitter = dalib.SourceTargetShuffleSplit(3, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        found = cross_validate(model, X, y, cv=splitter, params={"sample_domain": domain})["test_score"]
    by_hand = []
    for train, test in splitter.split(X, y, domain):
        scaler, source = StandardScaler().fit(X[train]), train[domain[train] > 0]
        x = scaler.transform(X)
        fit = _classifier("coral").fit(x[source], y[source], x[train[domain[train] < 0]])
        by_hand.append(fit.score(x[test], y[test]))
    np.testing.assert_allclose(found, by_hand)
    assert found.mean() > 0.9


def test_a_target_given_apart_passes_a_pipeline_with_routing() -> None:
    X_s, y_s, X_t, y_t = shifted()
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(StandardScaler(), _classifier("coral"), transform_input=["X_target"])
        score = model.fit(X_s, y_s, X_target=X_t).score(X_t, y_t)
    scaler = StandardScaler().fit(X_s)
    by_hand = _classifier("coral").fit(scaler.transform(X_s), y_s, scaler.transform(X_t))
    assert score == by_hand.score(scaler.transform(X_t), y_t)


# --- numbers ----------------------------------------------------------------------------------------------------------


def _numbers() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x_s, x_t = rng.normal(size=(200, 4)), rng.normal(size=(150, 4))
    y_s, y_t = (300 + 50 * (x[:, 0] - x[:, 1]) for x in (x_s, x_t))
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0] * 0.3 + np.eye(4)
    return x_s, y_s, x_t @ turn + 2, y_t


def test_a_regressor_stands_behind_a_mapping() -> None:
    X_s, y_s, X_t, y_t = _numbers()
    alone = Ridge().fit(X_s, y_s)
    adapted = AdaptationRegressor(dalib.CORAL(reg=0.01), device="cpu").fit(X_s, y_s, X_t)
    assert np.abs(adapted.predict(X_t) - y_t).mean() < 0.5 * np.abs(alone.predict(X_t) - y_t).mean()
    x_s, x_t = X_s.astype(np.float32), X_t.astype(np.float32)
    moved = AdaptationTransformer(dalib.CORAL(reg=0.01)).fit_transform(x_s, X_target=x_t)
    np.testing.assert_allclose(adapted.predict(X_t), Ridge().fit(moved, y_s).predict(x_t), rtol=1e-6)
    boosting = AdaptationRegressor("pca_map", estimator=GradientBoostingRegressor(n_estimators=10)).fit(X_s, y_s, X_t)
    assert boosting.predict(X_t).shape == y_t.shape


@pytest.mark.parametrize("algorithm", ["source_only", "mmd", "deep_coral"])
def test_a_network_predicts_in_the_unit_of_y(algorithm: str) -> None:
    X_s, y_s, *_ = _numbers()
    model = AdaptationRegressor(algorithm, train=FAST | {"steps": 300}, device="cpu").fit(X_s, y_s)
    assert model.score(X_s, y_s) > 0.9
    both = AdaptationRegressor(algorithm, train=FAST, device="cpu").fit(X_s, np.c_[y_s, -y_s], X_s)
    assert both.predict(X_s).shape == (200, 2)


@pytest.mark.parametrize("algorithm", ["source_only", "coral", "jdot"])
def test_numbers_whose_squares_overflow_are_refused_and_those_below_are_learnt(algorithm: str) -> None:
    X_s, y_s, X_t, _ = _numbers()
    with pytest.raises(ValueError, match=r"y holds .*e\+302, whose square float64 cannot hold"):
        AdaptationRegressor(algorithm, train=FAST, device="cpu").fit(X_s, 1e300 * y_s, X_t)
    model, large = (
        AdaptationRegressor(algorithm, train=FAST, device="cpu").fit(X_s, c * y_s, X_t) for c in (1.0, 1e100)
    )
    np.testing.assert_allclose(large.predict(X_t) / 1e100, model.predict(X_t), rtol=1e-4, atol=1e-4)


def test_numbers_of_few_target_rows_count_and_minus_one_is_a_number() -> None:
    X_s, y_s, X_t, y_t = _numbers()
    marks = np.where(np.arange(150) % 5 == 0, y_t, np.nan)
    model = AdaptationRegressor("linear_probe", device="cpu").fit(X_s, y_s, X_t, marks)
    used = np.isfinite(marks)
    by_hand = Ridge().fit(np.vstack([X_s, X_t[used]]).astype(np.float32), np.r_[y_s, y_t[used]])
    np.testing.assert_allclose(model.predict(X_t), by_hand.predict(X_t.astype(np.float32)), rtol=1e-5)
    X, sign = np.vstack([X_s, X_t]), np.r_[np.ones(200), -np.ones(150)]
    one = AdaptationRegressor("linear_probe", device="cpu").fit(X, np.r_[y_s, marks], sample_domain=sign)
    np.testing.assert_allclose(one.predict(X_t), model.predict(X_t), rtol=1e-6)
    with pytest.raises(ValueError, match=r"all 150 target rows have labels .*y = NaN there"):
        AdaptationRegressor("linear_probe").fit(X, np.r_[y_s, np.full(150, -1.0)], sample_domain=sign)


def test_methods_that_need_classes_are_refused_for_numbers() -> None:
    X_s, y_s, X_t, _ = _numbers()
    for name in ("jda", dalib.OTMap(method="class_regularised")):
        with pytest.raises(dalib.DalibError, match="groups source rows by class"):
            AdaptationRegressor(name).fit(X_s, y_s, X_t)
    with pytest.raises(dalib.DalibError, match="regression"):
        AdaptationRegressor("mcc", train=FAST).fit(X_s, y_s, X_t)


# --- the small functions ----------------------------------------------------------------------------------------------


def test_marks_of_missing_labels_are_found_by_type() -> None:
    assert find_missing(np.array([0, -1, 2])).tolist() == [False, True, False]
    assert find_missing(np.array([0.5, -1, np.nan]), numbers=True).tolist() == [False, False, True]
    assert find_missing(np.array(["a", "", "-1"])).tolist() == [False, True, True]
    assert find_missing(np.array(["a", None, -1, np.nan], object)).tolist() == [False, True, True, True]
    assert find_labelled(np.array(["a", ""]), np.array(["a", "b"]), None).tolist() == [True, False]


@pytest.mark.parametrize(("y", "y_target"), [
    (np.array([True, False] * 4), np.array([1.0, np.nan])),
    (np.array([True, False] * 4), np.array([1, -1])),
    (np.array([1, 0] * 4), np.array([True, None], object)),
])  # fmt: skip
def test_true_and_false_beside_numbers_are_told_as_what_they_are(y: np.ndarray, y_target: np.ndarray) -> None:
    X = np.random.default_rng(0).normal(size=(10, 3))
    with pytest.raises(ValueError, match="give numbers for both, "):
        _classifier("coral").fit(X[:8], y, X[8:], y_target)


def test_a_target_of_one_row_is_not_standardised_in_silence() -> None:
    X, y = np.random.default_rng(0).normal(size=(9, 3)), np.array([0, 1] * 4)
    with pytest.warns(UserWarning, match="standardise = True: X_target has one row, of which no deviation is known"):
        _classifier("coral", standardise=True).fit(X[:8], y, X[8:])


def test_signs_are_made_of_names() -> None:
    names = ["dslr", "amazon", "webcam", "amazon"]
    assert dalib.sign_domains(names, target="webcam").tolist() == [2, 1, -3, 1]
    with pytest.raises(ValueError, match="'caltech' is no domain of these rows; they are 'amazon', 'dslr', 'webcam'"):
        dalib.sign_domains(names, target="caltech")
    is_target, origin = read_domains([2, 1, -3, 1])
    assert is_target.tolist() == [False, False, True, False] and origin.tolist() == [1, 0, 0, 0]
