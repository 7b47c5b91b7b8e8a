"""Every public estimator and transformer keeps scikit-learn's own contract."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

import dalib
import dalib.estimator
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.registry import ALGORITHMS

FAST = {"steps": 40, "bottleneck": 16, "batch_size": 32, "lr": 0.05, "evaluations": 1}
EQUIVALENCE = "check_sample_weight_equivalence_on_dense_data"
ESTIMATORS = [
    dalib.AdaptationClassifier(train=FAST, device="cpu"),
    dalib.AdaptationClassifier("linear_probe", device="cpu"),
    dalib.AdaptationClassifier("coral", device="cpu"),
    dalib.AdaptationClassifier("coral", estimator=LogisticRegression(), device="cpu"),
    dalib.AdaptationClassifier("kmm", estimator=RandomForestClassifier(5, random_state=0), device="cpu"),
    dalib.AdaptationRegressor("coral", device="cpu"),
    dalib.AdaptationRegressor(train=FAST, device="cpu"),
    dalib.WeightedEstimator(None, LogisticRegression()),
    dalib.WeightedEstimator("kmm", LogisticRegression()),
    dalib.WeightedEstimator("ulsif", Ridge()),
    dalib.WeightedEstimator("balanced_weighting", Ridge()),
    dalib.TrAdaBoost(LogisticRegression(), n_estimators=3),
    dalib.AdaptationClassifier("feature_augmentation", estimator=LogisticRegression(), device="cpu"),
]
MAPPINGS = [
    name
    for name in ALGORITHMS.files()
    if issubclass(cls := ALGORITHMS.get(name), FeatureAlgorithm)
    and cls.fit is FeatureAlgorithm.fit
    and cls.align is not FeatureAlgorithm.align
]


def _expected(estimator: Any) -> dict[str, str]:
    """Checks that fail by what the estimator is for."""
    algorithm = getattr(estimator, "algorithm", None)
    if algorithm == "coral":
        return {EQUIVALENCE: "weights count in the classifier; where rows are moved to, they do not change"}
    if algorithm is None and hasattr(estimator, "train"):
        return {EQUIVALENCE: "networks draw rows by weight, at random"}
    if "RandomForest" in repr(estimator):
        return {EQUIVALENCE: "the forest draws rows at random"}
    return {}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=_expected)
def test_every_estimator_keeps_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([dalib.AdaptationTransformer(name) for name in MAPPINGS])
def test_every_mapping_keeps_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_mappings_are_those_that_the_registry_has() -> None:
    assert {
        "coral",
        "feature_augmentation",
        "gfk",
        "jda",
        "jgsa",
        "ot_map",
        "pca_map",
        "sfa",
        "subspace_alignment",
        "tca",
        "tjm",
    } <= set(MAPPINGS)


def test_every_public_estimator_is_held_to_it() -> None:
    public = {
        value for name in dalib.estimator.__dict__ if isinstance(value := getattr(dalib.estimator, name), type)
        and issubclass(value, BaseEstimator)
    }  # fmt: skip
    assert public == {type(estimator) for estimator in ESTIMATORS} | {dalib.AdaptationTransformer}
