"""A protocol's contract: it grants the labels that it says, tests on other rows, and repeats exactly."""

from __future__ import annotations

import random
from typing import Any, get_args

import numpy as np

from dalib.checks.result import require
from dalib.core.protocol import Labels, Parts, Protocol, ProtocolSpec
from dalib.core.types import Domain

SIZES = {"source": (12, 9, 7), "target": (10, 8, 9)}


def make_domain(name: str) -> Domain:
    """Three classes; row i holds [i, position of the domain], so that rows can be recognised."""
    y = np.random.default_rng(len(name)).permutation(np.repeat(np.arange(3), SIZES[name]))
    x = np.stack([np.arange(len(y)), np.full(len(y), list(SIZES).index(name))], 1).astype(np.float32)
    return Domain(name, x, y, ("a", "b", "c"), f"sha-{name}")


def _split(cls: type[Protocol], seed: int = 0, **settings: Any) -> Parts:
    spec = ProtocolSpec.model_construct(**{**ProtocolSpec().model_dump(), **settings, "name": "checked"})
    return cls(spec, seed).split(make_domain("source"), make_domain("target"))


def _rows(domain: Domain) -> set[tuple[int, int]]:
    return {(int(i), int(d)) for i, d in np.asarray(domain.x)}


def check_facts_are_stated(cls: type[Protocol]) -> None:
    labels = getattr(cls, "labels", "")
    require(labels in get_args(Labels), f"labels = {labels!r}; say whose are granted: source, target or both")
    require(bool(getattr(cls, "words", "")), "words is empty; say in a clause what is granted and tested")
    require(type(cls.version) is int and cls.version >= 1, f"version = {cls.version!r}; give a whole number >= 1")
    require(len(cls.rows) == 3, f"rows = {cls.rows!r}; name the labelled, held-out and test rows")
    unknown = set(cls.sweeps) - {"shots", "fraction"}
    require(not unknown, f"sweeps names {sorted(unknown)}; a suite sweeps over shots or fraction")


def check_every_part_has_its_rows(cls: type[Protocol]) -> None:
    for name, part in _split(cls)._asdict().items():
        require(len(part) > 0, f"{name} has no rows")
        require(len(_rows(part)) == len(part), f"{name} holds a row twice")
        require(name == "target" or part.y is not None, f"{name} has no labels")


def check_labels_are_those_it_grants(cls: type[Protocol]) -> None:
    labelled = _split(cls).labelled
    where = {d for _, d in _rows(labelled)}
    granted = {"source": {0}, "target": {1}, "both": {0, 1}}[cls.labels]
    require(where == granted, f"labels = '{cls.labels}', but labelled holds rows of {len(where)} domains, not those")
    own = labelled.origin == cls.target_origin(labelled)
    require(bool((own == (labelled.x[:, 1] == 1)).all()), "target_origin is not the origin of the labelled target rows")


def check_tested_rows_are_not_trained_on(cls: type[Protocol]) -> None:
    for more in ({}, {"holdout": 0.3}, {"split": "shots", "shots": 2}):
        parts = _split(cls, **more)
        require(not _rows(parts.labelled) & _rows(parts.test), f"with {more} a test row is among the labelled ones")
        require(not _rows(parts.labelled) & _rows(parts.validation), f"with {more} a held-out row is trained on")
        if "holdout" in more:
            require(not _rows(parts.target) & _rows(parts.test), f"with {more} a test row is adapted to")


def check_ignored_settings_change_no_row(cls: type[Protocol]) -> None:
    for split in ("fraction", "shots"):
        spec = ProtocolSpec.model_construct(**{**ProtocolSpec().model_dump(), "split": split, "name": "checked"})
        for name in cls.ignored(spec):
            other = {"shots": 2, "fraction": 0.3, "validation": 0.3}.get(name, getattr(spec, name))
            pairs = zip(_split(cls, split=split), _split(cls, **{"split": split, name: other}), strict=True)
            same = all(np.array_equal(a.x, b.x) for a, b in pairs)
            require(same, f"ignored names '{name}', which changes rows with split = '{split}'; leave it out there")


def check_the_seed_decides_the_rows(cls: type[Protocol]) -> None:
    for first, again in zip(_split(cls, 1), _split(cls, 1), strict=True):
        require(bool(np.array_equal(first.x, again.x)), "two splits with seed 1 differ; draw from self.rng alone")


def check_global_generators_are_left_alone(cls: type[Protocol]) -> None:
    plain, numpys = random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index,union-attr] # noqa: NPY002
    _split(cls)
    require(random.getstate() == plain, "the split draws from Python's global random generator; use self.rng")
    now = np.random.get_state()[1]  # type: ignore[index] # noqa: NPY002
    require(bool((now == numpys).all()), "the split draws from NumPy's global random generator; use self.rng")


def check_no_validation_is_an_empty_part(cls: type[Protocol]) -> None:
    require(len(_split(cls, validation=0.0).validation) == 0, "validation = 0 still holds rows out")


PROTOCOL_CHECKS = (
    check_facts_are_stated,
    check_every_part_has_its_rows,
    check_labels_are_those_it_grants,
    check_tested_rows_are_not_trained_on,
    check_ignored_settings_change_no_row,
    check_the_seed_decides_the_rows,
    check_global_generators_are_left_alone,
    check_no_validation_is_an_empty_part,
)
