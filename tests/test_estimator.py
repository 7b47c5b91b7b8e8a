"""The scikit-learn face keeps scikit-learn's own contract, and adaptation helps where there is a shift."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import dalib
from dalib import AdaptationClassifier, TrainConfig
from dalib.checks.world import make_task

FAST = {"steps": 60, "bottleneck": 16, "batch_size": 32, "lr": 0.05, "evaluations": 1}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([AdaptationClassifier(train=FAST, device="cpu")])
def test_the_classifier_keeps_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def _arrays(shift: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    task = make_task(n=150, shift=shift)
    return task.labelled.x, task.labelled.labels, task.target.x, task.test.labels


def _classifier(algorithm: Any = None, **changes: Any) -> AdaptationClassifier:
    return AdaptationClassifier(algorithm, train=FAST, device="cpu", **changes)


@pytest.fixture(scope="module")
def source_only_score() -> float:
    X_s, y_s, X_t, y_t = _arrays()
    return _classifier().fit(X_s, y_s, X_t).score(X_t, y_t)


@pytest.mark.parametrize("name", ["DANN", "MMD", "CORAL", "OTMap", "MCC"])
def test_adaptation_improves_on_the_source_alone_under_a_shift(name: str, source_only_score: float) -> None:
    X_s, y_s, X_t, y_t = _arrays()
    adapted = _classifier(getattr(dalib, name)()).fit(X_s, y_s, X_t).score(X_t, y_t)
    assert source_only_score < 0.75
    assert adapted > source_only_score + 0.1


def test_the_algorithm_given_is_copied_and_never_changed() -> None:
    X_s, y_s, X_t, _ = _arrays()
    algorithm = dalib.DANN(weight=0.5)
    model = _classifier(algorithm).fit(X_s, y_s, X_t)
    assert not list(algorithm.parameters())
    assert model.fitted_.algorithm.hparams == algorithm.hparams
    assert clone(model).algorithm.hparams == algorithm.hparams


def test_labels_of_any_type_come_back_and_probabilities_follow_their_order() -> None:
    X_s, y_s, X_t, _ = _arrays()
    names = np.array(["mug", "bike", "pen"])[y_s]
    model = _classifier().fit(X_s, names, X_t)
    p = model.predict_proba(X_t)
    assert model.classes_.tolist() == ["bike", "mug", "pen"]
    assert p.sum(1) == pytest.approx(np.ones(len(X_t)))
    assert (model.classes_[p.argmax(1)] == model.predict(X_t)).all()


def test_two_classes_give_one_column_of_decisions() -> None:
    X_s, y_s, X_t, _ = _arrays()
    model = _classifier().fit(X_s, y_s == 0, X_t)
    assert model.decision_function(X_t).shape == (len(X_t),)
    assert ((model.decision_function(X_t) > 0) == model.predict(X_t)).all()


def test_standardised_prediction_of_a_row_does_not_depend_on_its_neighbours() -> None:
    X_s, y_s, X_t, y_t = _arrays()
    model = _classifier(standardise=True).fit(X_s, y_s, X_t)
    assert (np.concatenate([model.predict(X_t[i : i + 1]) for i in range(9)]) == model.predict(X_t)[:9]).all()
    assert model.score(X_t, y_t) > 0.9


def test_the_random_state_decides_the_result() -> None:
    X_s, y_s, X_t, _ = _arrays()
    same, again, other = (_classifier(random_state=s).fit(X_s, y_s, X_t).predict_proba(X_t) for s in (4, 4, 5))
    assert (same == again).all()
    assert not np.allclose(same, other)
    drawn = [_classifier(random_state=np.random.RandomState(1)).fit(X_s, y_s, X_t).predict_proba(X_t) for _ in range(2)]
    assert (drawn[0] == drawn[1]).all()


def test_it_works_in_a_pipeline_cross_validated_and_pickled() -> None:
    X_s, y_s, *_ = _arrays()
    assert cross_val_score(make_pipeline(StandardScaler(), _classifier()), X_s, y_s, cv=2).min() > 0.8
    model = _classifier(dalib.CORAL()).fit(X_s, y_s)
    assert (pickle.loads(pickle.dumps(model)).predict_proba(X_s) == model.predict_proba(X_s)).all()


def test_mistakes_say_what_is_wrong() -> None:
    X_s, y_s, X_t, _ = _arrays()
    with pytest.raises(ValueError, match="a classifier needs at least 2"):
        _classifier().fit(X_s, np.zeros(len(X_s), int))
    with pytest.raises(ValueError, match="X has 3 features, but AdaptationClassifier is expecting 16"):
        _classifier().fit(X_s, y_s, X_t[:, :3])
    with pytest.raises(NotFittedError):
        _classifier().predict(X_s)
    with pytest.raises(ValueError, match="step"):
        AdaptationClassifier(train={"step": 3}).fit(X_s, y_s)


def test_a_recipe_object_and_the_default_recipe_are_accepted() -> None:
    X_s, y_s, X_t, _ = _arrays()
    assert AdaptationClassifier(train=TrainConfig(steps=2)).fit(X_s, y_s, X_t).fitted_.config.steps == 2
    assert AdaptationClassifier().fit(X_s, y_s, X_t).fitted_.config.steps == 300
