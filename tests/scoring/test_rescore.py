"""Scores and metrics that a record lacks are added from its stored outputs; what is there stays."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from dalib.bench.progress import LineProgress
from dalib.bench.runner import run_suite
from dalib.bench.suite import Suite
from dalib.core.errors import DalibError
from dalib.core.metric import Metric
from dalib.core.registry import METRICS, VALIDATORS
from dalib.core.types import Outputs
from dalib.records.record import Record
from dalib.records.store import Store
from dalib.scoring.rescore import outputs_to_arrays, rescore

CLUSTERED = {"ami", "ari", "fmi", "v_measure"}
"""k-means from another order of eight rows ends elsewhere."""
OTHER = "joint without labelled target rows is source_only"
QUIET = {"progress": LineProgress(io.StringIO())}


@pytest.fixture(params=[True, False], ids=["features", "logits"])
def ran(request, suite, tmp_path) -> tuple[Store, Suite, bool]:
    """A real suite of two tasks, with and without kept features."""
    few = {**suite.model_dump(), "seeds": [0], "keep_features": request.param}
    found = Suite.model_validate(few)
    run_suite(found, store=tmp_path / "store", **QUIET)
    return Store(tmp_path / "store"), found, request.param


def forget(store: Store, record: Record) -> None:
    """The record as an older version would have written it."""
    for candidate in record.candidates:
        candidate.scores = {"oracle": candidate.scores["oracle"]}
        candidate.metrics.pop("target_effective_classes")
    record.warnings = [*record.warnings, OTHER]
    store.put(record, store.predictions(record.key))


def test_what_was_scored_in_the_run_comes_back_from_stored_outputs(ran) -> None:
    store, suite, features = ran
    manifest = store.manifest(suite.name)
    before = {r.key: r for r in store.records(manifest.keys)}
    for record in store.records(manifest.keys):
        forget(store, record)
    counts = rescore(store, manifest)
    assert (counts.records, counts.bare) == (len(before), 0)
    compared = set()
    for record in store.records(manifest.keys):
        assert record.warnings[-1] == OTHER and record.warnings.count(OTHER) == 1, "what is said of the method stays"
        for old, new in zip(before[record.key].candidates, record.candidates, strict=True):
            assert new.metrics["target_effective_classes"] == old.metrics["target_effective_classes"]
            for name in new.scores:
                compared.add(name)
                if name not in CLUSTERED:
                    assert new.scores[name] == pytest.approx(old.scores[name], rel=0.05, abs=0.02), name
    blind = {name for name in VALIDATORS.names() if not VALIDATORS.get(name).uses_features}
    assert blind - {"snd", "mix_val"} <= compared
    assert ("mmd_distance" in compared) == features


class RightMinusWrong(Metric):
    """A plug-in metric that no record holds."""

    unit = ""

    def score(self, y: np.ndarray, prediction: np.ndarray, answer: np.ndarray, known: int) -> float:
        return float(2 * (y == answer).mean() - 1)


def test_whatever_metric_is_registered_is_filled_in_from_stored_outputs_and_labels(ran, monkeypatch) -> None:
    store, suite, _ = ran
    manifest = store.manifest(suite.name)
    before = {r.key: [dict(c.metrics) for c in r.candidates] for r in store.records(manifest.keys)}
    for record in store.records(manifest.keys):
        for candidate in record.candidates:
            kept = ("target_accuracy", "source_accuracy", "train_accuracy", "domain_accuracy")
            candidate.metrics = {name: candidate.metrics[name] for name in kept if name in candidate.metrics}
        store.put(record, store.predictions(record.key))
    monkeypatch.setattr(METRICS, "_extra", {"right_minus_wrong": RightMinusWrong})
    assert rescore(store, manifest).records == len(before)
    for record in store.records(manifest.keys):
        for old, new in zip(before[record.key], record.candidates, strict=True):
            assert {name: new.metrics[name] for name in old} == pytest.approx(old, abs=0.02)
            for side in ("target", "source"):
                expected = 2 * new.metrics[f"{side}_accuracy"] - 1
                assert new.metrics[f"{side}_right_minus_wrong"] == pytest.approx(expected, abs=0.02)


def test_scores_of_another_version_of_their_validator_are_computed_again(ran, monkeypatch) -> None:
    store, suite, _ = ran
    manifest = store.manifest(suite.name)

    class Raised(VALIDATORS.get("entropy")):
        version = 2

        def score(self, source, target) -> float:
            return 100 + super().score(source, target)

    rescore(store, manifest)
    before = {r.key: [c.scores for c in r.candidates] for r in store.records(manifest.keys)}
    monkeypatch.setitem(VALIDATORS._extra, "entropy", Raised)
    assert rescore(store, manifest).records == len(before)
    for record in store.records(manifest.keys):
        assert record.provenance["formulas"]["validator entropy"] == 2
        for candidate, then in zip(record.candidates, before[record.key], strict=True):
            assert candidate.scores.keys() == then.keys()
            assert candidate.scores["entropy"] == pytest.approx(100 + then["entropy"], abs=1e-2)
            assert all(candidate.scores[name] == value for name, value in then.items() if name != "entropy")
    assert rescore(store, manifest).records == 0


def test_one_candidate_that_lacks_a_score_is_enough(ran) -> None:
    store, suite, _ = ran
    manifest = store.manifest(suite.name)
    keys = [r.key for r in store.records(manifest.keys)]
    rescore(store, manifest)
    whole = store.get(keys[0])
    assert len(whole.candidates) > 1
    spoilt = whole.model_copy(deep=True)
    del spoilt.candidates[-1].scores["entropy"]
    store.put(spoilt, store.predictions(keys[0]))
    counts = rescore(store, manifest)
    assert counts.records == 1
    assert store.get(keys[0]).candidates[-1].scores["entropy"] == pytest.approx(
        whole.candidates[-1].scores["entropy"], rel=0.05, abs=0.02
    )


def test_a_metric_that_is_there_stays_whatever_the_outputs_give(ran) -> None:
    store, suite, _ = ran
    record = next(iter(store.records(store.manifest(suite.name).keys)))
    forget(store, record)
    record.candidates[0].metrics["target_macro_f1"] = 0.123456
    store.put(record, store.predictions(record.key))
    rescore(store, store.manifest(suite.name))
    kept = store.get(record.key).candidates[0].metrics
    assert kept["target_macro_f1"] == 0.123456 and "target_effective_classes" in kept


def test_complete_records_and_records_without_outputs_are_left_alone(ran) -> None:
    store, suite, _ = ran
    manifest = store.manifest(suite.name)
    first = next(store.records(manifest.keys))
    forget(store, first)
    store.path(first.key).with_suffix(".npz").unlink()
    text = store.path(first.key).read_text()
    assert rescore(store, manifest).bare == 1
    assert store.path(first.key).read_text() == text


def test_kept_features_are_those_of_the_candidate(ran) -> None:
    store, suite, features = ran
    record = next(store.records(store.manifest(suite.name).keys))
    arrays = store.predictions(record.key)
    name = f"step_{record.candidates[-1].step}_target_z"
    assert (name in arrays) == features
    if features:
        assert arrays[name].dtype == np.float16 and len(arrays[name]) == len(arrays["target_y"])


def test_a_suite_scores_by_the_validators_it_names_and_rescoring_adds_the_rest(suite, tmp_path) -> None:
    few = Suite.model_validate({**suite.model_dump(), "seeds": [0], "validators": ["ami"]})
    run_suite(few, store=tmp_path / "store", **QUIET)
    store = Store(tmp_path / "store")
    manifest = store.manifest(few.name)
    every = [c for r in store.records(manifest.keys) for c in r.candidates]
    assert every and all(set(c.scores) == {"ami", "oracle"} for c in every)
    rescore(store, manifest)
    assert all("entropy" in c.scores for r in store.records(manifest.keys) for c in r.candidates)


def test_a_validator_nobody_knows_stops_the_suite_before_a_run(suite, tmp_path) -> None:
    wrong = Suite.model_validate({**suite.model_dump(), "validators": ["amy"]})
    with pytest.raises(DalibError, match="no validator named 'amy'; did you mean 'ami'"):
        run_suite(wrong, store=tmp_path / "store", **QUIET)


DAMAGE = {
    "cut": lambda content: content[:40],
    "nothing": lambda content: b"",
    "text": lambda content: b"hello",
    "a flipped bit": lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
    "another record's": lambda content: _npz(other=np.zeros(3)),
    "rows without labels": lambda content: _npz(
        **{f"step_{s}_{d}": np.zeros((4, 2)) for s in range(100) for d in ("target", "source")},
        target_y=np.zeros(1), source_y=np.zeros(1),
    ),
    "words": lambda content: _npz(**{f"step_{s}_target": np.array(["a"]) for s in range(100)}),
    "objects": lambda content: _npz(target_y=np.array([{}], dtype=object)),
}  # fmt: skip


def _npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_arrays_count_as_missing_with_a_word(damage, ran) -> None:
    store, suite, _ = ran
    manifest = store.manifest(suite.name)
    key = manifest.keys[0]
    record = store.get(key)
    record.candidates[-1].scores.pop("entropy")
    store.update(record)
    path = store.path(key).with_suffix(".npz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(RuntimeWarning, match="count as missing"):
        assert rescore(store, manifest).bare == 1
    assert "entropy" not in store.get(key).candidates[-1].scores


@pytest.mark.parametrize("objective", ["classification", "regression", "multilabel"])
def test_logits_of_classes_are_kept_short_and_numbers_with_all_their_digits(objective: str) -> None:
    values = torch.linspace(0, 1, 12).reshape(4, 3) / 3
    outputs = Outputs(values, values, None)
    kept = outputs_to_arrays(outputs, outputs, features=True, objective=objective)
    kind = torch.float16 if objective == "classification" else torch.float32
    assert {name: array.dtype for name, array in kept.items()} == {
        "target": kind, "source": kind, "target_z": torch.float16, "source_z": torch.float16,
    }  # fmt: skip
    assert torch.equal(kept["target"], values.to(kind)) and torch.equal(kept["target_z"], values.half())
