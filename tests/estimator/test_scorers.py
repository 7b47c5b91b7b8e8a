"""Validators as scorers: the same numbers as by hand, on any classifier."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
import torch
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import dalib
from dalib import AdaptationClassifier, make_scorer
from dalib.core.registry import VALIDATORS
from dalib.core.types import Outputs
from tests.support.two_tables import one_table, shifted

X, Y, DOMAIN = one_table()
SOURCE, TARGET = DOMAIN > 0, DOMAIN < 0


def test_entropy_of_any_classifier_is_that_of_its_probabilities() -> None:
    for model in (
        make_pipeline(dalib.AdaptationTransformer(), LogisticRegression()),
        dalib.WeightedEstimator(None, LogisticRegression()),
        LogisticRegression(),
        AdaptationClassifier("coral", estimator=LogisticRegression(), device="cpu"),
        AdaptationClassifier("coral", device="cpu"),
    ):
        model.fit(X[SOURCE], Y[SOURCE])
        expected = -entropy(model.predict_proba(X[TARGET]), axis=1).mean()
        assert make_scorer("entropy")(model, X[TARGET]) == pytest.approx(expected, abs=1e-5)


def test_features_are_those_of_the_step_before_and_held_out_source_rows_are_compared() -> None:
    transformer = dalib.AdaptationTransformer(dalib.PCAMap(components=2))
    model = make_pipeline(transformer, LogisticRegression()).fit(X[SOURCE], Y[SOURCE])
    z, p = model[:-1].transform(X), model.predict_proba(X)
    parts = [
        Outputs(*(torch.as_tensor(a[rows], dtype=torch.float32) for a in (z, np.log(p))), y)
        for rows, y in ((SOURCE, torch.as_tensor(Y[SOURCE])), (TARGET, None))
    ]
    for name in ("ami", "dev", "circular", "source_accuracy", "mmd_distance"):
        assert make_scorer(name)(model, X, Y, DOMAIN) == pytest.approx(VALIDATORS.get(name)().score(*parts), abs=1e-5)
    assert make_scorer("source_accuracy")(model, X, Y, DOMAIN) == pytest.approx(model.score(X[SOURCE], Y[SOURCE]))


def test_labels_of_the_target_do_not_change_a_score_but_the_oracles() -> None:
    model = AdaptationClassifier("coral", device="cpu", target_labels="ignore").fit(X, Y, sample_domain=DOMAIN)
    hidden = np.where(TARGET, -1, Y)
    for name in ("ami", "information_maximisation", "dev"):
        assert make_scorer(name)(model, X, Y, DOMAIN) == make_scorer(name)(model, X, hidden, DOMAIN)
    assert make_scorer("oracle")(model, X, Y, DOMAIN) == pytest.approx(model.score(X[TARGET], Y[TARGET]))


def test_a_search_chooses_by_a_validator_what_works_on_the_target() -> None:
    X_s, y_s, X_t, y_t = shifted(shift=6.0)
    x, y, domain = np.vstack([X_s, X_t]), np.r_[y_s, -np.ones(len(y_t), int)], np.r_[[1] * len(y_s), [-1] * len(y_t)]
    with sklearn.config_context(enable_metadata_routing=True):
        grid = GridSearchCV(
            AdaptationClassifier(device="cpu"),
            {"algorithm": [dalib.LinearProbe(), dalib.CORAL(reg=0.1)]},
            scoring=make_scorer("ami"),
            cv=dalib.SourceTargetShuffleSplit(2, random_state=0),
        ).fit(x, y, sample_domain=domain)
        several = cross_validate(
            grid.best_estimator_, x, y, cv=dalib.SourceTargetShuffleSplit(2, test="both", random_state=0),
            scoring={name: make_scorer(name) for name in ("ami", "dev")}, params={"sample_domain": domain},
        )  # fmt: skip
    assert isinstance(grid.best_params_["algorithm"], dalib.CORAL) and grid.best_estimator_.score(X_t, y_t) > 0.9
    assert np.isfinite(several["test_ami"]).all() and np.isfinite(several["test_dev"]).all()


def test_what_cannot_be_scored_is_refused() -> None:
    model = LinearSVC().fit(X[SOURCE], Y[SOURCE])
    with pytest.raises(dalib.DalibError, match=r"make_scorer\('entropy'\) needs probabilities, and LinearSVC"):
        make_scorer("entropy")(model, X[TARGET])
    assert np.isfinite(make_scorer("ami")(model, X[TARGET]))
    with pytest.raises(dalib.DalibError, match="no row of the target"):
        make_scorer("ami")(model, X[SOURCE], Y[SOURCE], DOMAIN[SOURCE])
    with pytest.raises(dalib.DalibError, match="did you mean 'ami'"):
        make_scorer("amy")


@pytest.mark.parametrize(
    "name", ["dev", "importance_weighted", "circular", "source_accuracy", "coral_distance", "mmd_distance"]
)
def test_what_compares_source_rows_refuses_where_none_are_held_out(name: str) -> None:
    """A search over nan would choose the first."""
    model = AdaptationClassifier("coral", device="cpu", target_labels="ignore").fit(X, Y, sample_domain=DOMAIN)
    for domain in (None, DOMAIN[TARGET]):
        with pytest.raises(dalib.DalibError, match=r"is nan of the \d+ target rows alone.*test='both'"):
            make_scorer(name)(model, X[TARGET], Y[TARGET], domain)
