"""`dalib.expect` of a model file, and where train, predict, evaluate and adapt say it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import dalib
from dalib.cli import main
from dalib.core.errors import DalibError
from dalib.core.types import Outputs
from dalib.scoring.expected import expected_accuracy

SETTINGS = {"train": {"steps": 20}, "protocol": {"validation": 0.3}, "device": "cpu"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, y = np.random.default_rng(0), np.repeat(np.arange(3), 20)
    x = {d: (2 * np.eye(6)[y] + s + rng.normal(size=(60, 6))).astype(np.float32) for d, s in (("a", 0.0), ("b", 0.7))}
    path = tmp_path_factory.mktemp("expect") / "rows.npz"
    np.savez(path, a_x=x["a"], b_x=x["b"], a_y=y, b_y=y, c_x=x["b"][:5], classes=("cup", "pen", "jar"))
    return path


@pytest.fixture(scope="module")
def run(rows: Path) -> dalib.TrainedRun:
    return dalib.fit(f"features:{rows}", "a", "b", "source_only", out=rows.with_name("model"), **SETTINGS)


def test_the_file_says_what_training_said(rows: Path, run: dalib.TrainedRun) -> None:
    assert run.expected is not None and run.expected.held_out == 18
    assert dalib.expect(run.path, rows, "b", device="cpu") == run.expected == dalib.expect(run.fitted, run.task.test)
    assert dalib.evaluate(run.path, rows, "b", device="cpu").expected == run.expected
    kept = dalib.load_model(run.path, "cpu").held_out
    own = run.fitted.outputs(run.task.validation)
    assert expected_accuracy(kept, run.fitted.outputs(run.task.target)) == run.expected
    assert kept.y.tolist() == own.y.tolist() and (kept.logits == own.logits).all()


def test_two_seeds_say_how_far_they_agree(rows: Path, run: dalib.TrainedRun) -> None:
    again = dalib.fit(f"features:{rows}", "a", "b", "source_only", seed=1, **SETTINGS)
    found = dalib.expect(run.fitted, run.task.test, second=again.fitted)
    answers = [f.outputs(run.task.test).logits.argmax(1) for f in (run.fitted, again.fitted)]
    assert found.forecasts["agreement"] == pytest.approx(float((answers[0] == answers[1]).double().mean()), abs=1e-6)


def test_the_commands_print_it(rows: Path, run: dalib.TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(run.path), str(rows), "--domain", "b", "--device", "cpu"]) == 0
    told = capsys.readouterr()
    assert f"dalib: expected accuracy {run.expected}; 18 held-out source rows say so" in told.err
    assert len(told.out.splitlines()) == 61
    assert main(["predict", str(run.path), str(rows), "--domain", "c", "--device", "cpu"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["evaluate", str(run.path), str(rows), "--domain", "b"]) == 0
    assert f"accuracy expected without labels  {run.expected}" in capsys.readouterr().out
    assert main(["adapt", str(run.path), str(rows), "--domain", "b", "--steps", "5"]) == 0
    assert f"expected before  {run.expected}" in capsys.readouterr().out
    task = ["--dataset", f"features:{rows}", "--source", "a", "--target", "b", "--algorithm", "linear_probe"]
    assert main(["train", *task, "--protocol.validation", "0.3"]) == 0
    assert "expected on target" in capsys.readouterr().out
    assert main(["train", *task, "--protocol.validation", "0"]) == 0
    assert "expected on target" not in capsys.readouterr().out


def test_a_model_that_cannot_say_is_refused_in_one_line(rows: Path, run: dalib.TrainedRun) -> None:
    adapted = dalib.adapt(run.fitted, run.task.test, "tent", device="cpu").fitted
    with pytest.raises(DalibError, match=r"was adapted without the source.*ask the model that it was adapted from"):
        dalib.expect(adapted, run.task.test)
    bare = dalib.fit(f"features:{rows}", "a", "b", "source_only", **{**SETTINGS, "protocol": {"validation": 0.0}})
    with pytest.raises(DalibError, match=r"keeps no answers to held-out source rows.*validation > 0"):
        dalib.expect(bare.fitted, run.task.test)
    nearest = dalib.fit(f"features:{rows}", "a", "b", "nearest_neighbour", **SETTINGS)
    assert nearest.expected is None
    with pytest.raises(DalibError, match="an expected accuracy needs probabilities"):
        dalib.expect(nearest.fitted, run.task.test)
    rejecting = replace(run.fitted, extra={**run.fitted.extra, "protocol": {"reject": 0.5}})
    with pytest.raises(DalibError, match=r"turns rows down, and of those no accuracy can be expected"):
        dalib.expect(rejecting, run.task.test)


def test_outputs_of_the_second_model_count_as_the_model_itself_does(run: dalib.TrainedRun) -> None:
    told = dalib.expect(run.fitted, run.task.test, second=run.fitted.outputs(run.task.test))
    assert told == dalib.expect(run.fitted, run.task.test, second=run.fitted) and told.forecasts["agreement"] == 1.0


@pytest.mark.parametrize(
    ("held_out", "target", "second", "message"),
    [
        (
            (40, 3),
            (40, 5),
            None,
            r"the target logits are \(40, 5\), the held-out ones \(40, 3\); give \(n, K\) of the same",
        ),
        ((40, 3), (40, 3), (40, 2), "the second logits are"),
        ((40, 3), (40, 3), (20, 3), "the second model answers 20 rows and the first 40; give the same rows"),
    ],
)
def test_answers_that_do_not_belong_together_are_refused(
    held_out: tuple[int, int], target: tuple[int, int], second: tuple[int, int] | None, message: str
) -> None:
    def say(shape: tuple[int, int]) -> Outputs:
        return Outputs(torch.zeros(shape[0], 0), torch.randn(*shape), torch.arange(shape[0]) % 3)

    with pytest.raises(DalibError, match=message):
        dalib.expect(say(held_out), say(target), second=None if second is None else say(second))


@pytest.mark.parametrize("y", [torch.full((40,), -1), torch.full((40,), 3), torch.zeros(40), torch.zeros(39).long()])
def test_labels_of_held_out_rows_are_classes_of_theirs(y: torch.Tensor) -> None:
    answers = torch.randn(40, 3)
    with pytest.raises(DalibError, match="the held-out labels are no 40 whole numbers from 0 to 2; mend them"):
        dalib.expect(Outputs(answers[:, :0], answers, y), Outputs(answers[:, :0], answers, None))
