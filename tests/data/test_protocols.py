"""Protocols grant the labels they promise, split by class and repeat exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dalib.core.errors import DalibError
from dalib.core.types import Domain
from dalib.data.catalog import LoadedData, load_data
from dalib.data.protocols import PROTOCOLS, concatenate, make_task
from tests.support.image_sets import members, write_folder

SIZES = {"a": [40, 20, 3, 2, 1], "b": [30, 12, 9, 5, 4]}


@pytest.fixture
def data(tmp_path: Path) -> LoadedData:
    """Row i of domain a holds [i, 0], of domain b [i, 1], so that rows can be recognised."""
    arrays = {}
    for d, sizes in enumerate(SIZES.values()):
        y = np.random.default_rng(d).permutation(np.repeat(np.arange(5), sizes))
        arrays[f"{'ab'[d]}_x"] = np.stack([np.arange(len(y)), np.full(len(y), d)], 1).astype(float)
        arrays[f"{'ab'[d]}_y"] = y
        arrays[f"{'ab'[d]}_names"] = np.array([f"{'ab'[d]}{i}" for i in range(len(y))])
    np.savez(tmp_path / "f.npz", **arrays)
    return load_data(f"features:{tmp_path / 'f.npz'}")


def rows(domain: Domain) -> set[tuple[int, int]]:
    found = {(int(i), int(d)) for i, d in domain.x}
    assert len(found) == len(domain), "no row twice"
    return found


def per_class(domain: Domain) -> list[int]:
    return np.bincount(domain.labels, minlength=5).tolist()


def test_uda_labels_the_source_and_tests_on_the_whole_unlabelled_target(data: LoadedData) -> None:
    task = make_task(data, "a", "b", validation=0.1)
    assert task.name == "a->b" and task.protocol == "uda" and task.classes == data.classes
    assert rows(task.labelled) | rows(task.validation) == rows(data.domain("a"))
    assert not rows(task.labelled) & rows(task.validation)
    assert task.target.y is None and rows(task.target) == rows(task.test) == rows(data.domain("b"))
    assert per_class(task.validation) == [4, 2, 1, 0, 0], "a tenth, at least one, none of classes below three rows"
    assert per_class(task.labelled) == [36, 18, 2, 2, 1]


def test_no_validation_is_an_empty_domain_and_the_whole_source(data: LoadedData) -> None:
    task = make_task(data, "a", "b", validation=0)
    assert len(task.validation) == 0 and task.validation.labels.shape == (0,) and task.validation.x.shape == (0, 2)
    assert rows(task.labelled) == rows(data.domain("a"))


def test_a_large_validation_part_leaves_a_training_row_per_class(data: LoadedData) -> None:
    task = make_task(data, "a", "b", validation=0.99)
    assert per_class(task.labelled) == [1, 1, 1, 2, 1]


def test_semi_supervised_moves_shots_of_the_target_to_the_labelled_rows(data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol="semi_supervised", shots=3)
    shots = {r for r in rows(task.labelled) if r[1] == 1}
    assert len(shots) == 15 and per_class(task.labelled) == [39, 21, 5, 5, 4]
    assert task.labelled.classes == data.classes and task.labelled.name == "a+b"
    assert rows(task.test) == rows(data.domain("b")) - shots == rows(task.target) and task.target.y is None
    assert per_class(task.test) == [27, 9, 6, 2, 1]
    assert all(r[1] == 0 for r in rows(task.validation))


def test_supervised_labels_a_part_of_the_target_and_tests_on_the_rest(data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol="supervised", fraction=0.5)
    assert per_class(task.test) == [15, 6, 5, 3, 2]
    assert rows(task.labelled) | rows(task.validation) | rows(task.test) == rows(data.domain("b"))
    assert not rows(task.labelled) & rows(task.test) and not rows(task.validation) & rows(task.test)
    assert rows(task.target) == rows(task.labelled) and task.target.y is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_labels_and_names_travel_with_their_rows(protocol: str, data: LoadedData) -> None:
    task = make_task(data, "a", "b", protocol=protocol)
    truth = {(i, d): int(k) for d, n in enumerate("ab") for i, k in enumerate(data.domain(n).labels)}
    for part in (task.labelled, task.validation, task.test):
        for (i, d), label, file in zip(part.x.astype(int), part.labels, part.files, strict=True):
            assert truth[i, d] == label and file == f"{'ab'[d]}{i}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
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
