"""Arrays that once gave a wrong number, a traceback or no word: what is right for each kind."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
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
    return [str(w.message) for w in caught]


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
        ("lenet", (5, 32, 32), "float32", "or give a module of your own"),
        ("resnet18", (6,), "float32", "takes RGB images"),
        ("mlp", (3, 8, 8), "float32", "takes rows of numbers"),
        ("identity", (3, 8), "float32", "identity passes features"),
    ],
)
def test_rows_that_a_network_does_not_take_are_refused_with_what_to_do(
    backbone: str, shape: tuple[int, ...], dtype: str, words: str
) -> None:
    x, y = np.ones((20, *shape), dtype), np.arange(20) % 2
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
        ("f", {}, "'b' has no labels, and the runs of a suite are tested on labels; dalib train adapts to it"),
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
