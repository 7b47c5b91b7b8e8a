"""Several tasks on one backbone: the steps of a loop written by hand, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import dalib
from dalib import MultiTask, TrainConfig
from dalib.checks.world import DIM, make_task
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.errors import DalibError
from dalib.core.types import Task
from dalib.feed.streams import IndexStream
from dalib.train.fitted import Fitted

TWO_STEPS = TrainConfig(steps=2, batch_size=8, bottleneck=0, lr=0.1, backbone_rate=0.5, schedule="constant", momentum=0)


def _backbone() -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = nn.Sequential(nn.Linear(DIM, 12), nn.Tanh())
    return Backbone.of(module, np.zeros((1, DIM), np.float32))


def _tasks() -> tuple[Task, Task]:
    """Two labellings of the same rows: three classes, and whether it is the first of them."""
    first = make_task()
    two = replace(first.labelled, y=(first.labelled.labels == 0).astype(np.int64), classes=("other", "first"))
    test = replace(first.test, y=(first.test.labels == 0).astype(np.int64), classes=("other", "first"))
    return first, replace(first, labelled=two, test=test)


def _fit(weights: dict[str, float] | None = None, config: TrainConfig = TWO_STEPS) -> dict[str, Fitted]:
    one, two = _tasks()
    pairs: dict[str, tuple[Task, Algorithm]] = {"class": (one, dalib.SourceOnly()), "first": (two, dalib.MMD())}
    return MultiTask(config, seed=4, device="cpu", weights=weights).fit(pairs, _backbone())


def test_two_steps_are_those_of_a_loop_written_by_hand() -> None:
    fitted = _fit({"first": 0.5})
    one, two = _tasks()
    module = _backbone().module
    heads = {"class": nn.Linear(12, 3), "first": nn.Linear(12, 2)}
    untrained = _fit({"first": 0.5}, TWO_STEPS.model_copy(update={"steps": 0}))
    for name, head in heads.items():
        head.load_state_dict(untrained[name].algorithm.network.head.state_dict())
    draws = {"class": IndexStream(60, 8, seed=12), "first": IndexStream(60, 8, seed=3 * 1004)}
    target = IndexStream(52, 8, seed=3 * 1004 + 1)
    x_s, x_t = torch.as_tensor(one.labelled.x), torch.as_tensor(two.target.x)
    mmd = untrained["first"].algorithm
    for _ in range(2):
        a, b, c = draws["class"].next(), draws["first"].next(), target.next()
        loss = cross_entropy(heads["class"](module(x_s[a])), torch.as_tensor(one.labelled.labels)[a])
        z = module(torch.cat([x_s[b], x_t[c]]))
        s = dalib.Source.of(z[:8], heads["first"](z[:8]), torch.as_tensor(two.labelled.labels)[b])
        t = dalib.Target.of(z[8:], heads["first"](z[8:]))
        loss = loss + 0.5 * sum(mmd.loss(s, t, 0.0).values())
        parameters = [(module, 0.05), (heads["class"], 0.1), (heads["first"], 0.1)]
        for part, _ in parameters:
            part.zero_grad()
        loss.backward()
        with torch.no_grad():
            for part, rate in parameters:
                for p in part.parameters():
                    p -= rate * (p.grad + 1e-3 * p)
    for name, head in heads.items():
        torch.testing.assert_close(fitted[name].algorithm.network.head.state_dict(), head.state_dict())
    torch.testing.assert_close(fitted["class"].algorithm.network.backbone.state_dict(), module.state_dict())


def test_the_networks_share_the_backbone_and_both_tasks_are_learnt() -> None:
    fitted = _fit(config=TWO_STEPS.model_copy(update={"steps": 80, "lr": 0.05, "momentum": 0.9}))
    one, two = fitted["class"].algorithm.network, fitted["first"].algorithm.network
    assert one.backbone is two.backbone and one.head is not two.head
    assert fitted["first"].curve["step"][-1] == 80 and "classification" in fitted["class"].curve
    for name, task in zip(fitted, _tasks(), strict=True):
        logits = fitted[name].outputs(task.labelled).logits
        assert (logits.argmax(1).numpy() == task.labelled.labels).mean() > 0.9


def test_an_algorithm_with_a_game_of_its_own_is_refused() -> None:
    for algorithm in (dalib.MCD(), dalib.SHOT(), dalib.TCA()):
        with pytest.raises(DalibError, match=f"{type(algorithm).__name__} does more than give a loss"):
            MultiTask(TWO_STEPS).fit({"a": (make_task(), algorithm)}, _backbone())


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    pair = (make_task(), dalib.SourceOnly())
    with pytest.raises(DalibError, match="no task named 'objekt'; did you mean 'object'"):
        MultiTask(weights={"objekt": 1.0}).fit({"object": pair}, _backbone())
    with pytest.raises(DalibError, match="weight of task 'object' = -1"):
        MultiTask(weights={"object": -1}).fit({"object": pair}, _backbone())
    with pytest.raises(DalibError, match="is frozen"):
        MultiTask().fit({"object": pair}, replace(_backbone(), frozen=True))
    with pytest.raises(DalibError, match="the same algorithm object"):
        MultiTask().fit({"a": pair, "b": pair}, _backbone())
    with pytest.raises(DalibError, match="nothing to fit"):
        MultiTask().fit({}, _backbone())


RECIPES: dict[str, dict[str, object]] = {
    "sgd": {"momentum": 0.9, "clip": 0.3},
    "adamw": {"optimiser": "adamw", "lr": 0.01, "schedule": "cosine", "forward": "separate"},
}


def _train(path: Path | None, changes: dict[str, object], kill_at: int = 0, key: str = "k") -> dict[str, Fitted]:
    """Two tasks on a backbone with dropout and a batch norm, one with state of its own kept from step to step."""
    one, two = _tasks()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = nn.Sequential(nn.Linear(DIM, 12), nn.BatchNorm1d(12), nn.Dropout(0.3), nn.Tanh(), nn.Linear(12, 12))

    def kill(step: int, steps: int) -> None:
        if step == kill_at:
            raise KeyboardInterrupt

    config = TrainConfig(**{"steps": 30, "batch_size": 8, "bottleneck": 6, "lr": 0.1, "backbone_rate": 0.5, **changes})
    trainer = MultiTask(
        config, seed=4, device="cpu", weights={"first": 0.5}, checkpoint=path, checkpoint_key=key,
        checkpoint_seconds=-1.0, report=kill if kill_at else None,
    )  # fmt: skip
    pairs: dict[str, tuple[Task, Algorithm]] = {"class": (one, dalib.DANN()), "first": (two, dalib.MSTN())}
    return trainer.fit(pairs, Backbone.of(module, np.zeros((1, DIM), np.float32)))


def _assert_same(a: dict[str, Fitted], b: dict[str, Fitted]) -> None:
    for name in a:
        one, two = (fitted[name].algorithm.state_dict() for fitted in (a, b))
        assert [k for k in one if not torch.equal(one[k], two[k])] == []
        assert a[name].curve == b[name].curve and len(a[name].curve["step"]) > 1


@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_killed_training_ends_bit_for_bit_as_uninterrupted(changes: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoint.pt"
    whole = _train(None, changes)
    for kill_at in (10, 20):
        with pytest.raises(KeyboardInterrupt):
            _train(path, changes, kill_at)
        state = torch.load(path, weights_only=True)
        assert state["step"] == kill_at - 1 and set(state["tasks"]) == {"class", "first"}
    _assert_same(whole, _train(path, changes))
    assert not path.exists()


def test_a_checkpoint_of_another_run_or_of_other_tasks_is_ignored_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        _train(path, {"lr": 0.5}, kill_at=20, key="other")
    with pytest.warns(UserWarning, match="another run"):
        _assert_same(_train(None, {}), _train(path, {}))
    _train(path, {}, key="k")
    with pytest.raises(KeyboardInterrupt):
        _train(path, {}, kill_at=20)
    with pytest.warns(UserWarning, match="another run"):
        alone = MultiTask(TWO_STEPS, checkpoint=path, checkpoint_key="k", device="cpu")
        alone.fit({"class": (make_task(), dalib.SourceOnly())}, _backbone())
