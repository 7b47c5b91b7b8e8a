"""The scikit-learn face keeps scikit-learn's own contract, and adaptation helps where there is a shift."""

from __future__ import annotations

import pickle
import warnings
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import dalib
from dalib import AdaptationClassifier, TrainConfig
from dalib.checks.world import make_task
from dalib.core.errors import DalibError
from dalib.estimator import target_scorer

FAST = {"steps": 60, "bottleneck": 16, "batch_size": 32, "lr": 0.05, "evaluations": 1}


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
    assert AdaptationClassifier().fit(X_s, y_s, X_t).fitted_.config == TrainConfig()


def test_a_constant_column_is_not_blown_up_by_rounding() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    for value, spread in ((14.62, 0.01), (0.1, 0.001), (1.7e9, 1.0)):
        columns = [np.c_[3 * y + rng.normal(size=400), value + c * rng.normal(size=400)] for c in (spread, 0, spread)]
        model = AdaptationClassifier(dalib.LinearProbe(), standardise=True, device="cpu")
        with pytest.warns(UserWarning, match="column 1 varies by") if value > 1e9 else nullcontext():
            model.fit(columns[0], y, columns[1])
        with pytest.warns(UserWarning, match="column 1 varies by") if value > 1e9 else nullcontext():
            assert model.moments_[1][1] == 1.0 and model.score(columns[2], y) > 0.88


def test_hyper_parameters_of_the_algorithm_are_set_as_scikit_learn_does() -> None:
    X_s, y_s, X_t, _ = _arrays()
    model = AdaptationClassifier(dalib.CORAL(), device="cpu").set_params(algorithm__reg=0.5)
    assert model.algorithm.reg == 0.5 and model.get_params()["algorithm__reg"] == 0.5
    grid = GridSearchCV(model, {"algorithm__reg": [0.1, 3.0]}, cv=2, scoring=dalib.target_scorer(X_t))
    assert grid.fit(X_s, y_s, X_target=X_t).best_params_["algorithm__reg"] in (0.1, 3.0)
    assert model.algorithm.reg == 0.5
    with pytest.raises(ValueError, match="no hyper-parameter 'rge'; did you mean 'reg'"):
        model.set_params(algorithm__rge=1.0)


def test_a_method_that_rejects_names_the_unknown_and_keeps_a_column_per_class() -> None:
    X_s, y_s, X_t, _ = _arrays()
    model = _classifier(dalib.OSBP()).fit(X_s, y_s, X_t)
    p = model.predict_proba(X_t)
    assert p.shape == (len(X_t), len(model.classes_)) and (p.sum(1) <= 1 + 1e-9).all()
    assert set(model.predict(X_t)) <= {*model.classes_, model.unknown_} and model.unknown_ == -1
    words = _classifier(dalib.OSBP()).fit(X_s, np.array(list("abcdef"))[y_s], X_t)
    assert set(words.predict(X_t)) <= {*words.classes_, "unknown"}


def test_what_looks_wrong_is_said() -> None:
    X_s, y_s, X_t, _ = _arrays()
    probe = AdaptationClassifier(dalib.LinearProbe(), device="cpu")
    with pytest.warns(UserWarning, match="standard deviations of X away; was X_target scaled"):
        probe.fit(X_s, y_s, X_t + 1e4)
    with pytest.warns(UserWarning, match="differ by a factor of"):
        probe.fit(X_s * np.r_[1e6, np.ones(X_s.shape[1] - 1)], y_s, X_t * np.r_[1e6, np.ones(X_s.shape[1] - 1)])
    with pytest.warns(UserWarning, match="label -1 .* taken for a class"):
        probe.fit(X_s, np.where(np.arange(len(y_s)) < 9, -1, y_s), X_t)


def _far_domains() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    middles, y_s, y_t = rng.normal(size=(3, 6)) * 1.5, rng.integers(0, 3, 300), rng.integers(0, 3, 200)
    return middles[y_s] + rng.normal(size=(300, 6)), y_s, middles[y_t] + rng.normal(size=(200, 6)) + 4.0, y_t


@pytest.mark.parametrize("algorithm", ["linear_probe", "coral", "source_only"])
def test_scores_of_held_out_source_rows_come_with_a_warning(algorithm: str) -> None:
    X_s, y_s, X_t, y_t = _far_domains()
    model = AdaptationClassifier(algorithm, device="cpu")
    with pytest.warns(UserWarning, match="look like X of fit, the source.*choose by scoring=target_scorer"):
        cross_val_score(model, X_s, y_s, cv=2, params={"X_target": X_t})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X_s, y_s, X_t)
        warnings.simplefilter("error")
        model.score(X_t, y_t), model.predict(X_t[:2]), model.predict(X_t[y_t == 0]), target_scorer(X_t)(model, X_s)


def test_a_target_scorer_chooses_a_method_that_works_where_source_scores_choose_one_that_does_not() -> None:
    X_s, y_s, X_t, y_t = _far_domains()
    right = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rule, scoring in (("source", None), ("target", target_scorer(X_t))):
            grid = {"algorithm": [dalib.LinearProbe(), dalib.CORAL(), dalib.GFK(), dalib.OTMap()]}
            search = GridSearchCV(AdaptationClassifier(device="cpu"), grid, scoring=scoring, cv=3)
            right[rule] = search.fit(X_s, y_s, X_target=X_t).best_estimator_.score(X_t, y_t)
    assert right["source"] < 0.7 and right["target"] > 0.9


UNSURE = {
    "meda": dalib.MEDA(),
    "jdot": dalib.JDOT(),
    "easy_tl": dalib.EasyTL(),
    "coral": dalib.CORAL(classifier="svm"),
}


@pytest.mark.parametrize("name", UNSURE)
def test_scores_that_are_no_log_probabilities_are_refused_where_probabilities_are_asked_for(name: str) -> None:
    X_s, y_s, X_t, y_t = _arrays()
    model = AdaptationClassifier(UNSURE[name], device="cpu").fit(X_s, y_s, X_t)
    assert model.decision_function(X_t).shape == (len(X_t), 3) and model.score(X_t, y_t) > 0.5
    assert not hasattr(model, "predict_proba") and not hasattr(AdaptationClassifier(UNSURE[name]), "predict_proba")
    with pytest.raises(AttributeError, match="predict_proba needs probabilities, but the scores of"):
        model.predict_proba(X_t)
    for validator in ("information_maximisation", "entropy", "bnm", "snd", "rank_me"):
        with pytest.raises(dalib.DalibError, match=f"validator='{validator}'.* needs probabilities"):
            target_scorer(X_t, validator)(model, X_s, y_s)
    assert np.isfinite(target_scorer(X_t, "mix_val")(model, X_s, y_s))
    assert all(np.isnan(row.probability) for row in dalib.predict(model.fitted_, X_t).rows)


@pytest.mark.parametrize("unit", [1.0, 1e-3])
@pytest.mark.parametrize("name", ["nearest_neighbour", "tjm", "jgsa"])
def test_probabilities_of_nearest_neighbours_are_as_sure_as_they_are_right(name: str, unit: float) -> None:
    rng = np.random.default_rng(0)
    y_s, y_t = rng.integers(0, 3, 300), rng.integers(0, 3, 600)
    means = rng.normal(size=(3, 6)) * 1.2
    X_s, X_t = (unit * (means[y] + rng.normal(size=(len(y), 6))) for y in (y_s, y_t))
    model = AdaptationClassifier(name, device="cpu").fit(X_s, y_s, X_t)
    p = model.predict_proba(X_t)
    np.testing.assert_allclose(p.sum(1), 1)
    assert (p.argmax(1) == model.predict(X_t)).all()
    assert abs(p.max(1).mean() - model.score(X_t, y_t)) < 0.1


def test_methods_with_probabilities_have_them_before_and_after_fit() -> None:
    for algorithm in (None, "coral", dalib.TJM(classifier="logistic"), dalib.DANN() + dalib.MCC()):
        assert hasattr(AdaptationClassifier(algorithm), "predict_proba")
    assert not hasattr(AdaptationClassifier("meda"), "predict_proba")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[[1.0, 2.0]], [[1.0, 2.0, 3.0]]], r"series differ in length \(2 to 3\): pad or cut them"),
        (np.full((4, 3), 1e300), "beyond what float32 can"),
        (np.full((4, 3), np.nan), "NaN or infinity"),
        (np.array([["a", "b"]] * 4, object), "words or objects"),
    ],
)
def test_rows_for_a_backbone_are_refused_with_the_remedy(rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _classifier(backbone="mlp").fit(rows, [0, 1, 0, 1][: len(rows)])


def test_an_algorithm_may_be_named_but_not_be_a_class() -> None:
    X_s, y_s, X_t, _ = _arrays()
    assert type(AdaptationClassifier("coral", device="cpu").fit(X_s, y_s, X_t).fitted_.algorithm).__name__ == "CORAL"
    with pytest.raises(TypeError, match=r"pass an instance, DANN\(\)"):
        AdaptationClassifier(dalib.DANN).fit(X_s, y_s, X_t)


def test_modalities_are_told_apart_by_name_whatever_their_order() -> None:
    X_s, y_s, X_t, _ = _arrays()
    model = _classifier(backbone="modalities").fit({"a": X_s, "b": -X_s}, y_s, {"b": -X_t, "a": X_t})
    assert np.array_equal(model.predict({"a": X_t, "b": -X_t}), model.predict({"b": -X_t, "a": X_t}))
    with pytest.raises(ValueError, match="modalities are a, c; fit was given a, b"):
        model.predict({"a": X_t, "c": X_t})


def _net(channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 13])
def test_images_of_any_channels_reach_ones_own_module_as_they_are(channels: int, kind: type, frozen: bool) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 255, (12, channels, 12, 10)).astype(kind), np.arange(12) % 2
    backbone = replace(dalib.Backbone.of(_net(channels), X), frozen=frozen)
    model = AdaptationClassifier("mcc", backbone=backbone, train={"steps": 2}, device="cpu").fit(X, y, X)
    z = model.fitted_.outputs(model.fitted_.represent(model._domain("X", X, None))).z
    module = model.fitted_.backbone.module.eval()
    with torch.no_grad():
        features = module(torch.as_tensor(X.astype(np.float32)))
    assert torch.allclose(model.fitted_.algorithm.network.bottleneck(features), z, atol=1e-5)
    assert np.array_equal(model.predict(X[:3]), model.predict(X)[:3])


WRONG_PICTURES = {
    "fractions": ((3, 64, 64), np.float32, r"\(255 \* x\)\.round\(\)"),
    "channels last": ((64, 64, 3), np.uint8, r"transpose\(0, 3, 1, 2\)"),
    "one channel": ((1, 64, 64), np.uint8, r"x\.repeat\(3, axis=1\)"),
    "five channels": ((5, 64, 64), np.uint8, r"dalib\.Backbone\.of\(module, x\)"),
    "no channels": ((64, 64), np.uint8, r"x\[:, None\]\.repeat\(3, axis=1\)"),
    "a side that does not fit": ((3, 100, 100), np.uint8, "does not fit tiny .* its own is 64, 96 and 128 fit too"),
}


@pytest.mark.parametrize(("shape", "kind", "remedy"), WRONG_PICTURES.values(), ids=WRONG_PICTURES)
def test_arrays_that_are_no_pictures_for_the_network_are_refused(shape: Any, kind: type, remedy: str) -> None:
    X = (np.random.default_rng(0).random((8, *shape)) * (1 if kind is np.float32 else 255)).astype(kind)
    with pytest.raises((ValueError, DalibError), match=remedy):
        AdaptationClassifier("mcc", backbone="tiny", train={"steps": 1}, device="cpu").fit(X, np.arange(8) % 2, X)


def test_a_named_backbone_starts_from_its_own_weights() -> None:
    X = np.random.default_rng(0).integers(0, 255, (8, 3, 64, 64)).astype(np.uint8)
    model = AdaptationClassifier("mcc", backbone="tiny", train={"steps": 0}, device="cpu").fit(X, np.arange(8) % 2, X)
    own = dalib.load_backbone("tiny", "pretrained").module.state_dict()
    assert all(torch.equal(v, own[k]) for k, v in model.fitted_.backbone.module.state_dict().items())


def test_tensors_with_a_history_are_rows_like_others() -> None:
    X_s, y_s, X_t, _ = _arrays()
    model = _classifier().fit(torch.tensor(X_s, requires_grad=True), torch.tensor(y_s), torch.tensor(X_t))
    assert np.array_equal(model.predict(torch.tensor(X_t, requires_grad=True)), model.predict(X_t))


@pytest.mark.parametrize(("train", "words"), [({"step": 3}, "did you mean 'steps'"), ({"steps": -1}, "steps = -1")])
def test_a_recipe_with_a_mistake_is_one_line(train: dict[str, int], words: str) -> None:
    X_s, y_s, X_t, _ = _arrays()
    with pytest.raises(ValueError, match=words) as caught:
        AdaptationClassifier(train=train).fit(X_s, y_s, X_t)
    assert "\n" not in str(caught.value)
