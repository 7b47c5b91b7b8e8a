"""`--SECTION.KEY VALUE`: values as in a suite's file, old spellings with a hint, `--help`, `show` and completion."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dalib.cli._sections import FORMER, take_settings
from dalib.core.errors import DalibError
from dalib.core.fields import describe_settings
from dalib.core.registry import BACKBONES
from dalib.records.sections import SECTIONS
from dalib.records.store import Store

Dalib = Callable[..., Any]
SUITE = """
dataset = "features:good.npz"
tasks = ["left->right"]
[train]
steps = 5
[algorithms]
source_only = {}
dann = { train = { steps = 7 } }
"""


def take(*args: str) -> tuple[list[str], dict[str, dict[str, Any]], list[str]]:
    return take_settings(args, ("algorithm",), FORMER)


@pytest.mark.parametrize(
    ("args", "given"),
    [
        (("--train.lr", "0.1"), {"train": {"lr": 0.1}}),
        (("--train.lr=1e-3", "--train.batch-size", "8"), {"train": {"lr": 1e-3, "batch_size": 8}}),
        (("--train.optimiser", "adamw"), {"train": {"optimiser": "adamw"}}),
        (("--backbone.frozen", "--train.lr", "1"), {"backbone": {"frozen": True}, "train": {"lr": 1}}),
        (("--train.compile", "false"), {"train": {"compile": False}}),
        (("--backbone.weights", "5"), {"backbone": {"weights": "5"}}),
        (("--backbone.channels", "[4, 6]"), {"backbone": {"channels": [4, 6]}}),
        (("--algorithm.weight", "2"), {"algorithm": {"weight": 2}}),
        (("--algorithm.dann.weight", "-2"), {"algorithm": {"dann.weight": -2}}),
        (("--data.normalise", "l2,zscore"), {"data": {"normalise": ["l2", "zscore"]}}),
        (("--protocol.source_classes", "3,0:2"), {"protocol": {"source_classes": ["3", "0:2"]}}),
        (("--data.normalise", "l2", "--data.normalise", "zscore"), {"data": {"normalise": ["l2", "zscore"]}}),
        (("--protocol.source_classes", '["a,b"]'), {"protocol": {"source_classes": ["a,b"]}}),
        (("--protocol.source_per_class", "4"), {"protocol": {"source_per_class": 4}}),
        (("--protocol.source_per_class.left", "4"), {"protocol": {"source_per_class": {"left": 4}}}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_a_value_is_what_a_suite_would_hold(args: tuple[str, ...], given: dict[str, Any]) -> None:
    assert take("before", *args, "after") == (["before", "after"], given, [])


def test_what_comes_after_two_dashes_is_left_alone() -> None:
    assert take("--", "--train.lr", "1")[:2] == (["--", "--train.lr", "1"], {})


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (("--set", "weight=2"), "--set weight=2 is now --algorithm.weight 2"),
        (("--train", "lr=.1"), "--train lr=.1 is now --train.lr .1"),
        (("--backbone-option", "channels=[4]"), "--backbone-option channels=[4] is now --backbone.channels [4]"),
        (("--reject=0.5",), "--reject 0.5 is now --protocol.reject 0.5"),
        (("--frozen",), "--frozen is now --backbone.frozen"),
        (("--finetune",), "--finetune is now --backbone.frozen false"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_old_spelling_is_taken_with_a_hint_at_the_new_one(args: tuple[str, ...], hint: str) -> None:
    """And typing what the hint says gives the same run."""
    _, given, hints = take(*args)
    assert hints == [hint]
    again = take(*hint.partition(" is now ")[2].split())
    assert again[2] == []
    flat = {**given.get("backbone", {}), **given.get("backbone", {}).get("options", {})}
    assert again[1] == given or again[1]["backbone"].items() <= flat.items()


def test_every_old_spelling_names_a_setting_that_there_is() -> None:
    for former in FORMER.values():
        section, _, key = former.path.partition(".")
        assert not key or key in SECTIONS[section].model_fields, former


def test_old_and_new_spellings_train_the_same_model(dalib: Dalib, world: Path) -> None:
    task = ("train", "--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right", "--steps", "9")
    old = dalib(*task, "--algorithm", "dann", "--set", "weight=0.5", "--train", "momentum=0.5", "--validation", "0.3")
    new = dalib(
        *task,
        "--algorithm",
        "dann",
        "--algorithm.weight",
        "0.5",
        "--train.momentum=0.5",
        "--protocol.validation",
        "0.3",
    )
    assert new.err == [] and [line.split(" is now ")[1] for line in old.err] == [
        "--algorithm.weight 0.5", "--train.momentum 0.5", "--protocol.validation 0.3",
    ]  # fmt: skip
    assert [line for line in old.out.splitlines() if "accuracy" in line] == [
        line for line in new.out.splitlines() if "accuracy" in line
    ]


@pytest.mark.parametrize(
    ("more", "rows"),
    [
        (("--protocol", "semi_supervised", "--protocol.shots", "5"), (27 + 15, 3, 15)),
        (("--protocol.name", "supervised", "--protocol.fraction", "0.2", "--protocol.validation", "0"), (6, 0, 24)),
        (("--protocol.holdout", "0.5", "--train.sampler", "class_balanced"), (27, 3, 15)),
        (("--protocol.source_per_class", "4"), (9, 3, 30)),
        (("--protocol.source_per_class.left", "6", "--protocol.split", "shots"), (15, 3, 21)),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_train_does_whatever_a_suite_row_can(
    more: tuple[str, ...], rows: tuple[int, int, int], dalib: Dalib, world: Path
) -> None:
    task = ("--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right", "--steps", "3")
    answer = dalib("train", *task, "--algorithm", "source_only", *more)
    assert answer.status == 0, answer.err
    counts = [int(line.rpartition("n = ")[2]) for line in answer.out.splitlines() if "n = " in line]
    assert counts == [n for n in rows if n]


def test_a_stopped_training_goes_on_and_leaves_no_checkpoint(
    dalib: Dalib, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    from dalib.algorithms.dann import DANN
    from dalib.train.trainer import Trainer

    made = Trainer.__init__
    monkeypatch.setattr(
        Trainer, "__init__", lambda self, *a, **how: made(self, *a, **{**how, "checkpoint_seconds": 0.0})
    )
    command = ("train", "--dataset", f"features:{world}/good.npz", "--source", "left", "--target", "right")
    command = (*command, "--algorithm", "dann", "--train.steps", "20")
    assert dalib(*command, "--out", tmp_path / "whole").status == 0
    adapt, calls = DANN.adapt, []

    def stop(self: DANN, *args: Any) -> Any:
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return adapt(self, *args)

    monkeypatch.setattr(DANN, "adapt", stop)
    assert dalib(*command, "--out", tmp_path / "halves").status == 130
    assert [p.name for p in tmp_path.glob("halves*")] == ["halves.checkpoint"]
    assert dalib(*command, "--out", tmp_path / "halves").status == 0
    assert len(calls) < 12 + 20, "the second call went on where the first stopped"
    assert [p.name for p in tmp_path.glob("halves*")] == ["halves.safetensors"]
    whole, halves = load_file(tmp_path / "whole.safetensors"), load_file(tmp_path / "halves.safetensors")
    assert all(whole[k].equal(halves[k]) for k in whole | halves)


def test_a_suite_takes_settings_as_if_its_file_said_so(world: Path, tmp_path: Path) -> None:
    from dalib.bench.plan import plan
    from dalib.bench.suite import load_suite

    text = SUITE.replace("good.npz", f"{world}/good.npz")
    (tmp_path / "one.toml").write_text(text)
    said = text.replace("steps = 5", "steps = 3\nmomentum = 0.5").replace("[train]", 'normalise = ["l2"]\n[train]')
    (tmp_path / "two.toml").write_text(said + '[protocol]\nname = "supervised"\n')
    changes = {
        "train": {"steps": 3, "momentum": 0.5}, "data": {"normalise": ["l2"]}, "protocol": {"name": "supervised"},
    }  # fmt: skip
    changed, file = plan(load_suite(tmp_path / "one.toml", changes)), plan(load_suite(tmp_path / "two.toml"))
    assert [run.key for run in changed.runs] == [run.key for run in file.runs]
    assert [run.spec.train.steps for run in changed.runs] == [3, 7], "a row's own setting stays"
    assert changed.suite.sha256 != load_suite(tmp_path / "one.toml").sha256


def test_run_takes_settings_and_refuses_what_a_suite_lacks(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(SUITE.replace("good.npz", f"{world}/good.npz"))
    places = ("--store", tmp_path / "runs", "--no-table", "--only", "source_only")
    answer = dalib("run", tmp_path / "one.toml", *places, "--train.steps", "2")
    assert answer.status == 0, answer.err
    store = Store(tmp_path / "runs")
    assert [r.spec.train.steps for r in store.records([store.manifest("one").runs[0].key])] == [2]
    for wrong, line in (("--train.stps", "'steps'"), ("--algorithm.weight", "no section named 'algorithm'")):
        answer = dalib("run", tmp_path / "one.toml", *places, wrong, "2")
        assert answer.status == 2 and len(answer.err) == 1 and line in answer.err[0], answer.err


@pytest.mark.parametrize("section", SECTIONS)
def test_show_and_help_explain_every_setting(section: str, dalib: Dalib, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    settings = describe_settings(SECTIONS[section])
    shown = dalib("show", section).out
    explained = dalib("train", "--help").out
    assert len(settings) > 1
    for setting in settings:
        line = next(line for line in shown.splitlines() if line.split()[:1] == [setting.name])
        assert line.endswith(setting.doc) and len(setting.doc) > 10
        if setting.name not in ("dataset", "options"):
            assert f"--{section}.{setting.name} " in explained


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_explained_or_filled_in_by_the_planner(section: str) -> None:
    model = SECTIONS[section]
    hidden = set(model.model_fields) - {setting.name for setting in describe_settings(model)}
    assert hidden <= {"hash", "fingerprint"}


def test_help_names_the_chosen_algorithms_and_backbones_own_settings(dalib: Dalib) -> None:
    out = dalib("train", "--algorithm", "dann", "--backbone=cnn1d", "--help").out
    assert "--algorithm.weight" in out and "--algorithm.hidden" in out and "--backbone.channels" in out
    assert "--algorithm.KEY" in dalib("train", "--help").out


def complete(*words: str) -> list[str]:
    """What a bash with completion offers for the last word."""
    line = " ".join(("dalib", *words))
    variables = {"COMP_WORDS": line, "COMP_CWORD": str(len(words)), "_DALIB_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from dalib.cli import main; sys.exit(main([]))"],
        env=os.environ | variables, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.split()


def test_a_shell_completes_sections_values_and_hyper_parameters() -> None:
    assert complete("train", "--train.op") == ["--train.optimiser"]
    assert complete("train", "--train.optimiser", "ad") == ["adamw"]
    assert complete("train", "--algorithm", "dann", "--algorithm.w") == ["--algorithm.weight"]
    assert complete("train", "--algorithm", "mcc") == ["mcc"]
    assert complete("run", "--protocol.sh") == ["--protocol.shots"]
    assert complete("run", "dem") == complete("report", "dem") == ["demo"] and complete("run", "./no/file") == []


def test_a_backbones_setting_is_refused_with_the_right_spelling() -> None:
    from dalib.records.sections import sort_options

    assert sort_options({"name": "cnn1d", "channels": [4]}) == {"name": "cnn1d", "options": {"channels": [4]}}
    assert "resnet50" in BACKBONES
    with pytest.raises(DalibError, match="no setting of backbone resnet50 named 'frozn'; did you mean 'frozen'"):
        sort_options({"name": "resnet50", "frozn": True})


def test_an_executor_of_ones_own_runs_a_suite(dalib: Dalib, world: Path, tmp_path: Path) -> None:
    assert dalib("new", "executor", "threads", "--folder", tmp_path).status == 0
    (tmp_path / "one.toml").write_text(SUITE.replace("good.npz", f"{world}/good.npz"))
    places = ("--store", tmp_path / "runs", "--no-table", "--plugin", tmp_path / "threads.py")
    answer = dalib("run", tmp_path / "one.toml", *places, "--executor", "threads", "--only", "source_only")
    assert answer.status == 0, answer.err
    assert [r.status for r in Store(tmp_path / "runs").records()] == ["ok"]
    wrong = dalib("run", tmp_path / "one.toml", *places, "--executor", "thread")
    assert wrong.status == 2 and "'threads'" in wrong.err[0], wrong.err
