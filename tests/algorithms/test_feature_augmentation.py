"""FeatureAugmentation: three copies of every column, learned on few target labels too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import dalib
from dalib import AdaptationClassifier, AdaptationTransformer, FeatureAugmentation
from dalib.core.backbone import identity
from dalib.core.network import Network
from tests.support.algorithms import check_refusal
from tests.support.few_labels import few_labels


def _by_hand(x: np.ndarray, target: bool) -> np.ndarray:
    zero = np.zeros_like(x)
    return np.hstack([x, zero, x] if target else [x, x, zero])


def test_rows_are_the_papers_of_either_domain_old_and_new() -> None:
    X_s, _, X_t, _ = few_labels()
    made = AdaptationTransformer("feature_augmentation")
    np.testing.assert_array_equal(made.fit_transform(X_s, X_target=X_t), _by_hand(X_s, False))
    np.testing.assert_array_equal(made.transform(X_t), _by_hand(X_t, True))
    new = made.transform(X_s + 1, sample_domain=np.ones(len(X_s)))
    np.testing.assert_array_equal(new, _by_hand(X_s + 1, False))


@pytest.mark.parametrize("behind", [None, LogisticRegression(tol=1e-6, max_iter=5000)])
def test_the_classifier_is_that_of_the_rows_by_hand(behind: LogisticRegression | None) -> None:
    X_s, y_s, X_t, y_t = few_labels()
    rows = np.vstack([_by_hand(X_s, False), _by_hand(X_t[:20], True)])
    by_hand = LogisticRegression(tol=1e-6, max_iter=5000).fit(rows, np.r_[y_s, y_t[:20]])
    marks = np.where(np.arange(len(y_t)) < 20, y_t, -1)
    model = AdaptationClassifier(FeatureAugmentation(), estimator=behind, device="cpu").fit(X_s, y_s, X_t, marks)
    expected = by_hand.predict_proba(_by_hand(X_t, True))
    np.testing.assert_allclose(model.predict_proba(X_t), expected, atol=2e-3)


def test_it_beats_one_classifier_for_all_where_a_column_means_the_opposite() -> None:
    X_s, y_s, X_t, y_t = few_labels()
    marks = np.where(np.arange(len(y_t)) < 20, y_t, -1)
    plain = AdaptationClassifier("linear_probe", device="cpu").fit(X_s, y_s, X_t, marks).score(X_t[20:], y_t[20:])
    both = AdaptationClassifier(FeatureAugmentation(), device="cpu").fit(X_s, y_s, X_t, marks)
    alone = LogisticRegression().fit(X_t[:20], y_t[:20]).score(X_t[20:], y_t[20:])
    assert both.score(X_t[20:], y_t[20:]) > max(plain, alone) + 0.02


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("FeatureAugmentation", {"C": 0.0}, "feature_augmentation.C = 0.0 is out of range")
    with pytest.raises(dalib.DalibError, match="feature_augmentation weighs no row"):
        dalib.WeightedEstimator("feature_augmentation", LogisticRegression()).fit(*few_labels()[:3])


def test_every_source_may_have_a_copy_of_its_own() -> None:
    """The rows that a classifier is fitted to, written out; sources are told by sample_domain."""
    chance = np.random.default_rng(0)
    X, domain = chance.normal(size=(60, 3)).astype(np.float32), np.repeat([5, 9, -2], 20)
    y = np.arange(60) % 2
    told = np.where((domain > 0) | (np.arange(60) < 46), y, -1)
    copies = np.zeros((60, 12))
    copies[:, :3] = X
    for k, rows in enumerate((domain == 5, domain == 9, domain == -2)):
        copies[rows, 3 + 3 * k : 6 + 3 * k] = X[rows]
    expected = LogisticRegression(tol=1e-8).fit(copies[told >= 0], y[told >= 0]).predict_proba(copies[domain == -2])
    algorithm = dalib.FeatureAugmentation(each_source=True)
    own, behind = (
        dalib.AdaptationClassifier(algorithm, estimator=estimator, device="cpu").fit(X, told, sample_domain=domain)
        for estimator in (None, LogisticRegression(tol=1e-8))
    )
    for model in (own, behind):
        np.testing.assert_allclose(model.predict_proba(X[domain == -2]), expected, atol=1e-4)
    fresh = dalib.FeatureAugmentation(each_source=True)
    fresh.attach(Network(identity(3), 2, 0))
    fresh.load_state_dict(own.fitted_.algorithm.state_dict())
    assert fresh.project(torch.zeros(4, 3)).shape == (4, 12)


def test_a_copy_of_every_source_needs_to_know_the_sources() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    with pytest.raises(dalib.DalibError, match="nobody says which source a row is from"):
        dalib.AdaptationTransformer(dalib.FeatureAugmentation(each_source=True)).fit(X, np.arange(40) % 2, X_target=X)


@pytest.mark.filterwarnings("ignore")
def test_without_target_labels_the_targets_weights_are_half_and_its_offset_is_whole() -> None:
    """The line that says so; z_s' = (z, z, 0) makes both copies carry w / 2, of which a target row has one."""
    X_s, y_s, X_t, _ = few_labels()
    made = AdaptationClassifier(FeatureAugmentation(), device="cpu").fit(X_s, y_s, X_t).decision_function(X_t)
    probe = AdaptationClassifier(dalib.LinearProbe(C=2.0), device="cpu").fit(X_s, y_s, X_t)
    at, offset = probe.decision_function(X_t), probe.decision_function(np.zeros_like(X_t))
    np.testing.assert_allclose(made, (at + offset) / 2, atol=2e-3 * np.abs(at).max())
