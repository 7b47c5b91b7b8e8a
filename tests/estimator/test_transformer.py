"""Mappings as transformers: against NumPy, SciPy, scikit-learn and POT, for rows that were and were not there."""

from __future__ import annotations

import pickle

import numpy as np
import ot
import pandas as pd
import pytest
import sklearn
from scipy.linalg import sqrtm
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dalib
from dalib import AdaptationTransformer, WeightedEstimator
from tests.support.two_tables import one_table, shifted

X_S, Y_S, X_T, Y_T = shifted()
NEW_S, NEW_Y, NEW_T, _ = shifted(seed=0, n=60)


def _coral(z: np.ndarray, x_s: np.ndarray, x_t: np.ndarray, reg: float) -> np.ndarray:
    v = (x_s.var(0, ddof=1).mean() + x_t.var(0, ddof=1).mean()) / 2
    C_s, C_t = (np.cov(x.T) + reg * v * np.eye(x.shape[1]) for x in (x_s, x_t))
    return (z - x_s.mean(0)) @ np.linalg.inv(sqrtm(C_s)) @ sqrtm(C_t) + x_t.mean(0)


def test_coral_is_the_formula_for_old_and_new_rows_of_either_domain() -> None:
    made = AdaptationTransformer(dalib.CORAL(reg=0.3))
    np.testing.assert_allclose(made.fit_transform(X_S, X_target=X_T), _coral(X_S, X_S, X_T, 0.3), atol=1e-9)
    np.testing.assert_allclose(made.transform(NEW_T), NEW_T)
    as_source = made.transform(NEW_S, sample_domain=np.ones(len(NEW_S)))
    np.testing.assert_allclose(as_source, _coral(NEW_S, X_S, X_T, 0.3), atol=1e-9)


def test_a_transport_map_and_its_new_rows_are_those_of_pot() -> None:
    reference = ot.da.EMDTransport().fit(Xs=X_S, Xt=X_T)
    made = AdaptationTransformer(dalib.OTMap(method="emd", unit_rows=False))
    scale = np.sqrt(np.square(reference.transform(Xs=X_S) - reference.transform(Xs=X_S).mean(0)).sum(1).mean())
    np.testing.assert_allclose(made.fit_transform(X_S, X_target=X_T) * scale, reference.transform(Xs=X_S), atol=1e-8)
    new = made.transform(NEW_S, sample_domain=["source"] * len(NEW_S)) * scale
    np.testing.assert_allclose(new, reference.transform(Xs=NEW_S), atol=1e-8)


def test_a_linear_transport_map_carries_new_rows_as_pot_does() -> None:
    reference = ot.da.LinearTransport(reg=1e-12).fit(Xs=X_S, Xt=X_T)
    made = AdaptationTransformer(dalib.OTMap(method="linear", unit_rows=False, reg=1e-12)).fit(X_S, X_target=X_T)
    new = made.transform(NEW_S, sample_domain=np.ones(len(NEW_S))) * float(made.mapping_.algorithm.scale)
    np.testing.assert_allclose(new, reference.transform(Xs=NEW_S), rtol=0.02, atol=0.02)


def test_subspaces_are_those_of_principal_components() -> None:
    P_s, P_t = (PCA(2).fit(x).components_.T for x in (X_S, X_T))
    made = AdaptationTransformer(dalib.SubspaceAlignment(components=2))
    moved = made.fit_transform(X_S, X_target=X_T)
    reference = (X_S - X_S.mean(0)) @ P_s @ P_s.T @ P_t
    np.testing.assert_allclose(moved @ moved.T, reference @ reference.T, atol=1e-8)
    new = made.transform(np.vstack([NEW_S, NEW_T]), sample_domain=np.r_[np.ones(len(NEW_S)), -np.ones(len(NEW_T))])
    both = np.vstack([(NEW_S - X_S.mean(0)) @ P_s @ P_s.T @ P_t, (NEW_T - X_T.mean(0)) @ P_t])
    np.testing.assert_allclose(new @ new.T, both @ both.T, atol=1e-8)


@pytest.mark.parametrize("name", ["coral", "gfk", "subspace_alignment", "pca_map", "tca", "jda", "bda", "tjm", "jgsa"])
def test_old_source_rows_move_as_they_did_in_the_fit_and_one_table_says_the_same(name: str) -> None:
    made = AdaptationTransformer(name)
    moved = made.fit_transform(X_S, Y_S, X_target=X_T)
    np.testing.assert_allclose(made.transform(X_S, sample_domain=np.ones(len(X_S))), moved, atol=1e-7)
    X, sign = np.vstack([X_T, X_S]), np.r_[-np.ones(len(X_T)), np.ones(len(X_S))]
    y = np.r_[-np.ones(len(X_T), int), Y_S]
    both = AdaptationTransformer(name).fit_transform(X, y, sample_domain=sign)
    np.testing.assert_allclose(both, np.vstack([made.transform(X_T), moved]), atol=1e-7)
    assert np.array_equal(pickle.loads(pickle.dumps(made)).transform(X_T), made.transform(X_T))


def test_a_plain_estimator_behind_it_predicts_for_the_target() -> None:
    alone = LogisticRegression().fit(X_S, Y_S).score(X_T, Y_T)
    behind = make_pipeline(AdaptationTransformer(dalib.CORAL(reg=0.1)), LogisticRegression())
    score = behind.fit(X_S, Y_S, adaptationtransformer__X_target=X_T).score(X_T, Y_T)
    assert score > 0.95 > alone + 0.1
    by_hand = LogisticRegression().fit(_coral(X_S, X_S, X_T, 0.1), Y_S)
    assert np.array_equal(behind.predict(X_T), by_hand.predict(X_T))


def test_one_table_passes_a_pipeline_and_a_search_with_metadata_routing() -> None:
    X, y, domain = one_table()
    hidden = np.where(domain < 0, -1, y)
    steps = AdaptationTransformer(dalib.CORAL(reg=0.1)), WeightedEstimator(None, LogisticRegression())
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(StandardScaler(), *steps).fit(X, hidden, sample_domain=domain)
        assert model.score(X[domain < 0], y[domain < 0]) > 0.95
        grid = GridSearchCV(
            model,
            {"adaptationtransformer__algorithm": [dalib.CORAL(reg=0.1), dalib.PCAMap(components=2)]},
            cv=dalib.SourceTargetShuffleSplit(2, random_state=0),
            scoring=dalib.make_scorer("ami"),
        )
        grid.fit(X, hidden, sample_domain=domain)
    assert grid.best_estimator_.score(X[domain < 0], y[domain < 0]) > 0.9


@pytest.mark.parametrize("name", ["coral", "ot_map", "pca_map", "tca"])
def test_the_rows_that_are_given_are_never_written_to(name: str) -> None:
    X, y, domain = one_table()
    given, read_only = X.copy(), X.copy()
    read_only.flags.writeable = False
    hidden = np.where(domain < 0, -1, y)
    model = AdaptationTransformer(name)
    moved = model.fit_transform(X, hidden, sample_domain=domain)
    kept, apart = moved.copy(), AdaptationTransformer(name).fit_transform(X_S, Y_S, X_target=X_T)
    for made in (moved, model.transform(X, sample_domain=domain), model.transform(X), apart):
        made += 1  # nor by who gets what was made
    np.testing.assert_array_equal(X, given)
    np.testing.assert_allclose(model.transform(X, sample_domain=domain), kept, atol=1e-9)
    np.testing.assert_array_equal(
        AdaptationTransformer(name).fit_transform(read_only, hidden, sample_domain=domain), kept
    )
    frame = (
        AdaptationTransformer(name)
        .set_output(transform="pandas")
        .fit_transform(pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])]), hidden, sample_domain=domain)
    )
    np.testing.assert_allclose(frame.to_numpy(), kept, atol=1e-12)


def test_columns_keep_their_names_where_the_method_keeps_columns() -> None:
    frame_s, frame_t = (pd.DataFrame(x, columns=list("abcde")) for x in (X_S, X_T))
    kept = AdaptationTransformer("coral").set_output(transform="pandas").fit_transform(frame_s, X_target=frame_t)
    assert list(kept.columns) == list("abcde") and list(kept.index) == list(frame_s.index)
    made = AdaptationTransformer(dalib.TCA(components=2)).set_output(transform="pandas")
    assert list(made.fit_transform(frame_s, X_target=frame_t).columns) == ["tca0", "tca1"]
    with pytest.raises(ValueError, match="feature names should match"):
        made.transform(frame_t[list("edcba")])


def test_target_labels_in_y_are_refused_where_an_estimator_behind_would_learn_from_them() -> None:
    X, y, domain = one_table()
    with pytest.raises(ValueError, match="all 100 target rows have labels in y: to hide them"):
        AdaptationTransformer("coral").fit(X, y, sample_domain=domain)
    open_ = AdaptationTransformer("coral", target_labels="ignore").fit(X, y, sample_domain=domain)
    hidden = AdaptationTransformer("coral").fit(X, np.where(domain < 0, -1, y), sample_domain=domain)
    assert np.array_equal(open_.transform(X), hidden.transform(X))


def test_methods_that_move_no_row_are_refused_with_what_to_use() -> None:
    for name, words in {"kmm": "WeightedEstimator", "meda": "its own classifier", "dann": "trains a network"}.items():
        with pytest.raises(dalib.DalibError, match=words):
            AdaptationTransformer(name).fit(X_S, Y_S, X_target=X_T)
    with pytest.raises(ValueError, match="jda groups rows by class"):
        AdaptationTransformer("jda").fit(X_S, X_target=X_T)
    with pytest.raises(ValueError, match="marks no row as the target's"):
        AdaptationTransformer("coral").fit(X_S, sample_domain=np.ones(len(X_S)))


@pytest.mark.parametrize("name", ["coral", "gfk", "subspace_alignment", "pca_map", "tca", "tjm", "ot_map"])
def test_methods_that_say_they_read_no_labels_do_not(name: str) -> None:
    cls = dalib.core.registry.ALGORITHMS.get(name)
    assert not cls().uses_labels
    one, other = (dalib.estimator.mapping.Mapping(cls(), X_S, y, X_T, 3).moved for y in (Y_S, Y_S[::-1].copy()))
    assert np.array_equal(one, other)
