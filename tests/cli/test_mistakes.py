"""Every mistake ends in status 2 and one line that names the value and says what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.worlds import write_features

Dalib = Callable[..., Any]
TRAIN = "train --dataset features:{w}/good.npz --source left --target right --algorithm source_only"
IMAGES = "train --dataset image_folder --data-root {w}/images --source bright --target dark --algorithm source_only"
# name: (command line, the bad value, what the remedy mentions)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "unknown command": ("tabel demo", "tabel", "'table'"),
    "unknown data command": ("data verfy x", "verfy", "'verify'"),
    "unknown option": ("list --plugn x.py", "--plugn", "--plugin"),
    "missing argument": ("show", "missing argument", "(?i)'name'.*--help"),
    "missing option": ("train --dataset mini_office", "--algorithm", "--help"),
    "no source": ("train --dataset mini_office --algorithm dann --target phone", "--source", "--help"),
    "unknown kind of list": ("list algorithm", "algorithm", "'algorithms'"),
    "unknown name to show": ("show dan", "dan", "'dann'"),
    "suite that is not there": ("run no/such/suite.toml", "no/such/suite.toml", "path"),
    "suite name misspelt": ("run dmeo", "dmeo", "'demo'"),
    "suite is a folder": ("run {w}/images", "{w}/images", ".toml"),
    "algorithm misspelt": (TRAIN.replace("source_only", "sorce_only"), "sorce_only", "'source_only'"),
    "hyper-parameter misspelt": (TRAIN.replace("source_only", "dann --algorithm.wieght 1"), "wieght", "'weight'"),
    "hyper-parameter not a number": (TRAIN.replace("source_only", "dann --algorithm.weight much"), "much", "number"),
    "hyper-parameter out of range": (TRAIN.replace("source_only", "dann --algorithm.hidden 0"), "hidden = 0", "give a"),
    "hyper-parameter without value": (TRAIN + " --set weight", "weight", "KEY=VALUE.*--algorithm.weight 0.5"),
    "section misspelt": (TRAIN + " --trian.lr 1", "trian", "'train'"),
    "setting without value": (TRAIN + " --train.lr", "--train.lr", "value"),
    "setting without a key": (TRAIN + " --train.", "--train.", "write for example"),
    "setting given twice": (TRAIN + " --lr 0.1 --train.lr 0.2", "0.1", "leave one out"),
    "setting of the planner": (TRAIN + " --backbone.has 1", "has", "setting of backbone"),
    "shots of none": (TRAIN + " --protocol.shots 0", "shots = 0", "greater than or equal to 1"),
    "dataset misspelt": (TRAIN.replace("features:{w}/good.npz", "ofice31"), "ofice31", "'office31'"),
    "feature file missing": (TRAIN.replace("good.npz", "absent.npz"), "absent.npz", "_x|path"),
    "feature file without path": (TRAIN.replace("features:{w}/good.npz", "features"), "features", "PATH"),
    "feature file is text": (TRAIN.replace("good.npz", "text.npz"), "text.npz", "expected"),
    "features with nan": (TRAIN.replace("good.npz", "nan.npz"), "left_x", "remove"),
    "features without labels as source": (
        TRAIN.replace("good.npz", "unlabelled.npz").replace("left", "L").replace("right", "left").replace("L", "right"),
        "'right' has no labels",
        "store right_y",
    ),
    "domain misspelt": (TRAIN.replace("--target right", "--target rihgt"), "rihgt", "'right'"),
    "source is target": (TRAIN.replace("--target right", "--target left"), "left", "choose two"),
    "features with a CNN": (TRAIN + " --backbone resnet18", "resnet18", "identity"),
    "images with identity": (IMAGES + " --backbone identity", "identity", "use"),
    "images to normalise": (IMAGES + " --normalise zscore", "zscore", "feature data only"),
    "unknown normalisation": (TRAIN + " --normalise zscor", "zscor", "'?zscore'?"),
    "backbone misspelt": (IMAGES + " --backbone resnet8", "resnet8", "'resnet18'"),
    "weights missing": (IMAGES + " --backbone resnet18 --weights {w}/absent.pth", "absent.pth", "check the path"),
    "weights misspelt": (IMAGES + " --backbone resnet18 --weights imagnet", "imagnet", "'imagenet'"),
    "weights of another network": (IMAGES + " --backbone resnet18 --weights {w}/other.pth", "other.pth", "resnet18"),
    "weights are a pickle": (IMAGES + " --backbone resnet18 --weights {w}/pickle.pth", "pickle.pth", "state_dict"),
    "device misspelt": (TRAIN + " --device gpu", "gpu", "auto, cpu"),
    "no such GPU": (TRAIN + " --device cuda:99", "cuda:99", "use auto or cpu"),
    "steps not a number": (TRAIN + " --steps many", "many", "integer"),
    "steps negative": (TRAIN + " --steps -1", "-1", "greater than or equal to 0"),
    "learning rate zero": (TRAIN + " --lr 0", "lr = 0", "greater than 0"),
    "batch of one": (TRAIN + " --batch-size 1", "batch_size = 1", "greater than or equal to 2"),
    "precision misspelt": (TRAIN + " --train.precision fp61", "fp61", "'fp32'"),
    "recipe misspelt": (TRAIN + " --train.momentun 0.5", "momentun", "'momentum'"),
    "AdamW's beta too large": (TRAIN + " --train.optimiser adamw --train.beta2 1", "beta2 = 1", "less than 1"),
    "AdamW's beta for SGD": (TRAIN + " --train.beta1 0.5", "beta1 = 0.5", "adamw"),
    "listener misspelt": (TRAIN + " --listener step_lgo=x", "step_lgo", "'step_log'"),
    "listener of every fit": (TRAIN + " --listener curve", "curve", "leave it out"),
    "step log is a folder": (TRAIN + " --listener step_log={w}", "{w}", "choose another"),
    "protocol misspelt": (TRAIN + " --protocol udda", "udda", "'uda'"),
    "validation is everything": (TRAIN + " --protocol.validation 1", "validation = 1", "less than 1"),
    "seed negative": (TRAIN + " --seed -3", "-3", "0 or more"),
    "root missing": (IMAGES.replace("{w}/images", "{w}/nowhere"), "{w}/nowhere", "--data-root"),
    "root empty": (IMAGES.replace("{w}/images", "{w}/empty"), "{w}/empty", "domain/class"),
    "zip corrupt": (IMAGES.replace("{w}/images", "{w}/corrupt.zip"), "corrupt.zip", "fetch it again"),
    "image corrupt": (
        IMAGES.replace("{w}/images", "{w}/damaged") + " --backbone resnet18 --weights none",
        "dark/cross/03.jpg",
        "dalib data verify",
    ),
    "copy is partial": ("data info office31 --data-root {w}/partial", "{w}/partial", "--partial"),
    "plug-in missing": (TRAIN + " --plugin {w}/absent.py", "absent.py", "dalib new"),
    "plug-in does not import": (TRAIN + " --plugin {w}/broken.py", "broken.py", "does not import"),
    "plug-in is empty": ("check {w}/hollow.py", "hollow.py", "defines no"),
    "out is a file's child": (TRAIN + " --out {w}/good.npz/model", "good.npz", "choose another"),
    "model missing": ("predict {w}/absent.safetensors {w}/images", "absent.safetensors", "--out"),
    "model is not one": ("predict {w}/good.npz {w}/images", "good.npz", "dalib train --out"),
    "weights are no model": ("predict {w}/bare.safetensors {w}/images", "bare.safetensors", "dalib train --out"),
    "nothing to predict": ("predict {w}/model.safetensors {w}/absent.npz", "absent.npz", "give"),
    "images for a feature model": ("predict {w}/model.safetensors {w}/images", "{w}/images", ".npz"),
    "width of another data set": ("predict {w}/model.safetensors {w}/wide.npz", "width 5", "8"),
    "domain not said": ("predict {w}/model.safetensors {w}/good.npz", "left_x, right_x", "--domain"),
    "domain not there": ("predict {w}/model.safetensors {w}/good.npz --domain rihgt", "rihgt", "'right'"),
    "more classes than there are": ("predict {w}/model.safetensors {w}/wide.npz --top 9", "top = 9", "3 classes"),
    "a plug-in that exists": ("new algorithm dann --folder {w}", "dann", "choose another"),
    "a kind that does not exist": ("new algoritm x", "algoritm", "'algorithm'"),
    "a name with a space": ("new algorithm My-Idea", "My-Idea", "lower-case"),
    "data that is fetched": ("data make office31 --out {w}/empty", "office31", "mini_office"),
}


SUITE = """
dataset = "features:good.npz"
tasks = ["left->right"]
seeds = [0]
[train]
steps = 5
[algorithms]
source_only = {}
"""

# name: (text of the good suite, what stands there instead, the bad value, what the remedy mentions)
SUITES: dict[str, tuple[str, str, str, str]] = {
    "not TOML": ("steps = 5", "steps 5", "not TOML", "line 6"),
    "key misspelt": ("seeds", "sedes", "sedes", "'seeds'"),
    "key of a section misspelt": ("steps", "stpes", "stpes", "'steps'"),
    "section misspelt": ("[train]", "[trian]", "trian", "'train'"),
    "value of the wrong type": ("steps = 5", 'steps = "five"', "five", "integer"),
    "value out of range": ("steps = 5", "steps = -5", "train.steps = -5", "greater than or equal to 0"),
    "AdamW's beta for SGD": ("steps = 5", "steps = 5\nbeta1 = 0.5", "beta1 = 0.5", "adamw"),
    "key missing": ('dataset = "features:good.npz"', "", "dataset", "missing"),
    "no algorithm": ("source_only = {}", "", "algorithms", "add"),
    "algorithm misspelt": ("source_only = {}", "sorce_only = {}", "sorce_only", "'source_only'"),
    "hyper-parameter misspelt": ("source_only = {}", "dann = { wieght = 1 }", "wieght", "'weight'"),
    "hyper-parameter not a number": ("source_only = {}", 'dann = { weight = "big" }', "big", "number"),
    "dataset misspelt": ("features:good.npz", "mini_ofice", "mini_ofice", "'mini_office'"),
    "feature file missing": ("good.npz", "gone.npz", "gone.npz", "looked in"),
    "task misspelt": ("left->right", "left->rihgt", "rihgt", "'left->right'"),
    "task onto itself": ("left->right", "left->left", "left->left", "'left->right'|known"),
    "seed that is no number": ("[0]", '["one"]', "one", "integer"),
    "seed negative": ("[0]", "[-1]", "-1", "greater than or equal to 0"),
    "no seeds": ("[0]", "[]", "seeds", "at least one"),
    "seed twice": ("[0]", "[3, 3]", "3 twice", "remove one"),
    "a network for features": ("[train]", '[backbone]\nname = "resnet18"\n[train]', "resnet18", "remove"),
    "protocol misspelt": ("[train]", '[protocol]\nname = "udda"\n[train]', "udda", "'uda'"),
    "normalisation misspelt": ("seeds = [0]", 'seeds = [0]\nnormalise = ["zscor"]', "zscor", "'zscore'"),
}
# name: (further arguments of `dalib run good.toml`, the bad value, what the remedy mentions)
RUNS: dict[str, tuple[str, str, str]] = {
    "no workers": ("--jobs 0", "--jobs 0", "number of worker"),
    "half a worker": ("--jobs 1.5", "1.5", "integer"),
    "a way to redo": ("--redo fialed", "fialed", "'failed'"),
    "a row that is not there": ("--only dnan", "dnan", "source_only"),
    "a device misspelt": ("--device gpu", "gpu", "auto, cpu"),
    "a GPU that is not there": ("--device cuda:99", "cuda:99", "use auto or cpu"),
    "a store that is a file": ("--store {w}/good.npz", "good.npz", "choose another"),
    "tables below a file": ("--tables {w}/good.npz/t", "good.npz/t", "choose another"),
    "a plug-in that is broken": ("--plugin {w}/broken.py", "broken.py", "does not import"),
}
# name: (further arguments of `dalib table good`, the bad value, what the remedy mentions)
TABLES: dict[str, tuple[str, str, str]] = {
    "a format": ("--format markdwon", "markdwon", "known|'md'"),
    "formats to write": ("--write {w}/t --formats md,latx", "latx", "'latex'"),
    "a format of the screen to write": ("--write {w}/t --formats terminal", "terminal", "dalib list formats"),
    "formats of nothing": ("--formats md", "--formats md", "--write"),
    "a selection": ("--select lst", "lst", "'last'"),
    "a metric": ("--metric target_acuracy", "target_acuracy", "'target_accuracy'"),
    "a row": ("--only sorce_only", "sorce_only", "'source_only'"),
    "a row by class": ("--per-class sorce_only --task left->right", "sorce_only", "'source_only'"),
    "a task by class": ("--per-class source_only --task left->rihgt", "left->rihgt", "'left->right'"),
    "no task by class": ("--per-class source_only", "source_only", "--task"),
    "records that are not there": ("--records {w}/gone.jsonl", "gone.jsonl", "dalib export"),
    "records that are not any": ("--records {w}/broken.py", "broken.py", "dalib export"),
    "a folder for a file": ("--out {w}/images", "{w}/images", "file name"),
}


@pytest.fixture(scope="session")
def faulty(world: Path) -> Path:
    """More faults: weights, plug-ins and a model of features of width 8."""
    import pickle

    import numpy as np
    import torch
    from safetensors.torch import save_file

    from dalib.cli import main

    torch.save({"layer.weight": torch.zeros(2, 2)}, world / "other.pth")
    (world / "pickle.pth").write_bytes(pickle.dumps({"weight": Path("x")}))
    save_file({"w": torch.zeros(1)}, world / "bare.safetensors")
    (world / "broken.py").write_text("import no_such_module\n")
    (world / "hollow.py").write_text("x = 1\n")
    np.savez(world / "wide.npz", x=np.ones((4, 5), np.float32))
    write_features(world / "good.npz")
    command = TRAIN.format(w=world) + f" --steps 2 --out {world}/model"
    assert main(command.split()) == 0
    return world


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistake_is_one_line(name: str, dalib: Dalib, faulty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DALIB_DATA", raising=False)
    command, value, remedy = COMMANDS[name]
    answer = dalib(*command.format(w=faulty).split())
    check_line(answer.status, answer.err, value.format(w=faulty), remedy)


@pytest.mark.parametrize("name", SUITES)
def test_a_mistake_in_a_suite_is_one_line(name: str, dalib: Dalib, faulty: Path, tmp_path: Path) -> None:
    good, bad, value, remedy = SUITES[name]
    assert good in SUITE
    (tmp_path / "mine.toml").write_text(SUITE.replace(good, bad).replace("features:", f"features:{faulty}/"))
    answer = dalib("run", tmp_path / "mine.toml", "--store", tmp_path / "runs", "--tables", tmp_path / "tables")
    check_line(answer.status, answer.err, value, remedy)
    assert not list(tmp_path.rglob("*.json")), "something ran all the same"


@pytest.fixture(scope="session")
def ready(faulty: Path) -> Path:
    """A store in which the suite `good` has run."""
    from dalib.cli import main

    (faulty / "good.toml").write_text(SUITE)
    assert main(["run", f"{faulty}/good.toml", "--store", f"{faulty}/runs", "--no-table"]) == 0
    return faulty


@pytest.mark.parametrize("name", RUNS)
def test_a_mistake_in_running_is_one_line(name: str, dalib: Dalib, ready: Path, tmp_path: Path) -> None:
    options, value, remedy = RUNS[name]
    places = ("--store", tmp_path / "runs", "--tables", tmp_path / "tables")
    answer = dalib("run", ready / "good.toml", *places, *options.format(w=ready).split())
    check_line(answer.status, answer.err, value, remedy)


@pytest.mark.parametrize("name", TABLES)
def test_a_mistake_in_reporting_is_one_line(name: str, dalib: Dalib, ready: Path) -> None:
    options, value, remedy = TABLES[name]
    answer = dalib("table", ready / "good.toml", "--store", ready / "runs", *options.format(w=ready).split())
    check_line(answer.status, answer.err, value.format(w=ready), remedy)
    assert answer.out == ""


def test_a_suite_that_never_ran_says_so(dalib: Dalib, ready: Path, tmp_path: Path) -> None:
    answer = dalib("table", ready / "good.toml", "--store", tmp_path / "none")
    check_line(answer.status, answer.err, "good", "dalib run")
    answer = dalib("export", "god", "--store", ready / "runs", "--out", tmp_path / "x.jsonl")
    check_line(answer.status, answer.err, "god", "'good'")


def test_a_mistake_is_one_line_in_a_shell_too(ready: Path) -> None:
    """Warnings and tracebacks of libraries would show here: torch warns about this pickle before it refuses it."""
    command, value, remedy = COMMANDS["weights are a pickle"]
    arguments = command.format(w=ready).split()
    done = subprocess.run([sys.executable, "-m", "dalib.cli", *arguments], capture_output=True, text=True)
    check_line(done.returncode, done.stderr.splitlines(), value, remedy)


def check_line(status: int, err: list[str], value: str, remedy: str) -> None:
    assert (status, len(err)) == (2, 1), "\n".join(err)
    assert err[0].startswith("dalib: ")
    assert value in err[0], err[0]
    assert re.search(remedy, err[0]), err[0]
