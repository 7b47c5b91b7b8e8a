"""A fleet gives every run the numbers it has alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dalib.algorithms.dann import DANN
from dalib.algorithms.mcc import MCC
from dalib.algorithms.source_only import SourceOnly
from dalib.checks.world import CONFIG, DIM, make_task
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.backbone import identity
from dalib.core.errors import DalibError, Diverged
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Domain, Source, Target, Task
from dalib.train.config import IN_A_FLEET, MAY_DIFFER, TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.fleet import Member, fit_fleet
from dalib.train.fleetable import can_fleet, structural_reason
from dalib.train.trainer import Trainer

TASKS = [make_task(60, 1.0, 0), make_task(52, 0.5, 5), make_task(60, 1.0, 0)]


def _small(cls: type[Algorithm]) -> Algorithm:
    """Without dropout, whose draws keep an algorithm out of fleets."""
    small = {"hidden": 16, "dropout": 0.0}
    return cls(**{name: small[last] for name in cls.defaults() if (last := name.split(".")[-1]) in small})


def _members(make: Any, tasks: list[Task] = TASKS, **recipe: Any) -> list[Member]:
    """Three runs: two tasks, three seeds, two learning rates (`recipe` values that are lists go to one run each)."""
    members = []
    for i, task in enumerate(tasks):
        own = {k: v[i] if isinstance(v, list) else v for k, v in {"lr": [0.02, 0.05, 0.02], **recipe}.items()}
        config = TrainConfig(**{**CONFIG.model_dump(), **own})

        def evaluate(fitted: Fitted, step: int, task: Task = task) -> dict[str, Any]:
            return {"logits": fitted.outputs(task.test).logits, "chance": torch.rand(2)}

        members.append(Member(Trainer(config, seed=i, device="cpu", evaluate=evaluate), make(), task, identity(DIM)))
    return members


def _both_ways(make: Any, **recipe: Any) -> list[tuple[Fitted, Fitted]]:
    alone = [m.trainer.fit(m.algorithm, m.task, m.backbone) for m in _members(make, **recipe)]
    together = fit_fleet(_members(make, **recipe))
    assert all(isinstance(fitted, Fitted) for fitted in together), together
    return list(zip(together, alone, strict=True))  # type: ignore[arg-type]


def _assert_same(together: Fitted, alone: Fitted, tolerance: float) -> None:
    assert [c["step"] for c in together.candidates] == [c["step"] for c in alone.candidates]
    for a, b in zip(together.candidates, alone.candidates, strict=True):
        assert float((a["logits"] - b["logits"]).norm()) <= tolerance * float(b["logits"].norm())
        assert torch.equal(a["chance"], b["chance"])
    assert list(together.curve) == list(alone.curve)
    for name, values in alone.curve.items():
        np.testing.assert_allclose(together.curve[name], values, rtol=20 * tolerance, atol=1e-4)


NAMES = [name for name in ALGORITHMS.names() if not structural_reason(ALGORITHMS.get(name)())]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_a_run_in_a_fleet_has_the_numbers_it_has_alone(name: str) -> None:
    cls = ALGORITHMS.get(name)
    if reason := can_fleet(_small(cls)):
        pytest.skip(f"{name} trains one run at a time: it {reason}")
    for together, alone in _both_ways(lambda: _small(cls)):
        _assert_same(together, alone, 1e-4)
        for key, value in alone.algorithm.state_dict().items():
            found = together.algorithm.state_dict()[key]
            assert found.shape == value.shape and found.dtype == value.dtype, key


@pytest.mark.parametrize(
    "recipe",
    [
        {"forward": "separate"},
        {"sampler": "class_balanced"},
        {"clip": 0.05},
        {"optimiser": ["sgd", "adamw", "sgd"], "lr": [0.02, 0.001, 0.03]},
        {"optimiser": "adamw", "beta1": [0.9, 0.5, 0.0], "beta2": [0.999, 0.9, 0.99], "lr": 0.002},
        {"weight_decay": [0.0, 0.1, 0.01], "momentum": [0.0, 0.5, 0.9], "schedule": ["cosine", "constant", "inverse"]},
        {"bottleneck": 0},
        {"batch_size": 80},
    ],
    ids=lambda recipe: "+".join(recipe),
)
def test_a_recipe_means_the_same_in_a_fleet(recipe: dict[str, Any]) -> None:
    for together, alone in _both_ways(lambda: DANN(hidden=16, dropout=0, rate=1.0) + MCC(), **recipe):
        _assert_same(together, alone, 1e-4)


def test_a_fleet_in_float64_agrees_to_its_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps themselves with `.float()` made to keep double precision: the weights after them."""
    from dalib.train.engine import Engine
    from dalib.train.fleet import Fleet

    store_of = Fitted.store

    def store_doubles(fitted: Fitted, domain: Domain) -> Any:
        store = store_of(fitted, domain)
        store.x = store.x.double()  # type: ignore[union-attr]
        return store

    monkeypatch.setattr(Tensor, "float", Tensor.double)
    monkeypatch.setattr(Fitted, "store", store_doubles)

    def engines() -> list[Engine]:
        made = []
        for member in _members(lambda: DANN(hidden=16, dropout=0)):
            with torch.random.fork_rng():
                torch.manual_seed(member.trainer.seed)
                made.append(member.trainer.begin(member.algorithm, member.task, member.backbone, []))
            member.algorithm.double()
        return made

    alone, together = engines(), engines()
    for engine in alone:
        engine.descend(engine.fitted.algorithm, engine.labelled, engine.target)
    assert list(Fleet([e.open_descent(e.labelled, e.target) for e in together]).run())[-1] == CONFIG.steps
    for a, b in zip(together, alone, strict=True):
        for name, value in b.fitted.algorithm.state_dict().items():
            assert value.dtype != torch.float32
            torch.testing.assert_close(a.fitted.algorithm.state_dict()[name], value, rtol=1e-10, atol=1e-12)


def test_fitted_models_of_a_fleet_share_no_memory() -> None:
    first, second, _ = fit_fleet(_members(SourceOnly))
    assert isinstance(first, Fitted) and isinstance(second, Fitted)
    before = second.algorithm.network.head.weight.detach().clone()
    with torch.no_grad():
        first.algorithm.network.head.weight.fill_(0)
    assert torch.equal(second.algorithm.network.head.weight, before)


class _Breaks(SourceOnly):
    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        huge = torch.where(source.x.mean() > 50, torch.inf, 0.0)
        return {"classification": cross_entropy(source.logits, source.y), "huge": huge + 0 * source.logits.sum()}


def test_a_run_that_diverges_leaves_the_fleet_and_the_others_go_on() -> None:
    from dataclasses import replace

    far = replace(TASKS[1], labelled=replace(TASKS[1].labelled, x=TASKS[1].labelled.x + 100))
    results = fit_fleet(_members(_Breaks, [TASKS[0], far, TASKS[2]]))
    assert isinstance(results[1], Diverged) and (results[1].step, results[1].term) == (0, "huge")
    alone = _members(_Breaks)[0]
    fitted = alone.trainer.fit(alone.algorithm, alone.task, alone.backbone)
    assert isinstance(results[0], Fitted) and isinstance(results[2], Fitted)
    _assert_same(results[0], fitted, 1e-5)


def test_an_evaluation_that_fails_is_that_runs_own() -> None:
    members = _members(SourceOnly)

    def fail(fitted: Fitted, step: int) -> dict[str, Any]:
        raise ValueError("no score")

    members[1].trainer.evaluate = fail
    results = fit_fleet(members)
    assert isinstance(results[1], ValueError)
    assert isinstance(results[0], Fitted) and len(results[0].candidates) == 2 and isinstance(results[2], Fitted)


def test_a_fleet_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fit_fleet(_members(SourceOnly))
    assert torch.equal(torch.rand(1), expected)


def test_runs_that_do_not_stack_are_refused() -> None:
    for recipe in ({"bottleneck": [8, 16, 8]}, {"batch_size": [8, 16, 8]}, {"precision": "bf16"}):
        with pytest.raises(DalibError, match="fleet"):
            fit_fleet(_members(SourceOnly, **recipe))
    with pytest.raises(DalibError, match="at least one"):
        fit_fleet([])


def test_settings_say_themselves_whether_runs_of_a_fleet_may_differ_in_them() -> None:
    assert {"lr", "optimiser", "momentum", "beta1", "beta2", "weight_decay", "schedule", "warmup"} == MAY_DIFFER
    for name, field in TrainConfig.model_fields.items():
        assert (field.json_schema_extra == IN_A_FLEET) == (name in MAY_DIFFER)
    schema = TrainConfig.model_json_schema()["properties"]
    assert schema["lr"]["may_differ_in_a_fleet"] is True and "may_differ_in_a_fleet" not in schema["batch_size"]


class _Chance(SourceOnly):
    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits + torch.randn_like(source.logits), source.y)}


class _Looks(SourceOnly):
    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": cross_entropy(source.logits, source.y) * (2 if source.logits.mean() > 0 else 1)}


class _Assigns(SourceOnly):
    seen: Tensor

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("seen", torch.zeros(()))

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        self.seen = self.seen + 1
        return {"classification": cross_entropy(source.logits, source.y) * self.seen}


@pytest.mark.parametrize(
    ("cls", "word"),
    [(_Chance, "random"), (_Looks, "does not vectorise"), (_Assigns, "other numbers"), (DANN, "")],
)
def test_can_fleet_finds_what_does_not_vectorise(cls: type[Algorithm], word: str) -> None:
    reason = can_fleet(_small(cls))
    assert word in reason if word else reason == ""
    assert can_fleet(_small(cls)) == reason


def test_dropout_keeps_an_adversary_out_of_fleets() -> None:
    assert "random" in can_fleet(DANN(hidden=16, dropout=0.5)) and can_fleet(DANN(hidden=16, dropout=0.0)) == ""


def test_a_sum_can_when_its_parts_can() -> None:
    assert can_fleet(DANN(hidden=16, dropout=0) + MCC()) == ""
    assert can_fleet(MCC() + ALGORITHMS.get("atdoc")()) == "atdoc: has its own begin_epoch"
