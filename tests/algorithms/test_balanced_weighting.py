"""BalancedWeighting: the labelled rows of the target against all of the source's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import dalib
from dalib import AdaptationClassifier, BalancedWeighting, WeightedEstimator
from tests.support.algorithms import check_refusal
from tests.support.few_labels import few_labels


def _by_hand(n_s: int, n_few: int, share: float) -> np.ndarray:
    """ADAPT's BalancedWeighting: n_t (1 - gamma) for source rows, n_s gamma for target rows, divided by their mean."""
    weight = np.concatenate([np.full(n_s, n_few * (1 - share)), np.full(n_few, n_s * share)])
    return weight / weight.mean()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_weights_are_those_of_adapt_around_any_estimator(share: float) -> None:
    X_s, y_s, X_t, y_t = few_labels()
    marks = np.where(np.arange(len(y_t)) < 20, y_t, -1)
    weight = _by_hand(len(y_s), 20, share)
    made = WeightedEstimator(BalancedWeighting(target_share=share), LogisticRegression()).fit(X_s, y_s, X_t, marks)
    np.testing.assert_allclose(made.weights_, weight[: len(y_s)])
    X, y = np.vstack([X_s, X_t[:20]]), np.r_[y_s, y_t[:20]]
    by_hand = LogisticRegression().fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(made.estimator_.coef_, by_hand.coef_, rtol=1e-6)
    ridge = WeightedEstimator(BalancedWeighting(target_share=share), Ridge()).fit(X_s, y_s + 0.5, X_t[:20], y_t[:20])
    np.testing.assert_allclose(ridge.estimator_.coef_, Ridge().fit(X, y, sample_weight=weight).coef_, atol=0.05)


@pytest.mark.parametrize("behind", [None, LogisticRegression(tol=1e-6, max_iter=5000)])
def test_the_share_of_the_loss_is_the_targets_in_the_classifier_too(behind: LogisticRegression | None) -> None:
    X_s, y_s, X_t, y_t = few_labels()
    marks = np.where(np.arange(len(y_t)) < 20, y_t, -1)
    model = AdaptationClassifier(BalancedWeighting(target_share=0.8), estimator=behind, device="cpu")
    model.fit(X_s, y_s, X_t, marks)
    by_hand = LogisticRegression(tol=1e-6, max_iter=5000)
    by_hand.fit(np.vstack([X_s, X_t[:20]]), np.r_[y_s, y_t[:20]], sample_weight=_by_hand(len(y_s), 20, 0.8))
    np.testing.assert_allclose(model.predict_proba(X_t), by_hand.predict_proba(X_t), atol=2e-3)
    plain = AdaptationClassifier("linear_probe", device="cpu").fit(X_s, y_s, X_t, marks).score(X_t[20:], y_t[20:])
    assert model.score(X_t[20:], y_t[20:]) > plain + 0.05


def test_without_labelled_target_rows_all_rows_are_alike() -> None:
    X_s, y_s, X_t, _ = few_labels()
    made = AdaptationClassifier("balanced_weighting", device="cpu").fit(X_s, y_s, X_t)
    plain = AdaptationClassifier("linear_probe", device="cpu").fit(X_s, y_s, X_t)
    np.testing.assert_allclose(made.predict_proba(X_t), plain.predict_proba(X_t))


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("BalancedWeighting", {"target_share": 1.0}, "balanced_weighting.target_share = 1.0 is out of range")
    check_refusal("BalancedWeighting", {"classifier": "nearest"}, "takes no row weights")
    with pytest.raises(dalib.DalibError, match="moves no row"):
        dalib.AdaptationTransformer("balanced_weighting").fit(few_labels()[0])
