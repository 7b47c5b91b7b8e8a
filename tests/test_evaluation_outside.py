"""`dalib.evaluate` of what was trained elsewhere: any module, or logits; and its record in a table with others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import nn

import dalib
from dalib.core.errors import DalibError
from dalib.records.archive import export
from dalib.records.store import Store

NAMES = ("cup", "pen", "jar")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, y = np.random.default_rng(0), np.repeat(np.arange(3), 12)
    x = {d: (2 * np.eye(6)[y] + s + rng.normal(size=(36, 6))).astype(np.float32) for d, s in (("a", 0.0), ("b", 0.7))}
    path = tmp_path_factory.mktemp("outside") / "rows.npz"
    np.savez(path, a_x=x["a"], b_x=x["b"], a_y=y, b_y=y, classes=NAMES)
    return path


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))


def test_a_module_is_measured_as_scikit_learn_does_and_stays_as_it_was(rows: Path, net: nn.Module) -> None:
    net.train()
    answer = dalib.evaluate(net, rows, "b", device="cpu")
    assert net.training and net[1].training
    data = np.load(rows)
    guess = net.eval()(torch.from_numpy(data["b_x"])).argmax(1).numpy()
    assert answer.metrics["accuracy"] == pytest.approx(accuracy_score(data["b_y"], guess), abs=1e-6)
    assert answer.metrics["macro_f1"] == pytest.approx(f1_score(data["b_y"], guess, average="macro"), abs=1e-6)
    assert answer.per_class["pen"]["n"] == 12


def test_logits_are_matched_by_the_names_of_their_columns(rows: Path, net: nn.Module) -> None:
    logits = net.eval()(torch.from_numpy(np.load(rows)["b_x"])).detach()
    plain = dalib.evaluate(logits, rows, "b").metrics
    assert (
        plain
        == dalib.evaluate(net, rows, "b", device="cpu").metrics
        == dalib.evaluate(logits.numpy(), rows, "b").metrics
    )
    turned = dalib.evaluate(logits[:, [2, 0, 1]], rows, "b", classes=("jar", "cup", "pen"))
    assert turned.metrics == plain
    wider = torch.cat([logits, torch.full((36, 1), -9.0)], 1)
    assert dalib.evaluate(wider, rows, "b", classes=(*NAMES, "lamp")).metrics["accuracy"] == plain["accuracy"]


def test_logits_come_as_their_program_has_them(rows: Path, net: nn.Module) -> None:
    logits = net.eval()(torch.from_numpy(np.load(rows)["b_x"]))
    plain, own = dalib.evaluate(logits.detach(), rows, "b").metrics, logits.detach().numpy()
    assert logits.requires_grad and dalib.evaluate(logits, rows, "b").metrics == plain
    for spelt in (own[:, ::-1][:, ::-1], own.astype(">f4"), own.astype(np.float64)):
        assert dalib.evaluate(spelt, rows, "b").metrics == plain
    numbered = dalib.load_data(f"features:{rows}").domain("b")
    numbered = replace(numbered, classes=("0", "1", "2"))
    assert dalib.evaluate(own, numbered, classes=[0, 1, 2]).metrics == plain  # type: ignore[list-item]


def test_its_record_joins_the_table_of_a_suite(rows: Path, net: nn.Module, tmp_path: Path) -> None:
    suite = tmp_path / "small.toml"
    lines = [f'dataset = "features:{rows}"', 'tasks = ["a->b"]', "seeds = [0, 1]", 'validators = ["source_accuracy"]']
    lines += ["[train]", "steps = 2", "evaluations = 1", "[algorithms]", "source_only = {}"]
    suite.write_text("\n".join(lines))
    dalib.run_suite(dalib.load_suite(suite), store=tmp_path / "runs", device="cpu")
    store = Store(tmp_path / "runs")
    export(store, store.manifest("small"), tmp_path / "small.jsonl")
    answer = dalib.evaluate(net, rows, "b", device="cpu")
    paths = [answer.write_record(tmp_path / f"ours{seed}", "ours", "a->b", seed=seed) for seed in (0, 1)]
    odd = answer.write_record(tmp_path / "odd", "../ours/v2", "a->b")
    assert {row.label for row in dalib.table([tmp_path / "small.jsonl", odd]).rows} == {"source_only", "../ours/v2"}
    table = dalib.table([tmp_path / "small.jsonl", *paths])
    assert {row.label for row in table.rows} == {"source_only", "ours"}
    ours = next(row for row in table.rows if row.label == "ours")
    assert ours.cells["a->b"].values == {0: answer.metrics["accuracy"], 1: answer.metrics["accuracy"]}
    assert ours.complete and table.baseline == "source_only"


@pytest.mark.parametrize(
    ("model", "how", "message"),
    [
        (np.zeros((35, 3)), {}, r"answers are \(35, 3\), and 'b' has 36 rows and 3 classes are named"),
        (np.zeros((36, 2)), {}, r"answers are \(36, 2\)"),
        (np.zeros((36, 3)), {"classes": ("cup", "pen", "lamp")}, "no column is called jar"),
        (np.zeros((36, 4)), {"classes": ("cup", "cup", "pen", "jar")}, "two columns have one name"),
        (np.full((36, 3), np.nan), {}, "answers hold nan or infinity"),
        (np.zeros((36, 3), complex), {}, "answers are of type complex128; give logits"),
        (np.zeros((36, 3), object), {}, "answers are of type object; give logits"),
        (nn.Linear(5, 3), {}, "Linear does not take rows of 'b'"),
        (nn.Flatten(0), {}, "Flatten gives no table of logits"),
    ],
)
def test_answers_that_do_not_fit_are_refused_in_one_line(
    model: Any, how: dict[str, Any], message: str, rows: Path
) -> None:
    with pytest.raises(DalibError, match=message):
        dalib.evaluate(model, rows, "b", device="cpu", **how)


def test_a_record_needs_a_data_set_and_its_domain(rows: Path, net: nn.Module, tmp_path: Path) -> None:
    answer = dalib.evaluate(net, rows, "b", device="cpu")
    with pytest.raises(DalibError, match="task 'b->a' does not end in the domain measured; write SOURCE->b"):
        answer.write_record(tmp_path / "x", "ours", "b->a")
    domain = dalib.load_data(f"features:{rows}").domain("b")
    with pytest.raises(DalibError, match="a record needs to know its data"):
        dalib.evaluate(net, domain, device="cpu").write_record(tmp_path / "x", "ours", "a->b")
