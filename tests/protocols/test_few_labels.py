"""Few-label protocols: one split for all, fixed test rows, a limited source, and keys that stay."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

from dalib.core.errors import DalibError
from dalib.core.types import Domain, Task
from dalib.data.loaded import LoadedData
from dalib.data.tasks import make_task
from dalib.records.spec import DataSpec, ProtocolSpec, RunSpec

SIZES = {"amazon": [30, 24, 21], "webcam": [12, 9, 8], "dslr": [8, 8, 10]}


class Data:
    """Three domains whose row i holds [i, position of the domain]."""

    name, classes, domains, objective = "office", ("mug", "bike", "pen"), tuple(SIZES), "classification"
    unlabelled: ClassVar[dict[str, int]] = {}
    absent: ClassVar[dict[str, str]] = {}
    split = LoadedData.split

    def domain(self, name: str, resize: int | None = None) -> Domain:
        y = np.repeat(np.arange(3), SIZES[name])
        x = np.stack([np.arange(len(y)), np.full(len(y), self.domains.index(name))], 1).astype(np.float32)
        return Domain(name, x, y, self.classes, f"sha-{name}")


def task(protocol: str, **options: object) -> Task:
    return make_task(Data(), "amazon", "webcam", protocol=protocol, **options)  # type: ignore[arg-type]


def rows(domain: Domain) -> set[tuple[int, int]]:
    return {(int(i), int(d)) for i, d in domain.x}


def target_rows(domain: Domain) -> set[tuple[int, int]]:
    return {row for row in rows(domain) if row[1] == 1}


@pytest.mark.parametrize("shots", [1, 3, 5])
def test_none_few_and_only_few_labels_are_tested_on_the_same_rows(shots: int) -> None:
    none, both, only = (task(p, split="shots", shots=shots) for p in ("uda", "semi_supervised", "supervised"))
    assert rows(none.test) == rows(both.test) == rows(only.test) == rows(none.target) == rows(both.target)
    assert len(none.test) == 29 - 3 * shots
    assert not target_rows(none.labelled) and len(none.labelled) + len(none.validation) == 75
    assert target_rows(both.labelled) == rows(only.labelled) == rows(Data().domain("webcam")) - rows(none.test)
    assert np.bincount(only.labelled.labels).tolist() == [shots] * 3 and len(only.validation) == 0


def test_the_split_of_shots_is_that_of_semi_supervised_runs_made_before() -> None:
    plain, asked = (task("semi_supervised", shots=3, **more) for more in ({}, {"split": "shots"}))
    assert plain.labelled.fingerprint == asked.labelled.fingerprint
    np.testing.assert_array_equal(plain.test.x, asked.test.x)


def test_the_rows_of_few_shots_are_among_those_of_more_and_seeds_are_splits() -> None:
    one, five = (task("supervised", split="shots", shots=k) for k in (1, 5))
    assert rows(one.labelled) < rows(five.labelled)
    assert rows(one.labelled) != rows(task("supervised", split="shots", shots=1, seed=1).labelled)


@pytest.mark.parametrize("fraction", [0.15, 0.3, 0.5, 1.0])
def test_with_a_holdout_every_fraction_is_tested_on_the_same_rows(fraction: float) -> None:
    found = task("supervised", holdout=0.25, fraction=fraction)
    assert np.bincount(found.test.labels).tolist() == [3, 2, 2]
    np.testing.assert_array_equal(found.test.x, task("supervised", holdout=0.25, fraction=0.5).test.x)
    assert len(found.labelled) + len(found.validation) == sum(round(fraction * n) for n in (9, 7, 6))
    assert not (rows(found.labelled) | rows(found.validation)) & rows(found.test)


def test_with_a_holdout_shots_are_drawn_from_the_other_rows() -> None:
    found = task("semi_supervised", holdout=0.25, shots=2)
    assert rows(found.test) == rows(task("supervised", holdout=0.25).test)
    assert len(found.target) == 29 - 7 - 6 and not rows(found.target) & rows(found.test)
    assert not target_rows(found.labelled) & (rows(found.test) | rows(found.target))


def test_a_limited_source_leaves_the_targets_split_as_it_was() -> None:
    all_, few = (task("semi_supervised", shots=3, source_per_class=n, validation=0) for n in (0, 20))
    assert target_rows(all_.labelled) == target_rows(few.labelled)
    source = few.labelled.take(np.flatnonzero(few.labelled.origin == 0), "source")
    assert np.bincount(source.labels).tolist() == [20, 20, 20]
    other = task("semi_supervised", shots=3, source_per_class=20, validation=0, seed=1)
    assert rows(other.labelled) != rows(few.labelled)


def test_office31s_numbers_are_given_by_domain() -> None:
    sizes = {"amazon": 20, "dslr": 8}
    found = make_task(Data(), "amazon+dslr", "webcam", source_per_class=sizes, validation=0)
    counts = [np.bincount(found.labelled.labels[found.labelled.origin == o]).tolist() for o in (0, 1)]
    assert counts == [[20] * 3, [8] * 3]


BAD = {
    "split": ({"split": "shot"}, "no split named 'shot'; did you mean 'shots'"),
    "all labelled": ({"fraction": 1.0, "protocol": "supervised"}, "fraction = 1.0 is out of range"),
    "small source": ({"source_per_class": 22}, "source_per_class = 22: a class of 'amazon' has 21 rows; lower it"),
    "domain": ({"source_per_class": {"amazn": 3}}, "no domain named 'amazn'; did you mean 'amazon'"),
}


@pytest.mark.parametrize(("options", "words"), BAD.values(), ids=BAD.keys())
def test_a_mistake_in_the_split_is_one_line(options: dict[str, object], words: str) -> None:
    with pytest.raises(DalibError, match=words) as caught:
        task(str(options.pop("protocol", "uda")), **options)
    assert "\n" not in str(caught.value)


def spec(**options: object) -> RunSpec:
    protocol = ProtocolSpec(name="semi_supervised", **options)  # type: ignore[arg-type]
    return RunSpec(data=DataSpec(dataset="office31"), source="a", target="b", algorithm="dann", protocol=protocol)


def test_new_settings_change_the_key_and_their_defaults_do_not() -> None:
    assert spec().key == spec(split="fraction", source_per_class=0).key
    changed = [spec(split="shots"), spec(source_per_class=8), spec(source_per_class={"a": 8}), spec(shots=1)]
    assert len({spec().key, *(s.key for s in changed)}) == 5
    with pytest.raises(ValidationError):
        spec(source_per_class={"a": 0})
