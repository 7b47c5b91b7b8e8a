"""LinearProbe: A classifier solved on labelled features as they are; the target's unlabelled rows are not used."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import dalib
from dalib.checks.world import fit
from dalib.core.errors import DalibError
from dalib.records.spec import DataSpec, RunSpec
from tests.support.algorithms import check_refusal
from tests.support.shifts import check_a_solved_method_does_no_harm_without_a_shift, translated


def test_a_solved_method_does_no_harm_without_a_shift() -> None:
    check_a_solved_method_does_no_harm_without_a_shift("LinearProbe")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("LinearProbe", {"C": 0.0}, "linear_probe.C = 0.0")


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_it_is_scikit_learns_logistic_regression(C: float) -> None:
    x_s, y_s, x_t, _ = (v.numpy() for v in translated())
    model = dalib.AdaptationClassifier(dalib.LinearProbe(C=C)).fit(x_s, y_s, x_t)
    expected = LogisticRegression(C=C, tol=1e-8, max_iter=5000).fit(x_s.astype(np.float64), y_s).predict_proba(x_t)
    np.testing.assert_allclose(model.predict_proba(x_t), expected, atol=1e-3)


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
