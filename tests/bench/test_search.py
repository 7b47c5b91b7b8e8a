"""Search: equal budgets, ordinary records, a table that chooses among draws without target labels."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest

from dalib.bench.plan import plan, random_draws
from dalib.bench.progress import LineProgress
from dalib.bench.runner import run_suite
from dalib.bench.search import Draw, SearchSpec, draw_random, propose
from dalib.bench.suite import Suite, validate
from dalib.core.errors import DalibError
from dalib.records.record import Candidate, Record
from dalib.records.store import Store
from dalib.report.select import select
from dalib.report.table import build_table

SPACE = {"weight": [0.1, 0.3, 1.0, 3.0], "train.lr": [0.01, 0.1]}
OWN = {"weight": 1.0, "train.lr": 0.01}


def with_search(suite: Suite, **search) -> Suite:
    return Suite.model_validate({**suite.model_dump(), "search": search})


def test_draws_are_distinct_begin_with_the_row_and_follow_from_the_seed() -> None:
    search = SearchSpec(budget=6)
    draws = draw_random(search, "dann", SPACE, OWN)
    assert len(draws) == 6 and draws[0] == Draw()
    settings = [{**OWN, **d.hparams, **{f"train.{k}": v for k, v in d.train.items()}} for d in draws]
    assert all(a != b for i, a in enumerate(settings) for b in settings[:i])
    assert draws == draw_random(search, "dann", SPACE, OWN)
    assert draws[:4] == draw_random(SearchSpec(budget=4), "dann", SPACE, OWN)
    assert draws != draw_random(SearchSpec(budget=6, seed=1), "dann", SPACE, OWN)


def test_a_small_space_gives_every_setting_once() -> None:
    draws = draw_random(SearchSpec(budget=50), "dann", SPACE, OWN)
    assert len(draws) == 8
    assert draw_random(SearchSpec(budget=5), "source_only", {}, {}) == [Draw()]


def test_an_interval_is_filled_evenly_on_its_scale() -> None:
    search = SearchSpec(budget=400, train={"lr": {"low": 1e-4, "high": 1e-1, "log": True}})
    values = [d.train["lr"] for d in draw_random(search, "x", {"train.lr": search.train["lr"]}, {"train.lr": 0.01})[1:]]
    counts = np.histogram(np.log10(values), bins=[-4, -3, -2, -1])[0]
    assert len(values) == 399 and counts.min() > 100


def test_every_row_gets_the_same_number_of_ordinary_runs(suite) -> None:
    found = plan(with_search(suite, budget=3, train={"lr": {"low": 0.001, "high": 0.1, "log": True}}))
    counts = Counter(r.label for r in found.runs)
    assert set(counts.values()) == {2 * 3 * 3}
    assert {r.draw for r in found.runs} == {0, 1, 2}
    plain = {r.key for r in plan(suite).runs}
    assert plain == {r.key for r in found.runs if r.draw == 0}
    assert len({r.spec.train.lr for r in found.runs if r.label == "source_only"}) == 3


def test_a_row_keeps_what_the_search_does_not_touch(suite) -> None:
    found = plan(with_search(suite, budget=3, space={"strong": {"weight": [0.1, 0.2]}}))
    specs = {r.draw: r.spec for r in found.runs if r.label == "strong"}
    assert {s.hparams["weight"] for s in specs.values()} == {0.5, 0.1, 0.2}
    assert {s.train.lr for s in specs.values()} == {0.003}


@pytest.mark.parametrize(
    ("search", "complaint"),
    [
        ({"budget": 2, "space": {"stong": {}}}, "no row named 'stong'; did you mean 'strong'"),
        ({"budget": 2, "space": {"strong": {"wieght": [1]}}}, "did you mean 'weight'"),
        ({"budget": 2, "train": {"lrr": [1]}}, "no setting named 'lrr'"),
        ({"budget": 2, "train": {"lr": []}}, "lr has no values"),
        ({"budget": 2, "train": {"lr": {"low": 1.0, "high": 0.1}}}, "is no interval"),
        ({"budget": 2, "validator": "oracle"}, "reads target test labels"),
        ({"budget": 0}, "greater than or equal to 1"),
        ({"bugdet": 2}, "no key 'bugdet'"),
    ],
)
def test_mistakes_are_one_clear_line(suite, search, complaint) -> None:
    with pytest.raises(DalibError) as caught:
        plan(validate(Suite, {**suite.model_dump(), "search": search}, "suite demo"))
    assert complaint in str(caught.value)


def candidate(step: int, score: float, accuracy: float, spread: float = 1.0) -> Candidate:
    metrics = {"target_accuracy": accuracy, "target_effective_classes": spread}
    return Candidate(step=step, metrics=metrics, scores={"entropy": score})


def record(spec, *candidates: Candidate, status: str = "ok") -> Record:
    return Record(key=spec.key, spec=spec, status=status, candidates=list(candidates))


def test_selection_runs_over_draws_and_points_and_last_means_the_row_itself(suite) -> None:
    spec = plan(suite).runs[0].spec
    draws = [
        record(spec, candidate(5, 0.2, 0.50), candidate(10, 0.1, 0.60)),
        record(spec, candidate(5, 0.9, 0.70), candidate(10, 0.3, 0.90)),
        record(spec, status="failed"),
    ]
    assert select(draws, "last") is draws[0].candidates[1]
    assert select(draws, "entropy") is draws[1].candidates[0]
    assert select(draws, "oracle") is draws[1].candidates[1]


def test_a_collapsed_candidate_is_chosen_only_when_all_are(suite) -> None:
    spec = plan(suite).runs[0].spec
    good, collapsed = candidate(5, 0.1, 0.6), candidate(10, 0.9, 0.2, spread=0.3)
    assert select([record(spec, good, collapsed)], "entropy") is good
    assert select([record(spec, collapsed)], "entropy") is collapsed
    assert select([record(spec, good, collapsed)], "oracle") is good


def test_a_searched_suite_runs_resumes_and_makes_a_table(suite, tmp_path, starts) -> None:
    found = with_search(suite, budget=3, train={"lr": {"low": 0.001, "high": 0.1, "log": True}})
    options = {
        "store": tmp_path / "store",
        "run": "tests.support.fake_runs:finish",
        "progress": LineProgress(io.StringIO()),
    }
    assert run_suite(found, **options).done == 36
    assert run_suite(found, **options).skipped == 36
    assert set(starts().values()) == {1}
    store = Store(tmp_path / "store")
    last, oracle = (build_table(store, suite.name, rule) for rule in ("last", "oracle"))
    for before, after in zip(last.rows, oracle.rows, strict=True):
        assert before.complete and after.complete and after.average.mean >= before.average.mean
        assert before.n_expected == after.n_expected == 6


def test_tpe_proposes_in_rounds_and_starts_again_where_it_stopped(suite, tmp_path, starts) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed; pip install 'dalib-toolkit[search]'")
    search = {"budget": 4, "sampler": "tpe", "validator": "oracle_free", "train": {"lr": {"low": 1e-3, "high": 0.1}}}
    found = with_search(suite, **search)
    options = {
        "store": tmp_path / "store",
        "run": "tests.support.fake_runs:finish",
        "progress": LineProgress(io.StringIO()),
    }
    assert run_suite(found, **options).done == 2 * 2 * 3 * 4
    assert run_suite(found, **options) == run_suite(found, **options).__class__(0, 48, 0, pytest.approx(0, abs=60))
    assert set(starts().values()) == {1}


def test_tpe_finds_the_better_half_of_a_line() -> None:
    pytest.importorskip("optuna", reason="optuna is not installed; pip install 'dalib-toolkit[search]'")
    search = SearchSpec(budget=30, sampler="tpe", train={"lr": {"low": 0.0, "high": 1.0}})
    space, history = {"train.lr": search.train["lr"]}, []
    for _ in range(30):
        draw = propose(search, "row", space, {"train.lr": 0.9}, history)
        lr = draw.train.get("lr", 0.9)
        history.append((draw, -((lr - 0.2) ** 2)))
    late = [d.train["lr"] for d, _ in history[20:]]
    assert np.mean([abs(v - 0.2) < 0.2 for v in late]) > 0.5  # chance: 0.4


def test_the_rows_own_values_are_those_of_the_recipe_for_its_labels(suite) -> None:
    """Numbers are learned standardised unless a row says otherwise, so the other way is the draw beside it."""
    search = {"budget": 5, "train": {"answers": ["standardised", "as_given"]}, "space": {"source_only": {}}}
    numbers = Suite.model_validate({**suite.model_dump(exclude_unset=True), "search": search})
    draws = random_draws(numbers, "regression")["source_only"]
    assert draws == [Draw(), Draw(train={"answers": "as_given"})]


def test_without_a_search_there_is_one_draw(suite) -> None:
    assert random_draws(suite) == {"source_only": [Draw()], "strong": [Draw()]}
