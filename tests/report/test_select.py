import math

import pytest

from dalib.core.errors import DalibError
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, RunSpec
from dalib.report.select import describe_rule, rules, select


def record(*candidates: tuple[float, float], status: str = "ok") -> Record:
    spec = RunSpec(data=DataSpec(dataset="toy"), source="a", target="b", algorithm="mmd")
    found = [
        Candidate(step=i, metrics={"target_accuracy": accuracy}, scores={"entropy": score})
        for i, (accuracy, score) in enumerate(candidates)
    ]
    return Record(key="k", spec=spec, status=status, candidates=found)


def step(found: Candidate | None) -> int | None:
    return found.step if found else None


def test_each_rule_picks_its_own_step() -> None:
    run = record((0.2, 0.0), (0.9, -1.0), (0.5, -2.0))
    assert [step(select([run], rule)) for rule in ("last", "oracle", "entropy")] == [2, 1, 0]


def test_a_tie_goes_to_the_later_step() -> None:
    run = record((0.5, 1.0), (0.5, 1.0), (0.4, 0.0))
    assert [step(select([run], rule)) for rule in ("oracle", "entropy")] == [1, 1]


def test_nan_never_wins_and_only_nan_selects_nothing() -> None:
    assert step(select([record((0.1, math.nan), (0.2, -5.0), (0.3, math.nan))], "entropy")) == 1
    assert select([record((0.1, math.nan), (0.2, math.nan))], "entropy") is None


def test_a_score_that_others_hold_but_this_run_lacks_selects_nothing() -> None:
    assert select([record((0.1, 0.0))], "source_accuracy", known=("last", "source_accuracy")) is None


def test_a_failed_run_selects_nothing() -> None:
    assert select([record((0.1, 0.0), status="failed")], "last") is None


def test_an_unknown_rule_lists_what_the_records_hold() -> None:
    with pytest.raises(DalibError, match=r"'entropi'; did you mean 'entropy'\?; the records hold: entropy, last, orac"):
        select([record((0.1, 0.0))], "entropi")


def test_rules_are_gathered_over_records_and_described() -> None:
    assert rules([record((0.1, 0.0)), record()]) == ("last", "oracle", "entropy")
    assert "TARGET TEST LABELS" in describe_rule("oracle")
    assert "no target labels" in describe_rule("entropy")
