"""What a solution takes is said from one declaration: by `estimate_cost`, and where it is refused or takes long."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import dalib
from dalib.core import memory, needs
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.needs import Needs, Size, evaluate, need, spell_seconds
from dalib.core.registry import ALGORITHMS
from tests.support.peak import told_over_used

SOLVED = [
    name
    for name in ALGORITHMS.names()
    if issubclass(ALGORITHMS.get(name), FeatureAlgorithm) and not ALGORITHMS.get(name).needs_head
]
CUT = [("ot_map", "block_rows"), ("jdot", "block_rows"), ("ot_label_propagation", "block_rows"), ("kmm", "block_rows"),
       ("meda", "landmarks"), ("tca", "centres")]  # fmt: skip


def test_a_formula_is_a_sum_of_products() -> None:
    assert evaluate("10 m² + m n_t + 0.5 m³", {"m": 2.0, "n_t": 7.0}) == 40 + 14 + 4
    assert evaluate("", {}) == 0


def test_two_parts_of_a_solution_are_added_and_terms_of_nothing_are_not_said() -> None:
    size = Size(3, 4, 5, 2)
    both = need(size, "n_s n_t + zero d", "d³", zero=0) + need(size, "K", plan="n_s n_t", plans="2")
    assert (both.numbers, both.formula, both.products) == (14, "n_s n_t + K", 125)
    assert (need(size, passes="n_s") + need(size, passes="2 n_t")).passes == 3 + 2 * 4
    assert both.plans == pytest.approx(2 * (12 / 40_000) ** 1.3)


@pytest.mark.parametrize("name", SOLVED)
@pytest.mark.parametrize(("n", "d"), [(300, 10), (60, 200)])
def test_the_memory_that_is_said_is_about_what_tensors_take(name: str, n: int, d: int) -> None:
    """What LAPACK and a solver take inside of themselves is not seen."""
    assert 0.5 < told_over_used(ALGORITHMS.get(name)(), n, d) < 4


@pytest.mark.parametrize(("name", "setting"), CUT)
def test_parts_or_landmarks_need_less_and_grow_less(name: str, setting: str) -> None:
    more = {"kernel": "rbf"} if name == "tca" else {}
    whole = dalib.estimate_cost(name, 30_000, 30_000, 50, 10, **more)
    cut = dalib.estimate_cost(name, 30_000, 30_000, 50, 10, **more, **{setting: 1000})
    assert cut.bytes < whole.bytes / 10 and cut.seconds < whole.seconds / 3
    assert 0.3 < told_over_used(ALGORITHMS.get(name)(**more, **{setting: 50}), 300, 10) < 6


def test_the_line_says_rows_time_memory_and_what_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "available_memory", lambda: 16e9)
    cost = dalib.estimate_cost("ot_map", 30_000, 30_000, 50, method="emd")
    assert not cost.fits and cost.bytes > 5 * 30_000**2 * 8
    line = str(cost)
    assert line.startswith("ot_map with 30000 + 30000 rows of 50 columns: about ")
    assert "within a factor of 4" in line and "5 n_s n_t" in line and "numbers of 8 bytes" in line
    assert line.endswith(
        "only 16 GB are left: take block_rows = 1000, a part of the rows, or method = 'linear' or coral, which need no "
        "pairs of rows"
    )
    assert "left" not in str(dalib.estimate_cost(dalib.OTMap(method="linear"), 30_000, 30_000, 50))


@pytest.mark.parametrize(
    ("given", "more", "message"),
    [
        (("dann", 10, 10, 2), {}, "dann trains a network: its time is that of train.steps"),
        (("kmm", 0, 10, 2), {}, "n_s = 0 is out of range"),
        (("kmm", 10, 10, 2), {"blok_rows": 3}, "block_rows"),
        (("kmm", 10, 10, 2), {"block_rows": -1}, "kmm.block_rows = -1"),
        ((dalib.KMM(), 10, 10, 2), {"block_rows": 3}, "is given with its settings"),
    ],
)  # fmt: skip
def test_what_cannot_be_estimated_is_refused(given: tuple, more: dict, message: str) -> None:
    with pytest.raises(DalibError, match=message):
        dalib.estimate_cost(*given, **more)


def test_the_estimator_refuses_by_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2
    told = dalib.estimate_cost("coral", 50, 50, 3, 2).bytes
    monkeypatch.setattr(memory, "available_memory", lambda: told)
    dalib.AdaptationClassifier("coral", device="cpu").fit(X, y, X)
    monkeypatch.setattr(memory, "available_memory", lambda: told - 1)
    with pytest.raises(DalibError, match=r"coral needs .* for 50 \+ 50 rows of 3 columns"):
        dalib.AdaptationClassifier("coral", device="cpu").fit(X, y, X)


def test_what_takes_long_says_so_before_it_starts_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2
    model = dalib.AdaptationClassifier("meda", device="cpu")
    monkeypatch.setattr(Needs, "seconds", 61.0)
    with pytest.warns(RuntimeWarning, match=r"meda takes about 61 s .* for 50 \+ 50 rows .* sooner: landmarks = 1000"):
        model.fit(X, y, X + 1)
    monkeypatch.setattr(Needs, "seconds", 60.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.fit(X, y, X + 1)


def test_time_is_what_is_computed_times_what_it_takes_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "_probe", lambda: (1e-9, 1e-8))
    monkeypatch.setattr(needs, "_probe_plan", lambda: 0.01)
    assert Needs(products=4e9, passes=3e8, plans=200).seconds == pytest.approx(4 + 3 + 2)
    monkeypatch.setattr(needs, "_probe", lambda: 1 / 0)
    assert Needs(products=1e6).seconds < 1, "a small solution is not worth a probe"
    monkeypatch.setattr(needs, "_probe", lambda: (1e-11, 1e-11))
    assert Needs(products=2e8).seconds == Needs(products=1e6).seconds, "a larger one is not said to be quicker"


def test_the_probes_measure_something() -> None:
    assert min(*needs._probe.__wrapped__(), needs._probe_plan.__wrapped__()) > 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "less than a second"), (40, "40 s"), (720, "12 minutes"), (12_600, "3.5 hours")]
)
def test_seconds_are_spelt(seconds: float, words: str) -> None:
    assert spell_seconds(seconds) == words


def test_a_smaller_entropy_takes_more_passes() -> None:
    size = needs.Size(3000, 3000, 10, 3)
    for method in ("sinkhorn", "class_regularised"):
        passes = [ALGORITHMS.get("ot_map")(method=method, reg=reg).needs(size).passes for reg in (0.05, 0.1)]
        assert 1.5 < passes[0] / passes[1] < 2.5
