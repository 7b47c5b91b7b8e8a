"""The need is said before the allocation."""

from __future__ import annotations

import numpy as np
import pytest

from dalib import AdaptationClassifier
from dalib.core import algorithm, memory
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS
from tests.support.peak import told_over_used


@pytest.mark.parametrize("name", ["ot_map", "jdot", "meda", "kmm", "ot_label_propagation"])
def test_a_method_over_pairs_of_rows_says_its_need_and_others_go_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1000.0)
    assert algorithm.require_memory is memory.require_memory
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    with pytest.raises(DalibError, match=rf"{name} needs matrices over pairs of 40 \+ 40 rows, .* GB are left; take"):
        AdaptationClassifier(ALGORITHMS.get(name)(), device="cpu").fit(X, y, X)
    AdaptationClassifier(ALGORITHMS.get("coral")(), device="cpu").fit(X, y, X)


def test_memory_that_is_left_is_more_than_none() -> None:
    assert memory.available_memory() > 1e6


@pytest.mark.parametrize(
    ("name", "hparams"),
    [
        *((name, {}) for name in ("jdot", "kmm", "ot_label_propagation", "ot_map")),
        *(("ot_map", {"method": method}) for method in ("emd", "sinkhorn")),
        ("jda", {"kernel": "rbf"}),
    ],
)  # fmt: skip
def test_the_need_that_is_said_is_what_the_solution_takes(name: str, hparams: dict[str, str]) -> None:
    assert 0.8 < told_over_used(ALGORITHMS.get(name).create(name, hparams)) < 1.7
