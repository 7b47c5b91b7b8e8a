"""A diverging run names its step and term; curves stay short."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dalib.checks.world import DIM, make_task
from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.backbone import identity
from dalib.core.errors import Diverged
from dalib.core.types import Source, Target
from dalib.train.config import TrainConfig
from dalib.train.listeners.curve import Curve
from dalib.train.trainer import Trainer


class BreaksAt(Algorithm):
    """`fine` always, `bad` turns into `value` once the part `at` of training is over."""

    def __init__(self, at: float = 0.5, value: float = math.nan) -> None:
        super().__init__()
        self.at = at
        self.value = value

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        broken = torch.where(torch.as_tensor(progress) >= self.at - 1e-6, torch.tensor(self.value), torch.tensor(0.0))
        return {"fine": source.logits.square().mean(), "bad": broken + 0 * target.z.detach().mean()}


@pytest.mark.parametrize(
    ("steps", "step"), [(50, 0), (50, 7), (50, 19), (50, 20), (50, 49), (33, 32)], ids=lambda v: str(v)
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_names_the_first_bad_step_and_term(steps: int, step: int, value: float) -> None:
    trainer = Trainer(TrainConfig(steps=steps, batch_size=4, bottleneck=0, evaluations=1), device="cpu")
    with pytest.raises(Diverged, match=f"'bad' became {value} at step {step};") as caught:
        trainer.fit(BreaksAt(step / steps, value), make_task(), identity(DIM))
    assert (caught.value.step, caught.value.term) == (step, "bad")


def test_evaluation_never_sees_a_diverged_model() -> None:
    steps: list[int] = []
    trainer = Trainer(
        TrainConfig(steps=20, batch_size=4, evaluations=4),
        device="cpu",
        evaluate=lambda fitted, step: {"seen": steps.append(step)},
    )
    with pytest.raises(Diverged):
        trainer.fit(BreaksAt(0.6), make_task(), identity(DIM))
    assert steps == [5, 10]


def test_curve_holds_window_means_and_the_steps_they_end_at() -> None:
    curve = Curve(window=4)
    for step in range(10):
        curve.add(step, {"a": torch.tensor(float(step))})
    curve.flush()
    assert curve.thinned() == {"step": [4.0, 8.0, 10.0], "a": [1.5, 5.5, 8.5]}


def test_thinning_averages_neighbours_and_keeps_the_last_step() -> None:
    curve = Curve(window=1, points=10)
    for step in range(95):
        curve.add(step, {"a": torch.tensor(float(step))})
    curve.flush()
    thin = curve.thinned()
    assert len(thin["a"]) == len(thin["step"]) == 10
    assert thin["step"][-1] == 95
    assert thin["a"][0] == pytest.approx(4.5)


def test_a_term_that_comes_and_goes_counts_as_zero_where_it_is_absent() -> None:
    curve = Curve(window=4)
    for step in range(16):
        extra = {"b": torch.tensor(3.0)} if 4 <= step < 8 and step % 2 else {}
        curve.add(step, {"a": torch.tensor(1.0), **extra})
    curve.flush()
    assert curve.thinned() == {"step": [4.0, 8.0, 12.0, 16.0], "a": [1.0] * 4, "b": [0.0, 1.5, 0.0, 0.0]}


class Twice(Algorithm):
    """Minimises twice in every step, in every other step only once."""

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        loss = source.logits.square().mean()
        minimise({"first": 0 * loss + 1, "again": 0 * loss + 7})
        if round(4 * float(progress)) % 2:
            _, target = minimise.forward(source, target)
            minimise({"second": 0 * target.z.mean() + 2, "again": 0 * target.z.mean() + 3})


def test_several_minimise_calls_of_one_step_share_its_entry_and_of_one_name_the_later_counts() -> None:
    trainer = Trainer(TrainConfig(steps=4, batch_size=4, bottleneck=4, evaluations=2), device="cpu")
    curve = trainer.fit(Twice(), make_task(), identity(DIM)).curve
    assert curve == {"step": [2.0, 4.0], "first": [1.0, 1.0], "again": [5.0, 5.0], "second": [1.0, 1.0]}


class Silent(Algorithm):
    """Minimises in the first step only."""

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        if not progress:
            minimise({"loss": source.logits.square().mean()})


def test_steps_without_terms_leave_no_trace_in_the_curve() -> None:
    trainer = Trainer(TrainConfig(steps=40, batch_size=4, bottleneck=4, evaluations=2), device="cpu")
    assert trainer.fit(Silent(), make_task(), identity(DIM)).curve["step"] == [1.0]
