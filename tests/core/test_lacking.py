"""A method without what it lives on says in one line what it is then; the record and a table's caption say it too."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import identity
from dalib.core.lacking import REMEDIES, Lacking, find_lacking
from dalib.core.registry import ALGORITHMS
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer
from tests.support.any_world import task_for

chance = np.random.default_rng(0)
X, Y = chance.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2
EVERYTHING = {"few": 3, "others": 40, "sources": 2, "trains": True}
WITHOUT = {
    "labelled target rows": {"few": 0},
    "labelled source rows": {"others": 0},
    "a second source": {"sources": 1},
    "a backbone that trains": {"trains": False},
}


def declared() -> list[tuple[str, str]]:
    return [(name, what) for name in ALGORITHMS.names() for what in ALGORITHMS.get(name).lives_on]


def make(name: str) -> Algorithm:
    made: Algorithm = ALGORITHMS.get(name)()
    return made


@pytest.mark.parametrize(("name", "what"), declared())
def test_what_is_missing_is_said_and_nothing_else(name: str, what: str) -> None:
    algorithm = make(name)
    assert what in REMEDIES
    assert find_lacking(algorithm, **EVERYTHING) == {}
    told = find_lacking(algorithm, **{**EVERYTHING, **WITHOUT[what]})
    assert told == {f"{name} without {what} is {algorithm.lives_on[what]}": REMEDIES[what]}


def test_every_method_of_few_labels_lives_on_them() -> None:
    few = [name for name in ALGORITHMS.names() if ALGORITHMS.get(name).family == "few labels"]
    assert len(few) > 8 and all("labelled target rows" in ALGORITHMS.get(name).lives_on for name in few)


@pytest.mark.parametrize("name", [name for name, what in declared() if make(name).lives_on[what] == "source_only"])
def test_what_is_said_to_be_source_only_is_source_only(name: str) -> None:
    """To the last bit, on features and without a target label."""
    found = []
    for algorithm in (make(name), dalib.SourceOnly()):
        task = task_for(type(algorithm))
        config = TrainConfig(steps=10, lr=0.05, batch_size=16, evaluations=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Lacking)
            fitted = Trainer(config, device="cpu").fit(algorithm, task, identity(task.labelled.x.shape[1]))
        found.append(fitted.outputs(task.target).logits)
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("name", "y", "then"),
    [
        ("balanced_weighting", Y, "linear_probe"),
        ("feature_augmentation", Y, "linear_probe with half its weights and its whole offset"),
        ("joint", Y, "source_only"),
        ("tradaboost_r2", X[:, 0], "one ridge regression"),
    ],
)
def test_an_estimator_says_it_and_with_labels_it_does_not(name: str, y: Any, then: str) -> None:
    kind = dalib.AdaptationRegressor if name == "tradaboost_r2" else dalib.AdaptationClassifier
    model = kind(make(name), train={"steps": 3}, device="cpu")
    with pytest.warns(Lacking, match=f"^{name} without labelled target rows is {then}; give y_target"):
        model.fit(X, y, X + 1)
    few = np.where(np.arange(40) < 10, y, np.nan if name == "tradaboost_r2" else -1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Lacking)
        model.fit(X, y, X + 1, few)


def test_an_estimator_behind_a_method_and_one_without_a_target_say_it() -> None:
    weighted = dalib.WeightedEstimator("balanced_weighting", LogisticRegression())
    with pytest.warns(Lacking, match="balanced_weighting without labelled target rows is linear_probe"):
        weighted.fit(X, Y, X + 1)
    with pytest.warns(Lacking, match="kmm without a target is LogisticRegression fitted once; give X_target"):
        dalib.WeightedEstimator("kmm", LogisticRegression()).fit(X, Y)
    with pytest.warns(Lacking, match="coral without a target is that method with X for its own target"):
        dalib.AdaptationClassifier("coral", device="cpu").fit(X, Y)
    with pytest.warns(Lacking, match="TrAdaBoost without a target is LogisticRegression fitted once"):
        dalib.TrAdaBoost(LogisticRegression()).fit(X, Y)


def test_a_part_of_a_sum_says_it_too() -> None:
    algorithm = dalib.M3SDA() + dalib.MCC()
    task = task_for(dalib.M3SDA)
    with pytest.warns(Lacking, match="m3sda without a second source is moment matching of one source"):
        Trainer(TrainConfig(steps=2, evaluations=1), device="cpu").fit(
            algorithm, task, identity(task.labelled.x.shape[1])
        )


def test_weights_that_all_underflow_are_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(RuntimeWarning, match="kmm without an overlap of the domains is linear_probe"):
        assert (dalib.KMM().usable(torch.zeros(5)) == 1).all()


def test_the_record_of_a_run_and_the_caption_of_its_table_say_it(tmp_path: Any) -> None:
    np.savez(tmp_path / "rows.npz", a_x=X, a_y=Y, b_x=X + 1, b_y=Y, classes=np.array(["x", "y"]))
    suite = tmp_path / "few.toml"
    suite.write_text(
        f'dataset = "features:{tmp_path}/rows.npz"\ntasks = ["a->b"]\nseeds = [0]\nvalidators = []\n'
        "[train]\nsteps = 2\nevaluations = 1\n[algorithms]\njoint = {}\nsource_only = {}\n"
    )
    dalib.run_suite(suite, store=tmp_path / "runs")
    table = dalib.table(suite, store=tmp_path / "runs")
    assert "joint without labelled target rows is source_only in 1 runs (joint 1)" in str(table)
