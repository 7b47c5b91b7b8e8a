"""A run is put together in one place, whoever asks for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dalib.assemble
from dalib.assemble import Run, RunContext, assemble, check_crop
from dalib.backbones import load_backbone
from dalib.bench.plan import plan
from dalib.bench.run import run_one
from dalib.bench.suite import Suite
from dalib.core.errors import DalibError
from dalib.fitting import fit
from dalib.records.spec import BackboneSpec, DataSpec, ProtocolSpec, RunSpec
from dalib.train.config import TrainConfig
from tests.support.worlds import write_images

HERE = RunContext(device="cpu")
PLUGIN = '''"""Source-only with a setting."""

from dalib.algorithms.source_only import SourceOnly


class Mine(SourceOnly):
    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.size = size
'''


@pytest.fixture
def features(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    y = np.arange(24) % 3
    arrays = {f"{d}_x": (np.eye(3, 4)[y] + 0.1 * rng.normal(size=(24, 4))).astype(np.float32) for d in "ab"}
    np.savez(tmp_path / "toy.npz", **arrays, a_y=y, b_y=y)
    return tmp_path / "toy.npz"


def describe(features: Path, **more: object) -> RunSpec:
    train = TrainConfig(steps=30, batch_size=8, bottleneck=4, lr=0.1, evaluations=2)
    data = DataSpec(dataset=f"features:{features}")
    return RunSpec(**({"data": data, "source": "a", "target": "b", "algorithm": "source_only", "train": train} | more))  # type: ignore[arg-type]


def test_a_description_becomes_what_trains_it(features: Path) -> None:
    spec = describe(features, protocol=ProtocolSpec(name="semi_supervised", shots=2), seed=3)
    run = assemble(spec, HERE)
    assert isinstance(run, Run) and run.task.name == "a->b" and run.task.target_origin == 1
    assert (run.task.labelled.origin == 1).sum() == 6 and run.trainer.seed == 3
    fitted = run.fit()
    assert fitted.algorithm is run.algorithm and fitted.outputs(run.task.test).logits.shape == (18, 3)


def test_a_suites_run_is_the_same_run(features: Path) -> None:
    content = {"name": "s", "dataset": f"features:{features}", "tasks": ["a->b"], "algorithms": ["source_only"]}
    suite = Suite.model_validate(content | {"train": describe(features).train.model_dump()})
    record, arrays = run_one(plan(suite).runs[0].spec, HERE)
    run = assemble(describe(features), HERE)
    logits = run.fit().outputs(run.task.test).logits
    np.testing.assert_array_equal(arrays["step_30_target"], logits.half().numpy())
    assert record.status == "ok" and record.counts["labelled"] == len(run.task.labelled)


def test_frozen_images_are_embedded_before_they_are_divided(tmp_path: Path) -> None:
    spec = describe(
        tmp_path, data=DataSpec(dataset="mini_office"), source="photo", target="sketch",
        backbone=BackboneSpec(name="tiny", weights="pretrained", frozen=True),
        train=TrainConfig(steps=1, batch_size=8, bottleneck=4),
    )  # fmt: skip
    domains = dalib.assemble.open_data(spec.data, None).domains
    run = assemble(spec.model_copy(update={"source": domains[0], "target": domains[1]}), HERE)
    assert run.data.kind == "images" and not run.task.labelled.is_images
    assert run.task.labelled.x.shape[1:] == (run.backbone.dim,)


class Stopped(Exception):
    pass


def test_a_stopped_run_goes_on_from_its_checkpoint(features: Path, tmp_path: Path) -> None:
    where = RunContext(device="cpu", checkpoint=str(tmp_path / "state"))
    seen: list[int] = []

    def stop(step: int, steps: int) -> None:
        if step == 20:
            raise Stopped

    run = assemble(describe(features), where, report=stop)
    run.trainer.checkpoint_seconds = -1.0
    with pytest.raises(Stopped):
        run.fit()
    assert (tmp_path / "state").is_file()
    again = assemble(describe(features), where, report=lambda step, steps: seen.append(step))
    fitted = again.fit()
    assert min(seen) == 20, "it did not start again"
    whole = assemble(describe(features), HERE)
    assert whole.fit().outputs(whole.task.test).logits.equal(fitted.outputs(again.task.test).logits)
    assert not (tmp_path / "state").exists()


def test_a_checkpoint_of_other_data_is_not_taken(features: Path, tmp_path: Path) -> None:
    where = RunContext(device="cpu", checkpoint=str(tmp_path / "state"))
    first = assemble(describe(features), where).trainer.checkpoint_key
    arrays = dict(np.load(features))
    np.savez(features, **(arrays | {"a_x": arrays["a_x"] + 1}))
    second = assemble(describe(features), where).trainer.checkpoint_key
    assert re.fullmatch("[0-9a-f]{64}", first) and first != second


def test_data_of_unknown_content_is_opened_anew_and_known_data_stays_open(features: Path) -> None:
    spec = DataSpec(dataset=f"features:{features}")
    first = dalib.assemble.open_data(spec, None)
    assert dalib.assemble.open_data(spec, None) is not first
    known = spec.model_copy(update={"fingerprint": first.fingerprint})
    assert dalib.assemble.open_data(known, None) is dalib.assemble.open_data(known, None)


def test_a_plug_ins_defaults_are_left_out_of_the_key_in_a_fresh_process_too(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dalib.core.registry import ALGORITHMS, load_plugin

    monkeypatch.setattr(ALGORITHMS, "_extra", {})
    (tmp_path / "mine.py").write_text(PLUGIN)
    spec = describe(features, algorithm="mine", hparams={"size": 3})
    strange = spec.key
    load_plugin(tmp_path / "mine.py")
    assert spec.key != strange
    monkeypatch.setattr(ALGORITHMS, "_extra", {})
    record, _ = run_one(spec, RunContext(device="cpu", plugins=(str(tmp_path / "mine.py"),)))
    assert record.status == "ok" and record.key == spec.key != strange


def test_a_plug_in_that_is_gone_is_a_failed_record(features: Path) -> None:
    record, _ = run_one(describe(features), RunContext(device="cpu", plugins=("nowhere.py",)))
    assert record.status == "failed" and record.error and "no plug-in file" in record.error.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "c"}, "no domain named 'c'"),
        ({"algorithm": "dnan"}, "did you mean .*'dann'"),
        ({"algorithm": "dann", "hparams": {"wieght": 1}}, "did you mean 'weight'"),
        ({"backbone": BackboneSpec(name="resnet18")}, "takes images"),
    ],
)
def test_a_mistake_is_one_clear_line(change: dict[str, object], words: str, features: Path) -> None:
    with pytest.raises(DalibError, match=words) as caught:
        assemble(describe(features, **change), HERE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("crop", [1, 5000])
def test_a_crop_that_does_not_fit_the_network_is_one_line(crop: int) -> None:
    with pytest.raises(DalibError, match=f"crop = {crop} .*its own is"):
        check_crop(load_backbone("tiny", "none"), crop)
    check_crop(load_backbone("tiny", "none"), 48)


@pytest.mark.parametrize(("crop", "near"), [(100, "96 and 128 fit too"), (1, "its own is 64, 32 fits too")])
def test_sides_near_by_that_fit_are_named(crop: int, near: str) -> None:
    with pytest.raises(DalibError, match=near):
        check_crop(load_backbone("tiny", "none"), crop)


def test_a_resize_below_the_crop_says_which_crop_goes_with_it(tmp_path: Path) -> None:
    root = write_images(tmp_path / "images")
    how: dict[str, Any] = {"backbone": {"name": "tiny", "frozen": True}, "train": {"resize": 32}}
    with pytest.raises(DalibError, match=r"train\.resize = 32 is smaller .* give --crop 32 \(train\.crop = 32\) too"):
        fit("image_folder", "bright", "dark", "source_only", root=root, **how)


def test_batches_larger_than_every_domain_are_pointed_out(tmp_path: Path) -> None:
    root = write_images(tmp_path / "images")
    how: dict[str, Any] = {"backbone": {"name": "tiny", "frozen": True}, "root": root, "device": "cpu"}
    said = {
        size: fit("image_folder", "bright", "dark", "mcc", train={"steps": 1, "batch_size": size}, **how).remarks
        for size in (2, 500)
    }
    assert any("batches of 500 rows" in remark for remark in said[500])
    assert not any("batches of" in remark for remark in said[2])
