"""A network that an estimator has fitted answers from a file as the estimator does."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from dalib import AdaptationClassifier, AdaptationRegressor, predict, save_model

STEPS = {"steps": 15, "evaluations": 1}


@pytest.fixture
def rows(tmp_path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, Path]:
    """(x_s, y_s far from 0 in deviations of 30, x_t moved and wider, a file of x_t as it is)."""
    rng = np.random.default_rng(0)
    x_s = rng.normal(size=(60, 5)).astype(np.float32)
    x_t = (rng.normal(size=(40, 5)) * 2 + 3).astype(np.float32)
    np.savez(tmp_path / "rows.npz", t_x=x_t)
    return x_s, 1000 + 30 * x_s @ rng.normal(size=(5, 2)), x_t, tmp_path / "rows.npz"


@pytest.mark.parametrize("answers", ["as_given", "standardised", "bounded"])
@pytest.mark.parametrize(("name", "standardise"), [("mmd", False), ("mmd", True), ("jdot", True)])
@pytest.mark.parametrize("outputs", [1, 2])
def test_numbers_of_a_file_are_in_the_unit_of_y(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray, Path], name: str, standardise: bool, outputs: int, answers: str
) -> None:
    """Those of the file were the learnt ones, of mean 0 and deviation 1, and of rows that nothing had standardised."""
    x_s, y, x_t, file = rows
    y = y[:, 0] if outputs == 1 else y
    train = STEPS | ({} if name == "jdot" else {"answers": answers})
    model = AdaptationRegressor(name, train=train, standardise=standardise).fit(x_s, y, x_t)
    expected = model.predict(x_t)
    said = model._outputs(x_t, restored=False).prediction.numpy().astype(float)
    bounded = train.get("answers") == "bounded"
    low, unit = (y.min(0), np.ptp(y, axis=0)) if bounded else (y.mean(0), y.std(0))
    np.testing.assert_allclose(expected.reshape(40, -1), said * unit + low, rtol=1e-5)
    answered = predict(save_model(model.fitted_, file.with_name("model")), file).frame().iloc[:, 1:].to_numpy(float)
    np.testing.assert_allclose(answered, expected.reshape(40, -1), rtol=1e-5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(x_t), expected)


@pytest.mark.parametrize("name", ["source_only", "linear_probe", "coral"])
def test_classes_of_a_file_are_those_of_standardised_rows(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray, Path], name: str
) -> None:
    x_s, y, x_t, file = rows
    model = AdaptationClassifier(name, train=STEPS, standardise=True).fit(x_s, y[:, 0] > 1000, x_t)
    answered = predict(save_model(model.fitted_, file.with_name("model")), file).frame()
    best = np.unique(answered["class"].astype(str), return_counts=True)
    ours = np.unique(model.predict(x_t).astype(str), return_counts=True)
    assert {*best[0]} == {*ours[0]} and len(ours[0]) == 2
    assert best[1].tolist() == ours[1].tolist()
    np.testing.assert_allclose(answered["probability"].to_numpy(float), model.predict_proba(x_t).max(1), atol=1e-5)
