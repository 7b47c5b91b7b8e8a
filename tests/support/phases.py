"""The four blobs for methods with a source phase: scaled and turned targets, and what each phase sees."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import dalib
from dalib.checks.world import equal_states, fit
from dalib.core.algorithm import Algorithm, Minimise
from dalib.core.backbone import Backbone, identity
from dalib.core.errors import DalibError
from dalib.core.types import Domain, Source, Target, Task
from dalib.nn.metrics import accuracy
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.trainer import Trainer
from tests.support.algorithms import attached
from tests.support.image_world import copy_state
from tests.support.shifts import D, Data, translated

RECIPE = TrainConfig(steps=240, batch_size=36, bottleneck=32, lr=0.02, evaluations=2, initialisation="kaiming")


def scaled() -> Data:
    """Each feature of the target has a scale and an offset of its own."""
    x_s, y_s, x_t, y_t = translated(0.0)
    return x_s, y_s, x_t * torch.tensor([0.3, 2.0, 1.0, 1.0]) + torch.tensor([2.0, -2.0, 1.0, 0.0]), y_t


def turned(degrees: float = 35.0) -> Data:
    """The classes' square is turned and moved: statistics alone do not bring it back."""
    x_s, y_s, x_t, y_t = translated()
    turn = torch.eye(D)
    a = math.radians(degrees)
    turn[:2, :2] = torch.tensor([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    return x_s, y_s, x_t @ turn, y_t


def make_task(data: Data) -> Task:
    x_s, y_s, x_t, y_t = data
    classes = tuple("abcd")
    source, target = (
        Domain(n, x.numpy().copy(), y.numpy(), classes, n) for n, x, y in (("s", x_s, y_s), ("t", x_t, y_t))
    )
    return Task("s->t", source, target.unlabelled(), source.take(np.arange(0), "none"), target)


def norm_first() -> Backbone:
    return Backbone("norm", nn.BatchNorm1d(D), D)


def plain_layers() -> Backbone:
    """No batch norm anywhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Backbone("layers", nn.Sequential(nn.Linear(D, 32), nn.ReLU(), nn.Linear(32, D)), D)


def make_small(name: str, **hparams: Any) -> Algorithm:
    """With a small discriminator."""
    return getattr(dalib, name)(**({"hidden": 64} if name == "ADDA" else {}), **hparams)


def train(
    algorithm: Algorithm | str, task: Task, backbone: Backbone | None = None, evaluate: Any = None, **changes: Any
) -> Fitted:
    algorithm = make_small(algorithm) if isinstance(algorithm, str) else algorithm
    config = TrainConfig(**{**RECIPE.model_dump(), **changes})
    return Trainer(config, device="cpu", evaluate=evaluate).fit(algorithm, task, backbone or identity(D))


def reached(fitted: Fitted, task: Task) -> float:
    return accuracy(fitted.outputs(task.test).logits, torch.as_tensor(task.test.labels))


@cache
def source_only(data: Callable[[], Data]) -> float:
    return reached(train("SourceOnly", make_task(data())), make_task(data()))


def watched(name: str, **hparams: Any) -> tuple[Algorithm, dict[str, Tensor], list[tuple[int, Tensor, bool]]]:
    """The algorithm, its network as phase one left it, and (source rows, target's x, adapting) of each step."""
    kept: dict[str, Tensor] = {}
    seen: list[tuple[int, Tensor, bool]] = []

    class Watching(getattr(dalib, name)):  # type: ignore[misc]
        def begin(self) -> None:
            super().begin()
            kept.update(copy_state(self.network))

        def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
            seen.append((len(source), target.x, self.adapting))
            super().step(source, target, progress, minimise)

    return Watching(**make_small(name, **hparams).hparams), kept, seen


def check_phase_one_never_sees_the_target_and_phase_two_no_source_unless_it_is_adda(name: str) -> None:
    task = make_task(translated())
    algorithm, _, seen = watched(name, pretrain=0.25)
    train(algorithm, task, steps=40)
    assert [adapting for *_, adapting in seen] == [False] * 10 + [True] * 30
    source_rows, target_rows = ({*d.x[:, 0].tolist()} for d in (task.labelled, task.target))
    for n, x, adapting in seen:
        assert {*x[:, 0].tolist()} <= (target_rows if adapting else source_rows)
        assert n == (0 if adapting and name != "ADDA" else 36)


def check_spoiling_the_source_after_phase_one_changes_nothing_unless_it_is_adda(name: str) -> None:
    clean, spoilt = make_task(translated()), make_task(translated())

    class Spoiling(getattr(dalib, name)):  # type: ignore[misc]
        def begin(self) -> None:
            super().begin()
            spoilt.labelled.x[:] = 50.0
            spoilt.labelled.labels[:] = 0

    where = equal_states(
        train(name, clean, steps=40).algorithm, train(Spoiling(**make_small(name).hparams), spoilt, steps=40).algorithm
    )
    assert bool(where) == (name == "ADDA")


def check_only_the_parts_that_may_move_in_phase_two(name: str, moving: tuple[str, ...], **hparams: Any) -> None:
    """The backbone is one batch norm, the bottleneck linear, batch norm, ReLU."""
    algorithm, before, _ = watched(name, **hparams)
    fitted = train(algorithm, make_task(turned()), norm_first(), steps=40)
    changed = {k for k, v in copy_state(fitted.algorithm.network).items() if not torch.equal(v, before[k])}
    parameters = {k for k, _ in fitted.algorithm.network.named_parameters()}
    assert changed & parameters == {k for k in parameters if k.startswith(moving)}


def check_a_run_killed_twice_in_each_phase_ends_as_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    cls, path, changes = getattr(dalib, name), tmp_path / "checkpoint.pt", {"steps": 40, "evaluations": 4}
    for kill_at in (10, 20, 30, 40):

        def kill(step: int, steps: int, at: int = kill_at) -> None:
            if step == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(cls, checkpoint=path, checkpoint_seconds=-1.0, report=kill, **changes)
    resumed = fit(cls, checkpoint=path, checkpoint_seconds=-1.0, **changes)
    whole = fit(cls, **changes)
    assert equal_states(whole.algorithm, resumed.algorithm) == ""
    assert whole.candidates == resumed.candidates and whole.curve == resumed.curve


def check_adapting_candidates_does_not_change_what_training_does(name: str, changes: dict[str, Any]) -> None:
    """With frozen statistics, too, which the training steps use: the target's are put aside again."""
    task = make_task(scaled())
    states = [
        train(name, task, norm_first(), evaluate, steps=24, evaluations=n, **changes).algorithm
        for n, evaluate in ((1, None), (6, None), (6, lambda fitted, step: {"a": reached(fitted, task)}))
    ]
    assert equal_states(states[0], states[1]) == "" == equal_states(states[0], states[2])


def check_predictions_use_the_statistics_of_the_whole_target(name: str) -> None:
    task = make_task(scaled())
    norm = train(name, task, norm_first(), steps=20).algorithm.network.backbone
    np.testing.assert_allclose(norm.running_mean, task.target.x.mean(0), rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose(norm.running_var, task.target.x.var(0, ddof=1), rtol=1e-4)  # type: ignore[arg-type]


def check_a_network_without_batch_norm_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(DalibError, match=f"{name.lower()} .*batch norms.*none.*set bottleneck"):
        train(name, make_task(translated()), plain_layers(), bottleneck=0)


def check_it_beats_source_only_on_its_shift(name: str, data: Callable[[], Data], margin: float) -> None:
    after = reached(train(name, make_task(data())), make_task(data()))
    assert after > source_only(data) + margin, f"{name}: {after:.3f}, source only: {source_only(data):.3f}"


def check_it_does_no_harm_without_a_shift(name: str) -> None:
    task = make_task(translated(0.0))
    assert reached(train(name, task), task) > 0.95


def remembering(name: str, n: int, **hparams: Any) -> Any:
    """In phase two, with a memory of n rows."""
    g = torch.Generator().manual_seed(5)
    algorithm = attached(name, dtype=torch.float64, **hparams)
    algorithm.register_buffer("begun", torch.ones(()))
    z, p = torch.randn(n, 6, generator=g).double(), (2 * torch.randn(n, 3, generator=g).double()).softmax(1)
    algorithm.memory_z, algorithm.memory_p = torch.nn.functional.normalize(z, dim=1), p
    return algorithm.train()
