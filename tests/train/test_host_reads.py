"""No step waits for the device: nothing inside it is read on the host, sized by data, or copied from a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dalib.checks.world import CONFIG
from dalib.core.algorithm import Algorithm, Terms
from dalib.core.listener import Listener, RunLike
from dalib.core.registry import ALGORITHMS
from dalib.train.trainer import Trainer
from tests.support.any_world import backbone_for, recipe_for, task_for
from tests.support.host_reads import DEEP, EXCEPTIONS, HostReads


def reads_of_steps(cls: type[Algorithm], steps: int = 3) -> list[str]:
    """What `step`, the optimiser's part included, asks of the host in the first steps of a fit in the small world."""
    mode = HostReads()

    class Watched(cls):  # type: ignore[misc, valid-type]
        def step(self, *given: Any) -> None:
            with mode:
                super().step(*given)

    with torch.random.fork_rng(devices=[]):
        for number in (1, steps):  # in the first one constants are made
            mode.found.clear()
            config = recipe_for(cls, CONFIG, steps=number, evaluations=1)
            Trainer(config, device="cpu").fit(Watched(**cls.trial), task_for(cls), backbone_for(cls))
    return mode.found


@pytest.mark.parametrize("name", DEEP)
def test_a_step_reads_nothing_on_the_host(name: str) -> None:
    found = reads_of_steps(ALGORITHMS.get(name))
    if name in EXCEPTIONS:
        assert found, f"{name} no longer waits; take it off the list"
    else:
        assert not found, "\n".join(dict.fromkeys(found))


@pytest.mark.parametrize(
    "act",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x * x.new_tensor([2.0]),
        lambda x: x.tolist(),
        lambda x: torch.linalg.svdvals(x[None]),
    ],
    ids=["item", "bool", "mask", "list", "tolist", "solver"],
)
def test_the_detector_sees_what_waits(act: Callable[[Tensor], Any]) -> None:
    with HostReads() as mode:
        act(torch.ones(3))
    assert len(mode.found) == 1


def test_the_detector_lets_pass_what_does_not_wait() -> None:
    with HostReads() as mode:
        x = torch.ones(3, requires_grad=True)
        torch.where(x > 0, x, 0.0).index_select(0, torch.arange(2)).sum().backward()
    assert mode.found == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: CUDA itself reports what waits")
@pytest.mark.parametrize("name", [n for n in DEEP if n not in EXCEPTIONS])
def test_a_step_on_a_gpu_does_not_wait(name: str) -> None:
    class Watched(ALGORITHMS.get(name)):  # type: ignore[misc]
        def step(self, *given: Any) -> None:
            torch.cuda.set_sync_debug_mode("error" if steps else "default")
            steps.append(1)
            super().step(*given)

    class Enough(Listener):
        def after_step(self, run: RunLike, step: int, terms: Terms) -> None:
            if step == 3:  # before the next pass, and before losses are read
                raise StopIteration

    steps: list[int] = []
    config = recipe_for(Watched, CONFIG, steps=4, evaluations=1)
    trainer = Trainer(config, device="cuda", listeners=[Enough()])
    try:
        with pytest.raises(StopIteration):
            trainer.fit(Watched(**Watched.trial), task_for(Watched), backbone_for(Watched))
    finally:
        torch.cuda.set_sync_debug_mode("default")
