"""Splits by domain, against scikit-learn's own and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_validate

import dalib
from dalib import LeaveOneDomainOut, SourceTargetShuffleSplit, double_domains
from tests.support.two_tables import shifted

SIGNS = np.r_[np.ones(30, int), -np.ones(20, int)]
NAMES = np.array(["amazon", "dslr", "webcam"])[np.arange(60) % 3]


def test_a_part_of_the_target_is_held_out_and_all_the_rest_is_for_training() -> None:
    splitter = SourceTargetShuffleSplit(4, test_size=0.4, random_state=0)
    splits = list(splitter.split(SIGNS, sample_domain=SIGNS))
    assert len(splits) == splitter.get_n_splits() == 4
    for train, test in splits:
        assert len(test) == 8 and (SIGNS[test] < 0).all()
        assert sorted([*train, *test]) == list(range(50))
    assert len({tuple(test) for _, test in splits}) == 4
    again = list(splitter.split(SIGNS, sample_domain=SIGNS))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(splits, again, strict=True))


def test_both_domains_are_held_out_on_demand() -> None:
    for _, test in SourceTargetShuffleSplit(2, test_size=0.5, test="both").split(SIGNS, sample_domain=SIGNS):
        assert (SIGNS[test] > 0).sum() == 15 and (SIGNS[test] < 0).sum() == 10


def test_domains_by_name_are_left_out_as_groups_are() -> None:
    ours = list(LeaveOneDomainOut().split(NAMES, sample_domain=NAMES))
    theirs = list(LeaveOneGroupOut().split(NAMES, groups=NAMES))
    assert len(ours) == LeaveOneDomainOut().get_n_splits(sample_domain=NAMES) == 3
    for (a, b), (c, d) in zip(ours, theirs, strict=True):
        assert np.array_equal(a, c) and np.array_equal(b, d)


@pytest.mark.parametrize("test_size", [None, 0.5])
def test_a_domain_left_out_is_the_target_and_never_a_source(test_size: float | None) -> None:
    X, _, domain = double_domains(np.arange(60)[:, None], np.zeros(60), NAMES)
    for k, (train, test) in enumerate(LeaveOneDomainOut(test_size=test_size).split(X, None, domain), 1):
        assert (domain[test] == -k).all() and not (domain[train] == k).any()
        assert set(domain[train]) == {*(j for j in (1, 2, 3) if j != k), -k}
        seen, held = set(X[train, 0][domain[train] < 0]), set(X[test, 0])
        assert (seen == held) if test_size is None else not (seen & held)


def test_adaptation_to_the_domain_left_out_is_cross_validated() -> None:
    X_s, y_s, X_t, y_t = shifted(shift=6.0)
    X, y = np.vstack([X_s[::2], X_s[1::2], X_t]), np.r_[y_s[::2], y_s[1::2], y_t]
    names = np.r_[["a"] * 60, ["b"] * 60, ["c"] * 100]
    X2, y2, domain = double_domains(X, y, names)
    model = dalib.AdaptationClassifier(dalib.CORAL(reg=0.1), target_labels="ignore", device="cpu")
    with sklearn.config_context(enable_metadata_routing=True):
        adapted = cross_validate(model, X2, y2, cv=LeaveOneDomainOut(), params={"sample_domain": domain})["test_score"]
        plain = dalib.WeightedEstimator(None, LogisticRegression(), target_labels="ignore")
        alone = cross_validate(plain, X2, y2, cv=LeaveOneDomainOut(), params={"sample_domain": domain})["test_score"]
    by_hand = LogisticRegression().fit(X[names != "c"], y[names != "c"]).score(X_t, y_t)
    assert alone[2] == pytest.approx(by_hand, abs=0.02) and adapted[2] > by_hand + 0.1


def test_splits_without_domains_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"needs sample_domain.*enable_metadata_routing"):
        next(iter(SourceTargetShuffleSplit().split(SIGNS)))
    with pytest.raises(ValueError, match="names 1 domain, 'a'"):
        LeaveOneDomainOut().get_n_splits(sample_domain=["a", "a"])
    with pytest.raises(ValueError, match="domain 1 has no other as a source"):
        LeaveOneDomainOut().get_n_splits(sample_domain=[1, -1])
    with pytest.raises(ValueError, match="no row as the source's"):
        next(iter(SourceTargetShuffleSplit().split(SIGNS, sample_domain=-np.ones(50))))
    with pytest.raises(ValueError, match="say 'target' or 'both'"):
        next(iter(SourceTargetShuffleSplit(test="source").split(SIGNS, sample_domain=SIGNS)))
    assert repr(SourceTargetShuffleSplit(2)).startswith("SourceTargetShuffleSplit(n_splits=2, ")
