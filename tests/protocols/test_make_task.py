"""Protocols grant the labels they promise, split by class and repeat exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dalib.checks import check_protocol
from dalib.core.errors import DalibError
from dalib.core.protocol import STORED, Parts, Protocol, ProtocolSpec, uses_target_labels
from dalib.core.registry import PROTOCOLS
from dalib.core.splits import concatenate, pick_per_class, strata
from dalib.core.types import Domain
from dalib.data.catalog import load_data
from dalib.data.loaded import LoadedData
from dalib.data.tasks import make_task
from tests.support.image_sets import members, write_folder
from tests.support.split_world import SIZES, per_class, rows


@pytest.mark.parametrize("protocol", PROTOCOLS.names())
def test_labels_and_names_travel_with_their_rows(protocol: str, data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol=protocol)
    truth = {(i, d): int(k) for d, n in enumerate("ab") for i, k in enumerate(data.domain(n).labels)}
    for part in (task.labelled, task.validation, task.test):
        for (i, d), label, file in zip(part.x.astype(int), part.labels, part.files, strict=True):
            assert truth[i, d] == label and file == f"{'ab'[d]}{i}"


@pytest.mark.parametrize("protocol", PROTOCOLS.names())
def test_the_seed_decides_the_split_and_its_fingerprint(protocol: str, data: LoadedData) -> None:
    first, again, other = (make_task(data, "a", "b", protocol=protocol, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.labelled.x, again.labelled.x)
    np.testing.assert_array_equal(first.test.x, again.test.x)
    assert first.labelled.fingerprint == again.labelled.fingerprint != other.labelled.fingerprint
    assert rows(first.labelled) != rows(other.labelled)


def test_the_split_does_not_touch_numpys_global_state(data: LoadedData) -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr] # noqa: NPY002
    make_task(data, "a", "b", protocol="semi_supervised")
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[index] # noqa: NPY002


def test_image_tasks_need_a_size_and_keep_uint8(tmp_path: Path) -> None:
    root = write_folder(tmp_path, members({"p": {"x": 5, "y": 4}, "q": {"x": 4, "y": 5}}))
    data = load_data("image_folder", root)
    task = make_task(data, "p", "q", protocol="semi_supervised", shots=1, resize=6)
    assert task.labelled.x.shape[1:] == (3, 6, 6) and task.labelled.x.dtype == np.uint8 and task.target.is_images
    with pytest.raises(DalibError, match="give resize"):
        make_task(data, "p", "q")


BAD = {
    "same domain": (("a", "a"), {}, "source and target are both 'a'"),
    "unknown source": (("c", "b"), {}, "no domain named 'c'"),
    "unknown target": (("a", "bb"), {}, "did you mean 'b'"),
    "unknown protocol": (("a", "b"), {"protocol": "semi_supervized"}, "did you mean 'semi_supervised'"),
    "validation": (("a", "b"), {"validation": 1.0}, "validation = 1.0 is out of range"),
    "negative validation": (("a", "b"), {"validation": -0.1}, "validation = -0.1 is out of range"),
    "fraction": (("a", "b"), {"fraction": 0.0, "protocol": "supervised"}, "fraction = 0.0 is out of range"),
    "shots": (("a", "b"), {"shots": 0, "protocol": "semi_supervised"}, "shots = 0 is out of range; >= 1"),
    "too many shots": (("a", "b"), {"shots": 4, "protocol": "semi_supervised"}, "class of 'b' has 4 rows; lower shots"),
}


@pytest.mark.parametrize(("pair", "options", "words"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_one_clear_line(
    pair: tuple[str, str], options: dict[str, object], words: str, data: LoadedData
) -> None:
    with pytest.raises(DalibError, match=words) as caught:
        make_task(data, *pair, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_domains_that_do_not_fit_are_not_joined(data: LoadedData) -> None:
    a = data.domain("a")
    with pytest.raises(DalibError, match="cannot be joined"):
        concatenate([a, a.with_x(a.x[:, :1], "narrow")])
    joined = concatenate([a, data.domain("b").unlabelled()])
    assert joined.y is None and len(joined) == sum(map(sum, SIZES.values()))


@pytest.mark.parametrize("protocol", PROTOCOLS.files())
def test_every_protocol_keeps_the_contract(protocol: str) -> None:
    results = check_protocol(PROTOCOLS.get(protocol), protocol)
    assert len(results) >= 7 and [r for r in results if not r.passed] == []


def test_a_whole_spec_and_its_settings_say_the_same(data: LoadedData) -> None:
    spec = ProtocolSpec(name="supervised", fraction=0.3, holdout=0.25)
    whole, named = make_task(data, "a", "b", spec), make_task(data, "a", "b", "supervised", fraction=0.3, holdout=0.25)
    over = make_task(data, "a", "b", ProtocolSpec(name="supervised", holdout=0.25), fraction=np.float64(0.3))
    assert whole.labelled.fingerprint == named.labelled.fingerprint == over.labelled.fingerprint


def test_numbers_of_numpy_are_numbers(data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol="semi_supervised", shots=np.int64(3))
    assert per_class(task.labelled) == [39, 21, 5, 5, 4]


def test_a_setting_that_does_not_exist_is_named(data: LoadedData) -> None:
    with pytest.raises(DalibError, match="no setting of a protocol named 'shot'; did you mean 'shots'"):
        make_task(data, "a", "b", shot=3)


class Unseen(Protocol):
    """The source only; the target is tested on."""

    labels = "source"
    words = "labelled source, no target"

    def split(self, source: Domain, target: Domain) -> Parts:
        return Parts(source, source, source.take(np.arange(0), "none"), target)


def test_a_protocol_of_ones_own_divides_a_task_and_its_records_are_read_without_it(
    data: LoadedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DalibError, match="'unseen' is no protocol"):
        make_task(data, "a", "b", protocol="unseen")
    monkeypatch.setattr(PROTOCOLS, "_extra", {"unseen": Unseen})
    task = make_task(data, "a", "b", protocol="unseen")
    assert rows(task.target) == rows(task.labelled) == rows(data.domain("a")) and task.target_origin == -1
    stored = ProtocolSpec(name="unseen").model_dump_json()
    monkeypatch.setattr(PROTOCOLS, "_extra", {})
    assert ProtocolSpec.model_validate_json(stored, context=STORED).name == "unseen"
    assert uses_target_labels("unseen"), "what is not known here is not ranked beside rows without target labels"


def test_rows_whose_labels_are_no_classes_are_split_at_random() -> None:
    domain = Domain("d", np.zeros((6, 1)), np.arange(6), ("0", "1", "2", "3", "4", "5"), "sha")
    assert strata(domain).tolist() == list(range(6))
    domain = replace(domain, objective="regression")
    assert strata(domain).tolist() == [0] * 6
    picked, rest = pick_per_class(domain, lambda n: n // 2, np.random.default_rng(0))
    assert len(picked) == len(rest) == 3 and sorted([*picked, *rest]) == list(range(6))
