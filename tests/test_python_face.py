"""What the command line does, three lines of Python do: the same results, from public names that are explained."""

from __future__ import annotations

import csv
import io
import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

import dalib
from dalib.checks.stub import STUB, compose_stub
from dalib.core.listener import Listener, RunLike
from dalib.core.registry import EXECUTORS

ROOT = Path(__file__).resolve().parents[1]
Run = Callable[..., str]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """rows.npz: two domains, three classes, 12 rows of each, a shift between them; and a suite on it."""
    folder, rng = tmp_path_factory.mktemp("face"), np.random.default_rng(0)
    centres, y = 3 * rng.normal(size=(3, 6)), np.repeat(np.arange(3), 12)
    x = {d: (centres[y] + shift + rng.normal(size=(36, 6))).astype(np.float32) for d, shift in (("a", 0.0), ("b", 0.8))}
    np.savez(folder / "rows.npz", a_x=x["a"], b_x=x["b"], a_y=y, b_y=y)
    lines = ['dataset = "features:rows.npz"', 'tasks = ["a->b"]', "seeds = [0, 1]", "[train]", "steps = 4"]
    (folder / "small.toml").write_text("\n".join([*lines, "[algorithms]", "source_only = {}", "mcc = {}", ""]))
    return folder


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Run:
    """`shell("list")` -> what the command prints."""
    from dalib.cli import main

    def call(*args: object) -> str:
        capsys.readouterr()
        status = main([str(a) for a in args])
        answer = capsys.readouterr()
        assert status == 0, answer.err
        return answer.out

    return call


def test_fit_is_dalib_train(shell: Run, rows: Path) -> None:
    algorithm = dalib.DANN(weight=0.5, hidden=16)
    run = dalib.fit(
        f"features:{rows}/rows.npz", "a", "b", algorithm,
        train={"steps": 6, "lr": 0.05}, protocol={"name": "semi_supervised", "shots": 2}, seed=3, out=rows / "python",
    )  # fmt: skip
    out = shell(
        "train", "--dataset", f"features:{rows}/rows.npz", "--source", "a", "--target", "b", "--algorithm", "dann",
        "--algorithm.weight", "0.5", "--algorithm.hidden", "16", "--train.steps", "6", "--lr", "0.05",
        "--protocol", "semi_supervised", "--protocol.shots", "2", "--seed", "3", "--out", rows / "shell",
    )  # fmt: skip
    printed = [line.split()[-4] for line in out.splitlines() if line.startswith("accuracy")]
    assert printed == [f"{value:.2%}" for value in run.values.values()]
    assert run.path == rows / "python.safetensors"
    assert run.path.read_bytes() == (rows / "shell.safetensors").read_bytes()


def test_a_listener_follows_a_fit_of_dalibs_and_changes_no_number(rows: Path) -> None:
    class Steps(Listener):
        def __init__(self) -> None:
            self.told: list[object] = []

        def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
            self.told.append((step, sorted(terms)))

        def end(self, run: RunLike, error: BaseException | None) -> None:
            self.told.append(error)

    def fit(*listeners: Listener) -> dict[str, float]:
        name = f"features:{rows}/rows.npz"
        return dalib.fit(name, "a", "b", "dann", train={"steps": 3}, listeners=listeners).values

    steps = Steps()
    assert fit(steps) == fit()
    assert steps.told == [*((n, ["adversarial", "classification"]) for n in (1, 2, 3)), None]


def test_an_executor_of_ones_own_runs_a_suite(shell: Run, rows: Path) -> None:
    shell("new", "executor", "my_threads", "--folder", rows)
    plugin = ("--plugin", rows / "my_threads.py")
    try:
        shell(
            "run", rows / "small.toml", "--store", rows / "threads", *plugin, "--executor", "my_threads", "--jobs", "2",
            "--no-table",
        )  # fmt: skip
    finally:
        EXECUTORS.remove("my_threads")
    assert "my_threads" not in EXECUTORS and len(list((rows / "threads").glob("??/*.json"))) == 4


def test_predict_is_dalib_predict_from_a_file_a_model_and_an_array(shell: Run, rows: Path) -> None:
    run = dalib.fit(
        f"features:{rows}/rows.npz", "a", "b", "mcc", train={"steps": 9}, data={"normalise": ["zscore"]},
        out=rows / "model",
    )  # fmt: skip
    assert run.path is not None
    out = shell("predict", run.path, rows / "rows.npz", "--domain", "b", "--top", "2")
    lines = list(csv.DictReader(io.StringIO(out)))
    for model in (run.path, run.fitted, dalib.load_model(run.path)):
        frame = dalib.predict(model, rows / "rows.npz", top=2, domain="b").frame()
        assert list(frame.columns) == ["file", "class", "probability"]
        assert [tuple(line.values()) for line in lines] == [(f, c, f"{p:.6f}") for f, c, p in frame.values]
    x = np.load(rows / "rows.npz")["b_x"]
    assert dalib.predict(run.fitted, x).frame()["class"].tolist() == [line["class"] for line in lines[::2]]


def test_save_and_load_keep_a_models_predictions_and_its_facts(rows: Path) -> None:
    data = dalib.load_data(f"features:{rows}/rows.npz")
    task = dalib.make_task(data, "a", "b")
    fitted = dalib.Trainer(dalib.TrainConfig(steps=3)).fit(
        dalib.DANN() + dalib.MCC(), task, dalib.load_backbone("identity", "none", dim=6)
    )
    fitted.extra["normalise"] = ["l2"]
    again = dalib.load_model(dalib.save_model(fitted, rows / "sum"))
    assert again.extra["normalise"] == ["l2"]
    assert again.outputs(task.test).logits.equal(fitted.outputs(task.test).logits)


def test_unreadable_images_are_reported_and_the_others_predicted(tmp_path: Path, capsys: Any) -> None:
    from PIL import Image

    for name, shade in (("a/x/1.png", 10), ("a/y/1.png", 200), ("b/x/1.png", 60), ("b/y/1.png", 250)):
        for i in range(3):
            file = tmp_path / "images" / Path(name).with_name(f"{i}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (shade + i,) * 3).save(file)
    run = dalib.fit(
        "image_folder", "a", "b", "linear_probe", backbone={"name": "tiny", "frozen": True}, root=tmp_path / "images"
    )
    (tmp_path / "images" / "b" / "x" / "broken.png").write_bytes(b"\x89PNG and nothing else")
    answer = dalib.predict(run.fitted, tmp_path / "images" / "b")
    assert [row.file for row in answer.rows] == [f"{c}/{i}.png" for c in "xy" for i in range(3)]
    assert list(answer.unreadable) == ["x/broken.png"] and answer.unreadable["x/broken.png"]
    assert capsys.readouterr() == ("", ""), "a library prints nothing"
    kinds = [(f.kind, f.file) for f in dalib.verify(tmp_path / "images")]
    assert ("unreadable", "b/x/broken.png") in kinds


def test_rank_is_dalib_rank(shell: Run, rows: Path) -> None:
    out = shell(
        "rank", "--dataset", f"features:{rows}/rows.npz", "--target", "b", "--backbones", "identity,mlp:none",
        "--measures", "k_nn,log_me", "--fraction", "0.5", "--seed", "2", "--format", "csv",
    )  # fmt: skip
    how = {"fraction": 0.5, "seed": 2}
    data = dalib.load_data(f"features:{rows}/rows.npz")
    ranking = dalib.rank(data, "b", ["identity", "mlp:none"], ["k_nn", "log_me"], **how)
    assert ranking.frame().to_csv(index=False) == out
    named = dalib.rank(f"features:{rows}/rows.npz", "b", ["identity", "mlp:none"], ["k_nn", "log_me"], **how)
    assert np.array_equal(named.scores, ranking.scores)


def test_advise_is_dalib_advise(shell: Run, rows: Path) -> None:
    advice = dalib.advise(rows / "rows.npz", "a", "b", out=rows / "python.toml")
    out = shell("advise", rows / "rows.npz", "--source", "a", "--target", "b", "--format", "json", "--out",
                rows / "shell.toml")  # fmt: skip
    assert json.loads(json.dumps(advice.to_dict())) == json.loads(out)
    written, typed = ((rows / f"{name}.toml").read_text() for name in ("python", "shell"))
    assert written.replace('"python"', '"shell"') == typed
    assert [row.label for row in advice.rows] == list(dalib.load_suite(rows / "python.toml").algorithms)


def test_run_suite_and_table_are_dalib_run_and_table(shell: Run, rows: Path) -> None:
    from dalib.report.render import render

    suite = dalib.load_suite(rows / "small.toml", {"train": {"momentum": 0.5}})
    summary = dalib.run_suite(suite, store=rows / "python")
    assert (summary.done, summary.failed) == (4, 0)
    places = ("--store", rows / "shell", "--no-table")
    shell("run", rows / "small.toml", *places, "--train.momentum", "0.5")
    for study, options in (
        ("", ()),
        ("summary", ("--summary",)),
        ("costs", ("--costs",)),
        ("", ("--select", "oracle")),
    ):
        select = options[1] if "--select" in options else ""
        report = dalib.table(rows / "small.toml", study, select=select, store=rows / "python")
        printed = shell("table", rows / "small.toml", *options, "--store", rows / "shell", "--format", "md")
        if study != "costs":  # seconds differ
            assert render(report, "md") == printed
    with pytest.raises(dalib.DalibError, match="no study named 'sumary'; did you mean 'summary'"):
        dalib.table(suite, "sumary", store=rows / "python")
    with pytest.raises(dalib.DalibError, match="looks at all rows"):
        dalib.table(suite, "summary", only=["mcc"], store=rows / "python")


def test_a_mistake_is_a_dalib_error_in_python_too(rows: Path) -> None:
    where = f"features:{rows}/rows.npz"
    for wrong, words in (
        ({"train": {"stps": 3}}, "no key 'stps' in .train.; did you mean 'steps'"),
        ({"backbone": {"name": "identity", "chanels": [4]}}, "no setting of backbone identity named 'chanels'"),
        ({"hparams": {"wieght": 3}}, "did you mean 'weight'"),
        ({"seed": -1}, "seed = -1 is negative"),
    ):
        with pytest.raises(dalib.DalibError, match=words):
            dalib.fit(where, "a", "b", "dann", **wrong)
    with pytest.raises(dalib.DalibError, match="set them in the algorithm itself"):
        dalib.fit(where, "a", "b", dalib.DANN(), hparams={"weight": 2})
    with pytest.raises(dalib.DalibError, match="top = 9 is out of range"):
        dalib.predict(dalib.fit(where, "a", "b", "linear_probe").fitted, rows / "rows.npz", top=9, domain="b")


# --- the names -------------------------------------------------------------------------------------------------------


def test_no_module_stands_in_the_way_of_a_public_name() -> None:
    """After everything is imported, `dalib.rank` is still the function."""
    modules = {info.name for info in pkgutil.iter_modules(dalib.__path__)}
    assert not modules & set(dalib._HOME)
    code = (
        "import importlib, dalib\n"
        "for home in dalib._HOME.values(): importlib.import_module(home)\n"
        "import dalib.ranking.rank, dalib.advice.advise, dalib.report.table\n"
        "for name, home in dalib._HOME.items():\n"
        "    assert getattr(dalib, name) is getattr(importlib.import_module(home), name), name\n"
        "    assert callable(getattr(dalib, name)), name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_stub_is_that_of_the_names_and_algorithms() -> None:
    """Else: make stub."""
    assert STUB.read_text(encoding="utf-8") == compose_stub()


@pytest.mark.parametrize("name", dalib._HOME)
def test_a_public_name_is_explained_and_stands_on_the_api_page(name: str) -> None:
    """By its own words, on docs/api.md."""
    thing = getattr(dalib, name)
    assert (thing.__doc__ or "").strip().splitlines()[0].endswith((".", ":")) or len(thing.__doc__) > 40
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    directive = "autoclass" if isinstance(thing, type) else "autofunction"
    directive = "autoexception" if name == "DalibError" else directive
    assert f".. {directive}:: dalib.{name}\n" in page


@pytest.mark.parametrize("section", ["hparams", "train", "protocol", "backbone", "data"])
def test_settings_of_fit_that_are_no_mapping_are_one_clear_line(section) -> None:
    with pytest.raises(dalib.DalibError, match=f"^{section} = 'tiny' is no mapping of settings; give {section}="):
        dalib.fit("mini_shifts", "calm", "offset", "dann", **{section: "tiny"})
