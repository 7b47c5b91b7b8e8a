"""Records made under the first rule of keys get today's, and nothing else of them changes."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dalib.core.checksum import seal_json, seal_lines, unseal_json, unseal_lines
from dalib.core.errors import DalibError
from dalib.core.files import write_text
from dalib.records.archive import Archive, export
from dalib.records.manifest import Cell, Manifest
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.records.store import Store
from dalib.train.config import TrainConfig

FIRST = "31cb9e7f58c960e925d49aa3ba14e35034a5e07f0a75bb99eddbe64134bf78b0"
"""Of the spec that stood in the first rule's own test."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "rekey_records.py"
    spec = importlib.util.spec_from_file_location("rekey_records", path)
    assert spec and spec.loader
    module = sys.modules["rekey_records"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(seed: int, **more: object) -> RunSpec:
    hparams = {"weight": 1.0, "hidden": 64}
    data = DataSpec(dataset="features:/somewhere/toy.npz", fingerprint="ab")
    return RunSpec(data=data, source="a", target="b", algorithm="dann", hparams=hparams, seed=seed, **more)  # type: ignore[arg-type]


def make_now(seed: int) -> RunSpec:
    """The same with the settings of its time written out."""
    hparams = {"weight": 1.0, "hidden": 64, "dropout": 0.0, "rate": 1.0}
    spec = make(seed, train=TrainConfig(lr=0.01, initialisation="kaiming"), algorithm_version=3)
    return spec.model_copy(update={"hparams": hparams})


@pytest.fixture
def old_store(tmp_path: Path, script: ModuleType) -> Store:
    """Three records under their old keys, with arrays, and a manifest that names a fourth run without a record."""
    store, cells = Store(tmp_path / "runs"), []
    for seed in range(3):
        spec = make(seed, train=TrainConfig(lr=0.01))
        content = spec.model_dump(mode="json")
        del content["train"]["initialisation"]
        key = script.old_key(content)
        found = Candidate(step=7, metrics={"target_accuracy": seed / 3}, scores={"oracle": seed / 3})
        record = Record(key=key, spec=spec, status="ok", candidates=[found], provenance={"time": "then"})
        store.put(record, {"step_7_target": np.full((2, 2), seed, np.float32)})
        file = store.root / key[:2] / f"{key}.json"
        then = unseal_json(file.read_bytes()).decode()
        write_text(file, seal_json(re.sub(r'\s*"initialisation": "torch",', "", then)))
        cells.append(Cell(label="dann", task=spec.task, seed=seed, key=key))
    cells.append(Cell(label="dann", task="a->b", seed=9, key="0" * 64))
    store.write_manifest(Manifest(name="toy", runs=cells, sha256="e" * 64))
    return store


def test_the_old_rule_is_the_one_that_records_were_made_under(script: ModuleType) -> None:
    spec = {
        "data": {"dataset": "office31", "normalise": [], "partial": False, "fingerprint": "f" * 8},
        "source": "amazon", "target": "webcam",
        "protocol": {"name": "uda", "validation": 0.1, "shots": 3, "fraction": 0.5},
        "algorithm": "dann", "algorithm_version": 1, "hparams": {"weight": 1.0, "hidden": 64},
        "backbone": {"name": "resnet50", "weights": "imagenet", "frozen": False, "hash": "abc"},
        "train": {
            "steps": 1000, "batch_size": 32, "optimiser": "sgd", "lr": 0.01, "backbone_rate": 0.1, "momentum": 0.9,
            "weight_decay": 0.001, "schedule": "inverse", "warmup": 0.0, "clip": 0.0, "bottleneck": 256,
            "forward": "joint", "batch_norm": "train", "precision": "fp32", "channels_last": False, "compile": False,
            "crop": 0, "resize": 0, "augment": "standard", "scale_min": 0.08, "sampler": "shuffle", "evaluations": 5,
        },
        "seed": 0,
    }  # fmt: skip
    assert script.old_key(spec) == FIRST
    spec["protocol"] |= {"holdout": 0.0, "source_classes": [], "split": "fraction"}  # type: ignore[operator]
    assert script.old_key(spec) == FIRST, "settings that came later, at their defaults"
    spec["protocol"]["holdout"] = 0.2  # type: ignore[index]
    assert script.old_key(spec) != FIRST


def test_a_store_is_re_keyed_with_its_arrays_and_manifest(old_store: Store, script: ModuleType) -> None:
    before = {r.spec.seed: r for r in old_store.records()}
    assert script.rekey_store(old_store.root) == script.Counts(changed=3, current=0, unrun=1)
    after = {r.spec.seed: r for r in old_store.records()}
    for seed, record in after.items():
        assert record.key == make_now(seed).key and record.predictions == f"{record.key}.npz"
        assert old_store.predictions(record.key)["step_7_target"][0, 0] == seed
        same = {"key": record.key, "predictions": record.predictions, "spec": make_now(seed)}
        assert before[seed].model_copy(update=same) == record
    manifest = old_store.manifest("toy")
    assert manifest.keys == [*(make_now(seed).key for seed in range(3)), "0" * 64] and manifest.sha256 == "e" * 64
    assert len(list(old_store.root.glob("??/*"))) == 6, "nothing is left of the old ones"


def test_a_second_call_changes_nothing(old_store: Store, script: ModuleType) -> None:
    script.rekey_store(old_store.root)
    before = {p: p.read_bytes() for p in old_store.root.rglob("*.*")}
    assert script.rekey_store(old_store.root) == script.Counts(changed=0, current=3, unrun=1)
    assert before == {p: p.read_bytes() for p in old_store.root.rglob("*.*")}


def test_a_call_that_was_stopped_goes_on(old_store: Store, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Path, missing_ok: bool = False) -> None:
        if self.suffix in (".json", ".npz"):
            raise KeyboardInterrupt
        unlink(self, missing_ok)

    unlink = Path.unlink
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", stop)
        script.rekey_store(old_store.root)
    assert script.rekey_store(old_store.root).changed == 3
    assert len(list(old_store.root.glob("??/*"))) == 6


@pytest.mark.parametrize("name", ["toy.jsonl", "toy.jsonl.gz"])
def test_an_archive_is_what_exporting_the_re_keyed_store_gives(
    name: str, old_store: Store, script: ModuleType, tmp_path: Path
) -> None:
    archive, again = tmp_path / name, tmp_path / f"again-{name}"
    export(old_store, old_store.manifest("toy"), archive)
    assert script.rekey_archive(archive).changed == 3
    script.rekey_store(old_store.root)
    export(old_store, old_store.manifest("toy"), again)
    assert archive.read_bytes() == again.read_bytes()
    assert script.rekey_archive(archive) == script.Counts(changed=0, current=3, unrun=1)
    assert archive.read_bytes() == again.read_bytes() and len(list(Archive(archive).records())) == 3


def test_a_record_whose_content_is_not_what_its_key_says_is_refused(
    old_store: Store, script: ModuleType, tmp_path: Path
) -> None:
    export(old_store, old_store.manifest("toy"), tmp_path / "toy.jsonl")
    text = (tmp_path / "toy.jsonl").read_text()
    told = unseal_lines(text.encode()).replace(b'"hidden":64', b'"hidden":65', 1)
    (tmp_path / "toy.jsonl").write_bytes(seal_lines(told))
    with pytest.raises(DalibError, match="does not hold what its key says"):
        script.rekey_archive(tmp_path / "toy.jsonl")


def test_two_records_that_would_share_a_key_are_refused(script: ModuleType, tmp_path: Path) -> None:
    """Under the old rule a weight of 1 and one of 1.0 were two runs."""
    lines = []
    for weight in (1, 1.0):
        spec = make(0).model_copy(update={"hparams": {"weight": weight, "hidden": 64}})
        key = script.old_key(spec.model_dump(mode="json"))
        lines.append(Record(key=key, spec=spec, status="ok").model_dump_json())
    with pytest.raises(DalibError, match="would share the key"):
        script.new_keys(lines, tmp_path)


def test_committed_records_bear_the_keys_of_their_content(script: ModuleType) -> None:
    archives = sorted((Path(__file__).parents[2] / "results" / "records").glob("*.jsonl*"))
    for path in [p for p in archives if p.stat().st_size < 400_000]:
        content = path.read_bytes()
        text = unseal_lines(gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        bears = [json.loads(line)["key"] for line in text.rstrip("\n").split("\n")[1:]]
        assert bears == sorted(bears)
        keys = script.new_keys(text.rstrip("\n").split("\n")[1:], path)
        assert all(old == new for old, new in keys.items()), path


@pytest.mark.parametrize(("name", "prefix", "version", "today"), [
    ("dann", "", 2, 3),
    ("mstn", "", 3, 4),
    ("sdat", "", 2, 3),
    ("dann+mcc", "dann.", 2001, 3001),
    ("dann+cdan", "dann.dropout=0 cdan.", 2002, 3003),
])  # fmt: skip
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_only_what_drew_no_mask_is_as_the_version_of_today_would_have_it(
    script: ModuleType, tmp_path: Path, name: str, prefix: str, version: int, today: int, rate: float
) -> None:
    *more, last = prefix.split(" ")
    hparams = {f"{last}dropout": rate} | {key: float(value) for key, value in (text.split("=") for text in more)}
    spec = make(0).model_copy(update={"algorithm": name, "hparams": hparams, "algorithm_version": version})
    key = script.third_key(spec)
    line = Record(key=key, spec=spec, status="ok").model_dump_json()
    wanted = spec if rate else spec.model_copy(update={"algorithm_version": today})
    assert script.new_keys([line], tmp_path) == {key: wanted.key} and wanted.key != key
    assert Record.read(script.write_out(line)).spec == wanted


@pytest.mark.parametrize(("given", "kept"), [(32768, False), (4096, True), (9, True)])
def test_cdans_width_of_the_exact_map_is_in_a_key_where_it_was_no_default_then(
    script: ModuleType, tmp_path: Path, given: int, kept: bool
) -> None:
    """The keys are written out by hand: 32 768 was the default of version 2 and left out, 4096 is that of today."""
    content = {
        "data": {"dataset": "features", "fingerprint": "ab"}, "source": "a", "target": "b", "algorithm": "cdan",
        "algorithm_version": 2, "versions": {"train": 2},
    } | ({"hparams": {"largest_exact": given}} if kept else {})  # fmt: skip
    key = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    hparams = {"largest_exact": given, "dropout": 0.5, "rate": 3.0}
    spec = make(0).model_copy(update={"algorithm": "cdan", "hparams": hparams, "algorithm_version": 2})
    assert script.third_key(spec) == key
    line = Record(key=key, spec=spec, status="ok").model_dump_json()
    assert script.new_keys([line], tmp_path) == {key: spec.key}


@pytest.mark.parametrize(("name", "components", "counts", "classes", "then", "kept"), [
    ("gfk", 20, {"labelled": 21, "target": 400}, 0, 2, True),
    ("gfk", 20, {"labelled": 400, "target": 20}, 0, 2, False),
    ("gfk", "auto", {"labelled": 863, "target": 1123, "trainable": 10630}, 10, 2, True),  # 531 axes, twice
    ("gfk", "auto", {"labelled": 863, "target": 157, "trainable": 3150}, 10, 2, False),  # 157 axes
    ("subspace_alignment", "auto", {"labelled": 143, "target": 295, "trainable": 2210}, 10, 2, False),  # 220 axes
    ("subspace_alignment", "auto", {"labelled": 450, "target": 500, "trainable": 10}, 2, 2, True),
    ("pca_map", "auto", {"labelled": 143, "target": 295, "trainable": 2210}, 10, 2, True),
    ("meda", 20, {"labelled": 143, "target": 295}, 0, 1, True),
    ("tca", 20, {"labelled": 9, "target": 12}, 0, 1, True),
    ("tca", 20, {"labelled": 9, "target": 11}, 0, 1, False),
    ("bda", 20, {}, 0, 2, False),
])  # fmt: skip
def test_only_what_had_more_rows_than_axes_is_as_the_version_of_today_would_have_it(
    script: ModuleType, tmp_path: Path, name: str, components: object, counts: dict[str, int], classes: int, then: int,
    kept: bool,
) -> None:  # fmt: skip
    hparams = {"components": components} | ({"classifier": "logistic"} if classes else {})
    spec = make(0).model_copy(update={"algorithm": name, "hparams": hparams, "algorithm_version": then})
    key, told = script.third_key(spec), {str(i): {"n": 1.0} for i in range(classes)}
    line = Record(key=key, spec=spec, status="ok", counts=counts, per_class=told).model_dump_json()
    wanted = spec.model_copy(update={"algorithm_version": then + 1}) if kept else spec
    assert script.new_keys([line], tmp_path) == {key: wanted.key}
    assert Record.read(script.write_out(line)).spec == wanted


def test_a_hyper_parameter_under_its_old_name_counts_as_that_of_today(script: ModuleType) -> None:
    keys = []
    for name, value in (("penalty", 5.0), ("penalty_weight", 5.0), ("penalty", 10.0)):
        spec = make(0).model_copy(update={"algorithm": "wdgrl", "hparams": {name: value}})
        keys.append(script.rename(spec).key)
    assert keys[0] == keys[1] == spec.model_copy(update={"hparams": {"penalty_weight": 5.0}}).key
    assert keys[2] == spec.model_copy(update={"hparams": {}}).key
