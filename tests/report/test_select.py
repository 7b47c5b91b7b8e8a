import math

import pytest

from dalib.core.errors import DalibError
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, ProtocolSpec, RunSpec
from dalib.report.select import ENSEMBLE, describe_rule, is_collapsed, pick, rules, select


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


def scored(*points: tuple[float, ...], collapsed: int = -1, **protocol: object) -> Record:
    """One candidate per tuple of the ensemble's three scores; number `collapsed` predicts few classes only."""
    spec = RunSpec(
        data=DataSpec(dataset="toy"), source="a", target="b", algorithm="mmd", protocol=ProtocolSpec(**protocol)
    )
    candidates = [
        Candidate(
            step=i,
            metrics={"target_accuracy": 0.5 + i / 10, "target_effective_classes": 0.2 if i == collapsed else 0.9},
            scores=dict(zip(ENSEMBLE, values, strict=True)),
        )
        for i, values in enumerate(points)
    ]
    return Record(key="k", spec=spec, status="ok", candidates=candidates)


def test_the_ensemble_takes_the_point_with_the_best_mean_rank() -> None:
    run = scored((0.9, 0.1, -3.0), (0.8, 0.5, -1.0), (0.1, 0.4, -2.0))
    assert rules([run])[2] == "ensemble"
    assert step(select([run], "ensemble")) == 1, "ranks 1 3 3, 2 1 1 and 3 2 2"
    assert step(select([scored((0.9, 9.0, 9.0), (0.8, 0.5, -1.0), (0.1, 0.4, -2.0))], "ensemble")) == 0
    assert step(select([scored((0.1, 0.1, 0.1), (0.2, 0.2, 0.2))], "ensemble")) == 1


def test_the_ensemble_ranks_each_validator_whatever_its_unit_and_shares_the_ranks_of_ties() -> None:
    assert step(select([scored((0.6, 0.2, -1e6), (0.5, 0.3, -1.0), (0.4, 0.1, -2.0))], "ensemble")) == 1, "5, 4 and 8"
    assert step(select([scored((0.5, 0.5, 0.5), (0.5, 0.5, 0.4), (0.5, 0.5, 0.3))], "ensemble")) == 0
    assert step(select([scored((0.5, 0.4, 0.5), (0.5, 0.5, 0.5))], "ensemble")) == 1


def test_the_ensemble_passes_over_a_point_that_lacks_one_of_its_scores() -> None:
    run = scored((0.9, 0.9, math.nan), (0.1, 0.1, 0.1), (0.2, 0.05, 0.05))
    assert step(select([run], "ensemble")) == 1
    del run.candidates[1].scores["ami"]
    assert step(select([run], "ensemble")) == 2
    assert rules([record((0.1, 0.0))]) == ("last", "oracle", "entropy"), "no ensemble without its scores"


@pytest.mark.parametrize("rule", [*ENSEMBLE, "ensemble"])
def test_a_collapsed_point_comes_last_by_every_score(rule: str) -> None:
    points = ((0.1, 0.1, 0.1), (0.2, 0.2, 0.2), (0.9, 0.9, 0.9))
    assert step(select([scored(*points)], rule)) == 2
    run = scored(*points, collapsed=2)
    assert is_collapsed(run.candidates[2]) and not is_collapsed(run.candidates[1])
    assert step(select([run], rule)) == 1
    assert step(select([scored(points[2], collapsed=0)], rule)) == 0, "last is not never"


def test_the_oracle_and_the_end_take_a_collapsed_point_too() -> None:
    run = scored((0.1, 0.1, 0.1), (0.2, 0.2, 0.2), collapsed=1)
    assert [step(select([run], rule)) for rule in ("oracle", "last")] == [1, 1], (
        "the best accuracy is the collapsed one's"
    )
    assert step(pick([(0, c) for c in run.candidates], "oracle", guard=True)) == 1


def test_on_partial_targets_few_classes_are_no_collapse() -> None:
    points = ((0.1, 0.1, 0.1), (0.9, 0.9, 0.9))
    run = scored(*points, collapsed=1, target_classes=("0:5",))
    assert run.spec.protocol.is_partial
    assert step(select([run], "ensemble")) == 1


def test_a_collapse_is_half_of_the_classes_or_less() -> None:
    at = [Candidate(step=0, metrics={"target_effective_classes": v}, scores={}) for v in (0.49, 0.5, 0.51)]
    assert [is_collapsed(c) for c in at] == [True, True, False]
    assert not is_collapsed(Candidate(step=0, metrics={}, scores={}))


def test_the_best_is_sought_along_all_draws_and_the_earlier_draw_wins_a_tie() -> None:
    first, second = scored((0.1, 0.1, 0.1), (0.4, 0.4, 0.4)), scored((0.4, 0.4, 0.4), (0.3, 0.3, 0.3))
    second.candidates[0].scores["ami"] = 0.5
    assert select([first, second], "ami") is second.candidates[0]
    assert select([first, second], "source_accuracy") is first.candidates[1]
    assert select([first, second], "last") is first.candidates[1], "the row as it stands"
