"""Suites on time series and several modalities from a feature file: they run, and mistakes are one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dalib.assemble import RunContext
from dalib.bench.plan import plan
from dalib.bench.run import run_one
from dalib.bench.suite import load_suite
from dalib.core.errors import DalibError
from dalib.records.spec import BackboneSpec, DataSpec, RunSpec
from dalib.train.model_file import load_model, save_model

SUITE = """
dataset = "features:rows.npz"
tasks = ["a->b"]
algorithms = ["source_only", "dann"]

[backbone]
{backbone}

[train]
steps = 3
batch_size = 8
bottleneck = 8
backbone_rate = 1.0
evaluations = 1
"""
CNN = 'name = "cnn1d"\noptions = { channels = [8, 8], kernels = [4, 3] }'


def _rows(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(24) % 2
    series = rng.standard_normal((24, 2, 16)) + y[:, None, None]
    return {"series": series.astype(np.float32), "text": rng.integers(0, 9, (24, 5)), "y": y}


def _suite(folder: Path, backbone: str, *, modalities: bool = False) -> Path:
    arrays: dict[str, Any] = {}
    for domain, seed in (("a", 0), ("b", 1)):
        rows = _rows(seed)
        named = {"x_series": rows["series"], "x_text": rows["text"]} if modalities else {"x": rows["series"]}
        arrays |= {f"{domain}_{name}": array for name, array in {**named, "y": rows["y"]}.items()}
    np.savez(folder / "rows.npz", **arrays)
    path = folder / "other.toml"
    path.write_text(SUITE.format(backbone=backbone))
    return path


@pytest.mark.parametrize("modalities", [False, True], ids=["series", "modalities"])
def test_a_suite_runs_from_its_file_to_its_records(tmp_path: Path, modalities: bool) -> None:
    encoders = 'series = { name = "cnn1d", channels = [8], kernels = [3] }, text = "bag_of_words"'
    fused = f'name = "modalities"\noptions = {{ width = 8, encoders = {{ {encoders} }} }}'
    planned = plan(load_suite(_suite(tmp_path, fused if modalities else CNN, modalities=modalities)))
    assert [run.label for run in planned.runs] == ["source_only", "dann"]
    for run in planned.runs:
        first, again = (run_one(run.spec, RunContext(device="cpu"))[0] for _ in range(2))
        assert first.status == "ok", first.error
        assert first.candidates[-1].metrics == again.candidates[-1].metrics
        assert RunSpec.model_validate_json(run.spec.model_dump_json()).key == run.key


def test_options_of_a_backbone_are_in_the_key_and_their_absence_changes_no_old_key() -> None:
    def key(**changes: Any) -> str:
        data = DataSpec(dataset="features", fingerprint="f")
        return RunSpec(data=data, source="a", target="b", algorithm="dann", backbone=BackboneSpec(**changes)).key

    assert key() == key(options={})
    assert key(name="cnn1d") != key(name="cnn1d", options={"channels": [8]})


BAD = {
    'name = "cnn2d"': "no backbone named 'cnn2d'; did you mean 'cnn1d'",
    'name = "resnet18"': "feature data take no backbone, not resnet18",
    'name = "identity"': r"rows \(2, 16\), which need a backbone that is built to fit",
    'name = "mlp"': r"takes rows of numbers \(n, d\); these rows are \(2, 16\)",
    'name = "modalities"': "takes several modalities; these rows are",
    'name = "cnn1d"\noptions = { channel = [8] }': "backbone cnn1d named 'channel'; did you mean 'channels'",
    'name = "cnn1d"\noptions = { channels = [0], kernels = [3] }': r"cnn1d.channels = \[0\] is out of range",
}


@pytest.mark.parametrize(("backbone", "words"), BAD.items(), ids=[b.partition("\n")[0][8:-1] for b in BAD])
def test_a_backbone_that_does_not_fit_is_refused_when_the_suite_is_planned(
    tmp_path: Path, backbone: str, words: str
) -> None:
    with pytest.raises(DalibError, match=words) as caught:
        plan(load_suite(_suite(tmp_path, backbone)))
    assert "\n" not in str(caught.value)


def test_a_model_of_other_rows_is_saved_and_loaded(tmp_path: Path) -> None:
    import dalib

    rows, target = _rows(0), _rows(1)
    x, x_t = ({k: r[k] for k in ("series", "text")} for r in (rows, target))
    model = dalib.AdaptationClassifier(backbone="modalities", train={"steps": 2, "bottleneck": 8}, device="cpu")
    fitted = model.fit(x, rows["y"], x_t).fitted_
    loaded = load_model(save_model(fitted, tmp_path / "m", "source_only"), "cpu")
    domain = model._domain("target", model._rows(x_t), None)
    assert (loaded.outputs(domain).logits == fitted.outputs(domain).logits).all()
