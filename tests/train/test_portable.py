"""A model that leaves dalib answers as it did, takes raw rows, and says what it knows of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dalib
from dalib.cli import main
from dalib.core.errors import DalibError
from dalib.core.types import Domain
from dalib.train import portable
from dalib.train.portable import Portable, export_model, open_portable
from tests.support.image_world import make_backbone, make_image_task, recipe

K = 3
ROOT = Path(__file__).resolve().parents[2]


def onnx_needed() -> Any:
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name, reason="optional dependency (pip install 'dalib-toolkit[onnx]')")
    return pytest.importorskip("onnxruntime", reason="optional dependency (pip install 'dalib-toolkit[onnx]')")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, chance, y = tmp_path_factory.mktemp("toy"), np.random.default_rng(0), np.arange(48) % K
    x = {f"{d}_x": (y[:, None] + chance.normal(0.3 * i, 1, (48, 6))).astype(np.float32) for i, d in enumerate("ab")}
    np.savez(folder / "toy.npz", **x, a_y=y, b_y=y)
    return folder


def train(toy: Path, algorithm: str, **options: Any) -> Any:
    options.setdefault("train", {"steps": 4})
    return dalib.fit(f"features:{toy}/toy.npz", "a", "b", algorithm, out=toy / algorithm, **options)


def read_torch(path: Path) -> tuple[Any, dict[str, Any]]:
    extra = {"dalib.json": ""}
    program = torch.export.load(path, extra_files=extra)
    return program.module(), json.loads(extra["dalib.json"])


def test_raw_rows_go_in_and_any_number_of_them(toy: Path) -> None:
    """z-scored and normed inside, in double precision, as they are before prediction."""
    run = train(toy, "mcc", data={"normalise": ["row_sum", "zscore", "l2"]})
    path = export_model(toy / "mcc.safetensors", to="torch")
    assert path == toy / "mcc.pt2"
    module, facts = read_torch(path)
    raw = np.load(toy / "toy.npz")["b_x"][:7]
    logits, p, label = module(torch.from_numpy(raw))
    own = dalib.predict(run.path, raw)
    assert [facts["classes"][k] for k in label.tolist()] == [row.label for row in own.rows]
    assert p.max(1).values.tolist() == pytest.approx([row.probability for row in own.rows], abs=1e-6)
    assert facts["outputs"] == ["logits", "probabilities", "label"] and facts["trained"]["task"] == "a->b"
    assert logits.shape == (7, K) and facts["input"] == "rows"


def test_rows_that_the_model_rejects_are_called_unknown(toy: Path) -> None:
    protocol = {"source_classes": ["0:2"], "reject": 0.3, "validation": 0.2}
    run = train(toy, "source_only", protocol=protocol)
    module, facts = read_torch(export_model(toy / "source_only.safetensors", to="torch"))
    raw = np.load(toy / "toy.npz")["b_x"]
    names = [*facts["classes"], facts["unknown"]]
    told = [row.label for row in dalib.predict(run.path, raw).rows]
    assert [names[k] for k in module(torch.from_numpy(raw))[2].tolist()] == told
    assert "unknown" in told and len(set(told)) > 1


def test_yes_and_no_are_told_by_the_thresholds_that_the_training_chose(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    y = (chance.random((80, 3)) < 0.25).astype(int)
    x = (chance.normal(size=(80, 6)) + y @ chance.normal(size=(3, 6))).astype(np.float32)
    np.savez(tmp_path / "m.npz", a_x=x, b_x=x + 0.3, a_y=y, b_y=y, objective="multilabel")
    how = {"protocol": {"threshold": "held_out", "validation": 0.3}, "device": "cpu", "out": tmp_path / "m"}
    run = dalib.fit(f"features:{tmp_path / 'm.npz'}", "a", "b", "linear_probe", **how)
    module, _ = read_torch(export_model(run.path, to="torch"))
    told = np.array([row.values for row in dalib.predict(run.path, x).rows])
    assert module(torch.from_numpy(x))[0].tolist() == told.tolist()
    assert (told != (run.fitted.outputs(Domain("x", x, None, run.fitted.classes, "")).prediction.numpy() > 0)).any()


@pytest.mark.parametrize("frozen", [False, True])
def test_images_are_cut_and_normalised_inside(frozen: bool, tmp_path: Path) -> None:
    backbone, task = make_backbone(frozen=frozen), make_image_task()
    fitted = dalib.Trainer(recipe(steps=2), device="cpu").fit(dalib.DANN(), task, backbone)
    assert backbone.preprocess is not None and backbone.preprocess.crop < backbone.preprocess.resize
    module, facts = read_torch(export_model(fitted, tmp_path / "m", to="torch"))
    x = np.asarray(task.test.x)[:6]
    own = fitted.outputs(Domain("x", x, None, task.classes, "none")).logits
    torch.testing.assert_close(module(torch.from_numpy(x))[0], own, atol=1e-5, rtol=1e-4)
    assert facts["resize"] == backbone.preprocess.resize


def test_images_that_a_backbone_turns_are_turned_top_to_bottom_and_left_to_right(tmp_path: Path) -> None:
    backbone, task = make_backbone(), make_image_task()
    assert backbone.preprocess is not None
    backbone.preprocess = replace(backbone.preprocess, rotate180=True)
    fitted = dalib.Trainer(recipe(steps=2), device="cpu").fit(dalib.DANN(), task, backbone)
    x = np.asarray(task.test.x)[:6]
    own = fitted.outputs(Domain("x", x, None, task.classes, "none")).logits
    with torch.no_grad():
        torch.testing.assert_close(open_portable(fitted)(torch.from_numpy(x))[0], own, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("off", [0.01, float("nan")])
def test_what_answers_otherwise_is_not_kept(off: float, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(toy, "dann")
    plain = portable.WRITERS["torch"]

    def spoilt(*parts: Any) -> Any:
        content, answers = plain(*parts)
        answers[0][2, 1] += off * max(1.0, np.abs(answers[0]).max())
        return content, answers

    monkeypatch.setitem(portable.WRITERS, "torch", spoilt)
    with pytest.raises(
        DalibError, match=r"written as torch answers (0\.01|nan) off, more than 0\.0001; it was not kept"
    ):
        export_model(run.path, to="torch")
    assert not (toy / "dann.pt2").exists()


def test_onnxruntime_answers_as_the_model_does(toy: Path, tmp_path: Path) -> None:
    runtime = onnx_needed()
    backbone, task = make_backbone(), make_image_task()
    fitted = dalib.Trainer(recipe(steps=2), device="cpu").fit(dalib.DANN(), task, backbone)
    session = runtime.InferenceSession(str(export_model(fitted, tmp_path / "m")))
    x = np.asarray(task.test.x)[:6]
    own = fitted.outputs(Domain("x", x, None, task.classes, "none")).logits.numpy()
    logits, p, label = session.run(["logits", "probabilities", "label"], {"x": x})
    assert (
        np.abs(logits - own).max() < 1e-4 and label.tolist() == own.argmax(1).tolist() and p.sum() == pytest.approx(6)
    )
    assert json.loads(session.get_modelmeta().custom_metadata_map["dalib"])["classes"] == list(task.classes)


def test_torch_hub_gives_the_model_as_a_module_and_backbones(toy: Path) -> None:
    run = train(toy, "mcc")
    module = torch.hub.load(str(ROOT), "dalib_model", str(run.path), source="local")
    raw = np.load(toy / "toy.npz")["b_x"][:5]
    names = [module.facts["classes"][k] for k in module(torch.from_numpy(raw))[2].tolist()]
    assert names == [row.label for row in dalib.predict(run.path, raw).rows]
    backbone = torch.hub.load(str(ROOT), "dalib_backbone", "tiny", "pretrained", source="local")
    assert backbone(torch.zeros(2, 3, 64, 64)).shape == (2, 160)


def test_the_command_writes_beside_the_model_or_where_it_is_told(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(toy, "dann")
    model = str(toy / "dann.safetensors")
    assert main(["export", model, "--to", "torch", "--out", str(tmp_path / "new" / "x")]) == 0
    assert f"{tmp_path / 'new' / 'x.pt2'} (" in capsys.readouterr().out
    for words, line in (
        ([model], "is a model; say what it shall become: --to onnx or --to torch"),
        ([model, "--to", "tf"], "--to tf is not one of onnx, torch"),
        (["demo", "--to", "onnx"], "is for a model file (.safetensors), and demo is none"),
        (["demo"], "missing option '--out'"),
    ):
        assert main(["export", *words]) == 2 and line in capsys.readouterr().err


def test_answers_that_differ_are_refused_and_nothing_is_written(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = train(toy, "dann").fitted
    prepare = Portable.prepare
    monkeypatch.setattr(Portable, "prepare", lambda self, x: prepare(self, x) + 0.01)
    with pytest.raises(DalibError, match=r"answers 0\.\d+ off, more than 0\.0001; it was not kept"):
        export_model(fitted, tmp_path / "m", to="torch")
    assert not list(tmp_path.iterdir())


def test_a_model_of_numbers_gives_answers_in_their_own_unit(toy: Path) -> None:
    chance = np.random.default_rng(1)
    x = {f"{d}_x": chance.normal(size=(40, 6)).astype(np.float32) for d in "ab"}
    y = {f"{d}_y": 100 + 20 * x[f"{d}_x"][:, 0] for d in "ab"}
    np.savez(toy / "numbers.npz", **x, **y, objective="regression")
    run = dalib.fit(f"features:{toy}/numbers.npz", "a", "b", "source_only", train={"steps": 20}, out=toy / "numbers")
    module, facts = read_torch(export_model(toy / "numbers.safetensors", to="torch"))
    (answers,) = module(torch.from_numpy(x["b_x"][:6]))
    told = [row.values for row in dalib.predict(run.path, x["b_x"][:6]).rows]
    assert facts["outputs"] == ["answers"] and answers.tolist() == [pytest.approx(v, rel=1e-5) for v in told]


def test_answers_that_are_maps_are_refused(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = train(toy, "dann").fitted
    monkeypatch.setattr(Portable, "forward", lambda self, x: (torch.zeros(len(x), 2, 4, 4),))
    with pytest.raises(DalibError, match=r"classification answers \(2, 4, 4\) per row, which export does not know"):
        export_model(fitted, toy / "map", to="torch")


def test_what_cannot_be_written_is_said_in_one_line(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DalibError, match="to = 'jax' is not one of onnx, torch"):
        export_model(toy / "none.safetensors", to="jax")  # type: ignore[arg-type]
    run = train(toy, "dann")
    with pytest.raises(DalibError, match="a model that has no file needs a path"):
        export_model(run.fitted)

    def refuse(*args: Any, **options: Any) -> None:
        raise RuntimeError("no such\noperation")

    monkeypatch.setattr(torch.export, "export", refuse)
    with pytest.raises(
        DalibError, match=r"dann on identity cannot be written as torch \(RuntimeError: no such operation\)"
    ):
        export_model(run.path, to="torch")
