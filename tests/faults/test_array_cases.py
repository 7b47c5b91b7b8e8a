"""Arrays that once gave a wrong number, a traceback or no word: what is right for each kind."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import dalib
from dalib import AdaptationClassifier, DalibError


def _draw(n: int = 90, width: int = 6, shift: float = 0.3, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    means, y_s, y_t = rng.normal(size=(3, width)) * 2, rng.integers(0, 3, n), rng.integers(0, 3, n)
    x_s, x_t = (means[y] + rng.normal(size=(n, width)) * 0.7 for y in (y_s, y_t))
    return x_s, y_s, x_t + shift, y_t


def _said(algorithm: Any, x_s: np.ndarray, y_s: np.ndarray, x_t: np.ndarray, **how: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AdaptationClassifier(algorithm, device="cpu", **how).fit(x_s, y_s, x_t)
    return [str(w.message) for w in caught if "target rows is called" not in str(w.message)]


# --- images of any kind -----------------------------------------------------------------------------------------------


class Pool(nn.Module):
    """Any number of channels -> features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3)

    def forward(self, x: Any) -> Any:
        return self.conv(x).relu().mean((2, 3))


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 13])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16"])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_module_of_ones_own_takes_images_of_any_channels_and_type(
    channels: int, dtype: str, frozen: bool, tmp_path: Any
) -> None:
    rng, y = np.random.default_rng(0), np.arange(40) % 2
    x = (rng.normal(size=(40, channels, 8, 6)) * 20 + 60 + 80 * y[:, None, None, None]).clip(0, 255).astype(dtype)
    torch.manual_seed(0)
    backbone = dalib.Backbone.of(Pool(channels), x)
    backbone.frozen = frozen
    model = AdaptationClassifier("source_only", backbone=backbone, train={"steps": 60}, device="cpu").fit(x, y, x)
    assert model.score(x, y) == 1
    fitted = model.fitted_
    task = model._task(x, y, x)
    store = fitted.store(fitted.represent(task.target))
    expected = backbone.module.cpu().conv.weight.new_tensor(x.astype(np.float32))
    if not frozen:
        assert (store.x == expected).all(), "the module sees the numbers as they are"


@pytest.mark.parametrize(
    ("backbone", "shape", "dtype", "words"),
    [
        ("tiny", (4,), "float32", "takes RGB images .*; for rows .4,. use mlp"),
        ("tiny", (1, 32, 32), "uint8", "repeat the grey channel"),
        ("tiny", (32, 32, 3), "uint8", "put the channels first"),
        ("tiny", (3, 32, 32), "float32", "give the pixels unscaled"),
        ("tiny", (3, 40, 30), "uint8", "cut or warp them to squares"),
        ("lenet", (5, 32, 32), "float32", "or give a network of your own"),
        ("resnet18", (6,), "float32", "takes RGB images"),
        ("mlp", (3, 8, 8), "float32", "takes rows of numbers"),
        ("identity", (3, 8), "float32", "identity passes features"),
    ],
)
def test_rows_that_a_network_does_not_take_are_refused_with_what_to_do(
    backbone: str, shape: tuple[int, ...], dtype: str, words: str
) -> None:
    y = np.arange(20) % 2
    x = np.broadcast_to(y.reshape(-1, *[1] * len(shape)), (20, *shape)).astype(dtype)
    with pytest.raises((ValueError, DalibError), match=words):
        AdaptationClassifier(backbone=backbone, device="cpu").fit(x, y, x)


def test_networks_by_name_have_the_weights_that_are_their_own() -> None:
    x, y = np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32)).astype(np.uint8), np.arange(12) % 2
    for name in ("tiny", "lenet"):
        model = AdaptationClassifier(backbone=name, train={"steps": 2}, device="cpu").fit(x, y, x)
        assert model.predict(x).shape == (12,)
    rows = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    assert AdaptationClassifier("coral", backbone="identity", device="cpu").fit(rows, y, rows).predict(rows).shape == (
        12,
    )


# --- units, lengths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["linear_probe", "coral", "gfk", "subspace_alignment", "kmm"])
def test_a_unit_that_leaves_a_penalised_classifier_at_chance_is_said(algorithm: str) -> None:
    x_s, y_s, x_t, _ = _draw()
    assert _said(algorithm, x_s, y_s, x_t) == []
    (text,) = _said(algorithm, 1e-4 * x_s, y_s, 1e-4 * x_t)
    assert text.startswith(f"{algorithm}: rows lie ") and "standardise the columns, or raise C" in text
    assert _said(algorithm, 1e-4 * x_s, y_s, 1e-4 * x_t, standardise=True) == []


def test_a_unit_below_what_batch_norms_see_is_said() -> None:
    y = np.arange(60) % 2
    series = np.random.default_rng(0).normal(size=(60, 1, 32)) + y[:, None, None]
    how = {"backbone": "cnn1d", "train": {"steps": 3}}
    assert _said("source_only", series, y, series, **how) == []
    (text,) = _said("source_only", 1e-6 * series, y, 1e-6 * series, **how)
    assert "vary by" in text and "give them in another unit" in text
    x_s, y_s, x_t, _ = _draw()
    assert any("vary by" in text for text in _said("dann", 1e-7 * x_s, y_s, 1e-7 * x_t, train={"steps": 3}))


@pytest.mark.parametrize("algorithm", ["ot_map", "tca", "jda", "bda", "tjm", "jgsa"])
def test_unit_rows_that_lose_the_classes_are_said(algorithm: str) -> None:
    rng, y = np.random.default_rng(0), np.arange(100) % 2
    along = np.outer(2 + 2 * y, [1.0, 1.0]) + 0.4 * rng.normal(size=(100, 2))
    (text,) = (t for t in _said(algorithm, along, y, along + 1.5) if "unit length" in t)
    assert "scales rows to unit length, and their lengths tell classes apart" in text
    assert ("set unit_rows = False" in text) == (algorithm != "jgsa")
    x_s, y_s, x_t, _ = _draw()
    assert _said(algorithm, x_s, y_s, x_t) == []


def test_rows_as_they_are_give_what_transport_gives_elsewhere() -> None:
    """POT's EMDTransport and logistic regression: .96 on one column, 1.0 where classes lie along one direction."""
    rng, y = np.random.default_rng(0), np.arange(100) % 2
    one = rng.normal(size=(100, 1)) + 3 * y[:, None] + 5
    along = np.outer(2 + 2 * y, [1.0, 1.0]) + 0.4 * rng.normal(size=(100, 2))
    for x, method in ((one, "emd"), (one, "sinkhorn"), (one, "linear"), (along, "emd"), (along, "linear")):
        model = AdaptationClassifier(dalib.OTMap(method=method, unit_rows=False), device="cpu").fit(x, y, x + 2)
        assert model.score(x + 2, y) > 0.9


# --- suites and features without labels -------------------------------------------------------------------------------


def test_a_suite_refuses_a_target_without_labels_and_rejection_without_probabilities(tmp_path: Any) -> None:
    x_s, y_s, x_t, y_t = _draw(30)
    np.savez(tmp_path / "f.npz", a_x=x_s, a_y=y_s, b_x=x_t)
    np.savez(tmp_path / "g.npz", a_x=x_s, a_y=y_s, b_x=x_t, b_y=y_t)
    suite = {"name": "s", "tasks": ["a->b"], "seeds": [0], "algorithms": {"meda": {}}}
    for file, more, words in (
        (
            "f",
            {},
            r"b has no labels, so no table can say how good .* dalib train \(dalib\.fit\), or label some of its rows",
        ),
        ("g", {"protocol": {"reject": 0.5}}, "suite s, row meda: reject = 0.5 needs probabilities"),
    ):
        content = {**suite, **more, "dataset": f"features:{tmp_path / file}.npz"}
        with pytest.raises(DalibError, match=words):
            dalib.run_suite(dalib.Suite.model_validate(content), store=tmp_path / "runs")


def test_a_target_without_labels_is_trained_on_predicted_and_not_evaluated(tmp_path: Any) -> None:
    x_s, y_s, x_t, y_t = _draw(60)
    file = tmp_path / "f.npz"
    np.savez(file, a_x=x_s, a_y=np.array(["cat", "cow", "dog"])[y_s], b_x=x_t)
    run = dalib.fit(f"features:{file}", "a", "b", "coral", data={"normalise": ["zscore"]}, out=tmp_path / "m")
    assert list(run.values) == ["source, training rows", "source, held-out rows"]
    told = dalib.predict(run.path, file, domain="b")
    assert np.mean([row.label == ("cat", "cow", "dog")[k] for row, k in zip(told.rows, y_t, strict=True)]) > 0.9
    with pytest.raises(DalibError, match="'b' has no labels to compare with"):
        dalib.evaluate(run.path, f"features:{file}", "b")


# --- what people hand over --------------------------------------------------------------------------------------------

X, Y, TARGET, _ = _draw(60, width=4)
TABLE = pd.DataFrame(X, columns=list("abcd"))
WORDS = np.array(["a", "b", "c"])[Y]
BACKBONES: list[Any] = [None, "mlp"]

ROWS = {
    "float16": X.astype(np.float16),
    "columns first": np.asfortranarray(X),
    "backwards": X[::-1][::-1],
    "objects": X.astype(object),
    "masked, none of them": np.ma.masked_array(X, np.zeros_like(X, bool)),
    "lists": X.tolist(),
    "a tensor with a gradient": torch.tensor(X, requires_grad=True),
    "a table": TABLE,
    "nullable columns": TABLE.astype("Float64"),
    "sparse columns": TABLE.astype(pd.SparseDtype(float, 0.0)),
    "filled sparse columns": TABLE.astype(pd.SparseDtype(float)),
    "object columns": TABLE.astype(object),
    "columns named by numbers": pd.DataFrame(X),
}


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("kind", ROWS)
def test_the_same_numbers_in_another_coat_give_the_same_answers(kind: str, backbone: Any) -> None:
    rows = ROWS[kind]
    how = {"backbone": backbone, "device": "cpu", "train": {"steps": 5}}
    algorithm = "coral" if backbone is None else "source_only"
    plain = AdaptationClassifier(algorithm, **how).fit(X, Y, X).decision_function(X)
    got = AdaptationClassifier(algorithm, **how).fit(rows, Y, rows).decision_function(rows)
    np.testing.assert_allclose(got, plain, atol=0.2 if kind == "float16" else 1e-4)


MASKED = np.ma.masked_array(X, X > 1)
BAD_ROWS = {
    "masked": (MASKED, rf"{int((X > 1).sum())} masked values"),
    "dates": (X.astype("datetime64[s]"), "dates or times"),
    "a date column": (TABLE.assign(e=pd.Timestamp("2020")), "column 'e' holds datetime64"),
    "words": (TABLE.assign(e="x"), "column 'e' holds"),
    "categories": (TABLE.assign(e=pd.Categorical(["x"] * 60)), "column 'e' holds category"),
    "missing whole numbers": (TABLE.astype("Float64").mask(TABLE > 1).round().astype("Int64"), "NaN"),
    "missing": (TABLE.astype("Float64").mask(TABLE > 1), "NaN"),
    "one name twice": (pd.DataFrame(X, columns=list("aacd")), "2 columns are called 'a'"),
    "no rows": (X[:0], "no rows|0 sample"),
    "infinite": (np.where(X > 1, np.inf, X), "infinity"),
    "huge": (X * 1e39, "float32"),
    "complex": (X + 1j, "[Cc]omplex"),
}


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("kind", BAD_ROWS)
def test_rows_that_are_none_are_refused_with_their_reason(kind: str, backbone: Any) -> None:
    rows, words = BAD_ROWS[kind]
    model = AdaptationClassifier(backbone=backbone, device="cpu", train={"steps": 1})
    with pytest.raises(ValueError, match=words):
        model.fit(rows, Y[: len(rows)], X)
    if kind != "no rows":
        with pytest.raises(ValueError, match=words):
            model.fit(TABLE if isinstance(rows, pd.DataFrame) and len(rows.columns) == 4 else X, Y, rows)


def test_modalities_without_a_backbone_are_refused() -> None:
    for rows in ({"a": X, "b": X}, np.zeros(60, [("a", float), ("b", float)])):
        with pytest.raises(ValueError, match="give backbone='modalities' for them"):
            AdaptationClassifier(device="cpu").fit(rows, Y)


LABELS = {
    "whole floats": (Y.astype(float), [0.0, 1.0, 2.0]),
    "a column": (Y[:, None], [0, 1, 2]),
    "objects of one type": (Y.astype(object), [0, 1, 2]),
    "words": (WORDS, ["a", "b", "c"]),
    "categories, one of them empty": (pd.Categorical(WORDS, categories=list("dcba")), ["a", "b", "c"]),
    "words of pandas": (pd.Series(WORDS, dtype="string"), ["a", "b", "c"]),
    "nullable numbers": (pd.array(Y.tolist(), dtype="Int64"), [0, 1, 2]),
    "far from zero": (Y * 10**12 - 5, [-5, 10**12 - 5, 2 * 10**12 - 5]),
    "unsigned": (Y.astype(np.uint64) + np.uint64(2**63), [2**63, 2**63 + 1, 2**63 + 2]),
    "a tensor": (torch.tensor(Y), [0, 1, 2]),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_labels_of_any_type_come_back_as_they_were_given(kind: str) -> None:
    y, classes = LABELS[kind]
    model = AdaptationClassifier("coral", device="cpu").fit(X, y, X)
    assert model.classes_.tolist() == classes
    assert (model.predict(X) == np.array(classes, model.classes_.dtype)[Y]).mean() > 0.9


def test_labels_of_blanks_alone_are_classes_and_asked_about() -> None:
    with pytest.warns(UserWarning, match="the label '' .16 rows., which is taken for a class"):
        model = AdaptationClassifier("coral", device="cpu").fit(X, np.where(WORDS == "a", "", WORDS), X)
    assert model.classes_.tolist() == ["", "b", "c"]
    assert (model.predict(X) == np.array(["", "b", "c"])[Y]).mean() > 0.9


BAD_LABELS = {
    "None": (np.where(WORDS == "a", None, WORDS), "None in row"),
    "NaN": (np.where(Y == 0, np.nan, Y), "NaN in row"),
    "missing of pandas": (pd.Series(np.where(WORDS == "a", None, WORDS), dtype="string"), "NaN in row"),
    "missing number of pandas": (pd.array([None, *Y[1:].tolist()], dtype="Int64"), "NaN in row 0 .1 in all."),
    "masked": (np.ma.masked_array(Y, np.arange(60) < 5), "a masked value in row 0 .5 in all."),
    "dates": (np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "datetime64[D]")[Y], "holds dates or times"),
    "two types": (np.where(Y == 0, 1, np.where(Y == 1, "1", "2").astype(object)), r"mixes 1 \(int\) and '.' \(str\)"),
    "one-hot": (np.eye(3)[Y], r"shape \(60, 3\); of one-hot rows give y.argmax"),
    "one class": (WORDS[WORDS == "a"], "y holds 1 class .'a'.; a classifier needs at least 2"),
    "numbers": (Y + 0.5, "continuous"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_labels_that_are_none_are_refused_with_their_reason(kind: str) -> None:
    y, words = BAD_LABELS[kind]
    with pytest.raises(ValueError, match=words):
        AdaptationClassifier(device="cpu").fit(X[: len(y)], y, X)


def test_words_for_a_missing_label_are_said() -> None:
    (text,) = _said("coral", X, np.where(WORDS == "a", "nan", WORDS), X)
    assert text.startswith(f"y holds the label 'nan' ({int((Y == 0).sum())} rows), which is taken for a class")


def test_equal_rows_odd_scales_and_columns_of_one_domain_are_said() -> None:
    assert {
        "all rows of X are equal: nothing can be told apart",
        "all rows of X_target are equal: nothing can be told apart",
    } <= set(_said("coral", X * 0 + 1, Y, X * 0 + 1, standardise=True))
    (text,) = _said("coral", X, Y, X * 1e-3)
    assert "the columns of X_target vary 1.0e-03 times as much as those of X" in text
    (text,) = _said("coral", X * 1e20, Y, X * 1e20)
    assert "too far for the classifier's solver" in text
    assert any(
        "whose squares float32 cannot hold" in t for t in _said("dann", X * 1e20, Y, X * 1e20, train={"steps": 2})
    )
    how = {"backbone": "mlp", "train": {"steps": 2}}
    (text,) = _said("source_only", np.c_[X, np.ones(60)], Y, np.c_[X, np.zeros(60)], **how)
    assert "column 4 is 1 in all rows of X, but not in X_target" in text
    assert _said("source_only", np.c_[X, np.ones(60)], Y, np.c_[X, np.ones(60)], **how) == []


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"random_state": np.random.default_rng(0)}, TypeError, r"of a Generator, int\(g.integers"),
        ({"random_state": "0"}, TypeError, "random_state = '0' is neither"),
        ({"random_state": 1.5}, TypeError, "random_state = 1.5 is neither"),
        ({"standardise": "no"}, TypeError, "standardise = 'no' is neither True nor False"),
        ({"backbone": nn.Linear}, TypeError, "an instance"),
        ({"train": 3}, TypeError, "train = 3 is neither"),
        ({"train": {"step": 3}}, ValueError, "train has no field 'step'.*'steps'"),
        ({"train": {"steps": -3}}, ValueError, "train: steps = -3 should be greater"),
    ],
)
def test_arguments_of_another_type_are_refused(how: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        AdaptationClassifier(device="cpu", **how).fit(X, Y, X)


# --- feature files ----------------------------------------------------------------------------------------------------


def _fit_file(folder: Any, how: dict[str, Any] | None = None, **arrays: Any) -> Any:
    content = {"a_x": X, "a_y": Y, "b_x": X + 0.1, "b_y": Y, **arrays}
    np.savez(folder / "f.npz", **content)
    return dalib.fit(f"features:{folder / 'f.npz'}", "a", "b", "coral", out=folder / "m", device="cpu", **(how or {}))


def test_a_constant_column_that_is_z_scored_leaves_a_model_that_can_be_read(tmp_path: Any) -> None:
    column = np.full((60, 1), 14.62)
    run = _fit_file(tmp_path, {"data": {"normalise": ["zscore"]}}, a_x=np.c_[X, column], b_x=np.c_[X + 0.1, column])
    answers = dalib.predict(run.path, tmp_path / "f.npz", domain="b").rows
    assert np.mean([int(a.label) == k for a, k in zip(answers, Y, strict=True)]) == run.values["target"]
    moved = dalib.predict(run.path, np.c_[X + 0.1, column + 3]).rows
    assert [a.label for a in moved] == [a.label for a in answers], "a column without a deviation says nothing"


def test_bytes_are_words_and_words_for_a_missing_label_are_told(tmp_path: Any) -> None:
    run = _fit_file(tmp_path, a_y=WORDS.astype("S"), b_y=WORDS, classes=np.array([b"a", b"b", b"c"]))
    assert run.fitted.classes == ("a", "b", "c")
    told = np.where(WORDS == "a", "nan", WORDS)
    assert (
        "'nan' is a class here; if it means 'no label', leave its rows out"
        in _fit_file(tmp_path, a_y=told, b_y=told).remarks
    )


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a_y": np.where(Y == 0, np.inf, Y)}, "a_y has the label inf; labels of type float64 are below 2"),
        ({"a_y": Y + 2.0**60}, "labels of type float64 are below 2"),
        ({"a_y": Y.astype(np.uint64) + np.uint64(2**63)}, "labels of type uint64 are below 2"),
        ({"a_y": np.array([b"\xff\xfe", b"b", b"c"])[Y]}, "a_y holds bytes that are no UTF-8 text"),
        ({"a_scale": 0.0}, "a_scale = 0; rows are multiplied by it, give > 0"),
        ({"a_scale": -1.0}, "a_scale = -1; rows"),
    ],
)
def test_labels_and_scales_that_would_be_read_as_others_are_refused(
    arrays: dict[str, Any], words: str, tmp_path: Any
) -> None:
    with pytest.raises(DalibError, match=words):
        _fit_file(tmp_path, **arrays)


def test_large_whole_labels_keep_their_names(tmp_path: Any) -> None:
    run = _fit_file(tmp_path, a_y=Y * 10**18, b_y=Y * 10**18)
    assert run.fitted.classes == ("0", str(10**18), str(2 * 10**18))


def test_a_target_far_away_or_scaled_otherwise_is_told_by_fit(tmp_path: Any) -> None:
    assert _fit_file(tmp_path).remarks == ()
    far = _fit_file(tmp_path, b_x=X + 1e4).remarks[0]
    assert "of 'b' lies" in far and far.endswith("was 'b' scaled like 'a'?")
    assert (
        "of 'b' vary 1.0e-03 times as much as those of 'a'"
        in _fit_file(tmp_path, b_x=(X - X.mean(0)) / 1e3 + X.mean(0)).remarks[0]
    )
    odd = X * np.r_[1e6, 1, 1, 1]
    assert "data.normalise = zscore scales them" in _fit_file(tmp_path, a_x=odd, b_x=odd).remarks[0]


# --- pipelines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["coral", "dann", "kmm"])
def test_a_pipeline_that_leaves_the_target_unscaled_is_said_and_routing_scales_both(algorithm: str) -> None:
    x_s, y_s, x_t, y_t = _draw(90)
    units = np.array([1, 10, 100, 1000, 0.1, 0.01])
    x_s, x_t = x_s * units + 5 * units, x_t * units + 5 * units
    classifier = AdaptationClassifier(algorithm, device="cpu")
    with pytest.warns(
        UserWarning, match=r"standard deviations of X away; was X_target scaled like X\? .*transform_input"
    ):
        make_pipeline(StandardScaler(), classifier).fit(x_s, y_s, adaptationclassifier__X_target=x_t)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = AdaptationClassifier(algorithm, device="cpu").set_fit_request(X_target=True)
        pipe = make_pipeline(StandardScaler(), routed, transform_input=["X_target"])
        assert pipe.fit(x_s, y_s, X_target=x_t).score(x_t, y_t) > 0.95


def test_pairs_of_rows_that_do_not_fit_are_refused_before_anything_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dalib.core.memory.available_memory", lambda: 100e3)
    for algorithm, pairs in (("ot_map", "5 n_s n_t"), ("jdot", "9 n_s n_t"), ("meda", "5 n²")):
        with pytest.raises(
            DalibError, match=rf"{algorithm} needs .*{pairs}.* for 60 \+ 60 rows .* take (block_rows|landmarks) = 1000"
        ):
            AdaptationClassifier(algorithm, device="cpu").fit(X, Y, X)
    AdaptationClassifier("coral", device="cpu").fit(X, Y, X)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("", "b", "c"), r"y holds the label '' \(30 rows\), which is taken for a class"),
        (("cat", "cat ", "c"), "y holds 'cat' and 'cat ', which are taken for two classes"),
        (("cat", "Cat", "c"), "y holds 'Cat' and 'cat', which are taken for two classes"),
    ],
)
def test_words_that_may_be_no_labels_or_one_label_are_told(words: tuple[str, ...], text: str) -> None:
    x_s, _, x_t, _ = _draw()
    with pytest.warns(UserWarning, match=text):
        AdaptationClassifier("coral", device="cpu").fit(x_s, np.array(words)[np.arange(90) % 3], x_t)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AdaptationClassifier("coral", device="cpu").fit(x_s, np.array(["a", "b", "c"])[np.arange(90) % 3], x_t)
