"""Runs that end well and are suspicious all the same say so, in the record and under the table."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.checks.world import fit, make_task
from dalib.core.registry import ALGORITHMS, VALIDATORS
from dalib.core.types import Outputs
from dalib.records.record import Candidate, Record
from dalib.records.spec import DataSpec, ProtocolSpec, RunSpec
from dalib.report.caption import _warnings
from dalib.scoring.diagnose import domain_accuracy, warn


def candidates(**series: list[float]) -> list[Candidate]:
    length = len(next(iter(series.values())))
    return [Candidate(step=i, metrics={k: v[i] for k, v in series.items()}, scores={}) for i in range(length)]


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ({"domain_accuracy": [0.5, 0.51, 0.49]}, "dead adversary"),
        ({"domain_accuracy": [1.0, 0.999, 1.0]}, "beaten features"),
        ({"domain_accuracy": [1.0, 0.7, 0.52]}, ""),
        ({"domain_accuracy": [0.5, 0.51]}, "dead adversary"),
        ({"domain_accuracy": [0.5, 0.5, 0.95]}, ""),
        ({"domain_accuracy": [0.5]}, ""),
        ({"domain_accuracy": [1.0]}, ""),
        ({"target_effective_classes": [1.0, 0.3]}, "collapsed predictions: they spread over an effective 30%"),
        ({"target_effective_classes": [0.3, 0.9]}, ""),
        ({"source_accuracy": [0.9, 0.95, 0.85]}, "source accuracy falls from 95.0% to 85.0%"),
        ({"source_accuracy": [0.5, 0.9, 0.89]}, ""),
    ],
)
def test_what_is_suspicious(series: dict[str, list[float]], words: str) -> None:
    found = warn(candidates(**series))
    assert [words in sentence for sentence in found] == [True] * bool(words)


def test_few_classes_are_no_collapse_where_the_target_has_few() -> None:
    few = candidates(target_effective_classes=[0.4, 0.4])
    assert warn(few) and not warn(few, partial=True)
    assert ProtocolSpec(target_classes=("0:5",)).is_partial
    assert not ProtocolSpec(source_classes=("0:5",), target_classes=("0:10",)).is_partial


def points(**scores: list[float]) -> list[Candidate]:
    return [
        Candidate(step=i, metrics={}, scores=dict(zip(scores, row, strict=True)))
        for i, row in enumerate(zip(*scores.values(), strict=True))
    ]


def test_a_validator_that_disagrees_with_all_others_is_named() -> None:
    up, down = [1.0, 2.0, 3.0, 4.0], [9.0, 8.0, 7.0, 6.0]
    found = warn(points(ami=up, ari=[1.0, 3.0, 2.0, 4.0], bnm=up, snd=down, oracle=up))
    assert found == ["lone validator: snd orders the points against every other validator"]
    assert warn(points(ami=up, ari=up, bnm=down, snd=down)) == []
    assert warn(points(ami=up[:3], ari=up[:3], bnm=up[:3], snd=down[:3])) == []
    assert warn(points(ami=up, ari=up, bnm=[1.0] * 4, snd=down)) == []


@pytest.mark.parametrize("name", ["dann", "cdan", "bsp", "mstn", "dann+mcc"])
def test_separable_domains_are_told_apart_and_equal_ones_are_not(name: str) -> None:
    cls = ALGORITHMS.get(name)
    far, same = make_task(n=128, shift=4.0), make_task(n=128, shift=0.0)
    slow = {"rate": 1.0, "dropout": 0.0, "hidden": 1024}
    hparams = {k: slow[last] for k in cls.defaults() if (last := k.rpartition(".")[2]) in slow}
    told = domain_accuracy(fit(cls, far, steps=60, forward="separate", initialisation="kaiming", hparams=hparams), far)
    alike = domain_accuracy(fit(cls, same, steps=60, initialisation="kaiming", hparams=hparams), same)
    assert 0 <= alike < 0.75 and alike < told <= 1


def test_measuring_changes_nothing_and_draws_nothing() -> None:
    task = make_task()
    fitted = fit(ALGORITHMS.get("mstn"), task)
    before, state = torch.get_rng_state(), {k: v.clone() for k, v in fitted.algorithm.state_dict().items()}
    assert domain_accuracy(fitted, task) == domain_accuracy(fitted, task)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(v, state[k]) for k, v in fitted.algorithm.state_dict().items())


@pytest.mark.parametrize("name", ["source_only", "mmd", "coral"])
def test_without_a_discriminator_there_is_no_number(name: str) -> None:
    task = make_task()
    assert np.isnan(domain_accuracy(fit(ALGORITHMS.get(name), task, steps=2), task))


def test_a_table_counts_warnings_by_kind_and_algorithm() -> None:
    spec = RunSpec(data=DataSpec(dataset="toy"), source="a", target="b", algorithm="dann")
    sentence = "dead adversary: domain accuracy stays at chance (0.50)"
    records = [Record(key="k", spec=spec, status="ok", warnings=[sentence]) for _ in range(2)]
    assert _warnings(records, "last") == "Warnings: dead adversary in 2 runs (dann 2)."
    assert _warnings([], "last") == ""


def test_validators_of_certainty_are_marked_where_scores_are_no_probabilities() -> None:
    scored = [Candidate(step=1, metrics={}, scores={"entropy": -0.1, "ami": 0.5})]
    (sentence,) = warn(scored, probabilistic=False)
    assert sentence.startswith("no probabilities: what bnm, entropy, information_maximisation, rank_me, snd say")
    assert warn(scored) == warn([Candidate(step=1, metrics={}, scores={"ami": 0.5})], probabilistic=False) == []
    spec = RunSpec(data=DataSpec(dataset="toy"), source="a", target="b", algorithm="meda")
    record = Record(key="k", spec=spec, status="ok", warnings=[sentence])
    assert _warnings([record], "last") == _warnings([record], "oracle") == "", "nothing was chosen by them"
    assert _warnings([record], "entropy") == "Warnings: no probabilities in 1 runs (meda 1)."


def test_validators_that_say_so_are_those_that_a_scale_of_the_scores_moves() -> None:
    """Doubling all logits changes no class, so what is not about certainty must not move."""
    rng = torch.Generator().manual_seed(0)
    logits, z = torch.randn(60, 4, generator=rng), torch.randn(60, 5, generator=rng)
    y = torch.arange(60) % 4
    for name in VALIDATORS.names():
        one, two = (VALIDATORS.get(name)().score(Outputs(z, s * logits, y), Outputs(z, s * logits, y)) for s in (1, 2))
        assert (abs(one - two) > 1e-6) == VALIDATORS.get(name).uses_probabilities, name
