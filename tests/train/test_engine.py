"""What one step is, how it is reached, and that nothing else in the package takes one."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dalib
from dalib.checks.world import DIM, fit, make_task
from dalib.core.algorithm import Algorithm, Minimise, Terms
from dalib.core.backbone import identity
from dalib.core.contracts import TrainerLike
from dalib.core.errors import DalibError
from dalib.core.listener import Listener, RunLike
from dalib.core.network import Network
from dalib.core.types import Domain, Source, Target
from dalib.train.engine import listener_states, load_listener_states, update
from dalib.train.fleet import Member, fit_fleet
from dalib.train.fleetable import structural_reason
from dalib.train.loop import Loop
from dalib.train.multi_task import MultiTask
from dalib.train.trainer import Trainer
from tests.support.image_world import Plain, make_backbone, make_image_task, recipe

PACKAGE = Path(dalib.__file__).parent


def test_the_package_has_one_backward_pass_and_one_optimiser_step() -> None:
    taken: dict[str, list[str]] = {"backward": [], "step": []}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if not name.startswith("checks/"):
            text = path.read_text(encoding="utf-8")
            taken["backward"] += [name] * len(re.findall(r"\.backward\(", text))
            taken["step"] += [name] * len(re.findall(r"\boptimi[sz]ers?(?:\[\w+\])?\.step\(", text))
            assert not re.search(r"\bopt(im)?\.step\(", text), name
    assert taken == {"backward": ["train/engine.py"], "step": ["train/engine.py"]}


def test_three_frames_lie_between_fit_and_the_loss() -> None:
    stacks: list[list[str]] = []

    class Watched(Plain):
        def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
            frames = inspect.stack(0)
            stacks.append([frame.function for frame in frames[1:]])
            return super().loss(source, target, progress)

    Trainer(recipe(steps=2), device="cpu").fit(Watched(), make_image_task(), make_backbone())
    for stack in stacks:
        *between, trainers_fit = stack[: stack.index("test_three_frames_lie_between_fit_and_the_loss")]
        assert trainers_fit == "fit"
        assert between == ["step", "descend", "fit"], "Algorithm.step, Engine.descend, Algorithm.fit"
    assert len(stacks) == 2


class Counting(Plain):
    """Counts ends of steps, and looks whether the weights have moved by then."""

    ends: Tensor

    def build(self, dim: int, outputs: int) -> None:
        self.register_buffer("ends", torch.zeros((), dtype=torch.int64))
        self.moved: list[bool] = []

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        self.before = self.network.head.weight.detach().clone()
        return super().loss(source, target, progress)

    def end_step(self) -> None:
        self.ends += 1
        self.moved.append(not torch.equal(self.before, self.network.head.weight))


def test_every_step_ends_after_the_weights_have_moved_whoever_takes_it() -> None:
    alone, recorded = fit(Counting, steps=6).algorithm, fit(Counting, steps=6, cuda_graph=True).algorithm
    tasks: dict[str, Any] = {name: (make_image_task(), Counting()) for name in "ab"}
    together = MultiTask(recipe(steps=6), device="cpu").fit(tasks, make_backbone())
    by_hand, task = Counting(), make_task()
    by_hand.attach(Network.on_features(DIM, 3, 8))
    loop = Loop(by_hand, torch.optim.SGD(by_hand.parameters(), lr=0.1))
    x_s, y, x_t = (torch.as_tensor(v) for v in (task.labelled.x, task.labelled.labels, task.target.x))
    for i in range(6):
        loop.step(x_s, y, x_t, progress=i / 6)
    for algorithm in (alone, recorded, by_hand, *(fitted.algorithm for fitted in together.values())):
        assert int(algorithm.ends) == 6
        assert all(algorithm.moved)


def test_an_algorithm_with_an_end_of_step_of_its_own_stays_out_of_fleets() -> None:
    assert structural_reason(Counting()) == "has its own end_step"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_loop_of_ones_own_keeps_the_precision_of_its_network(dtype: torch.dtype) -> None:
    task = make_task()
    x_s, x_t = (torch.as_tensor(v).to(dtype) for v in (task.labelled.x, task.target.x))
    y = torch.as_tensor(task.labelled.labels)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        algorithm = dalib.DANN(hidden=8, dropout=0)
        algorithm.attach(Network.on_features(DIM, 3, 8))
    algorithm.to(dtype)
    parameters = list(algorithm.parameters())
    z, logits = algorithm.network(torch.cat([x_s, x_t]))
    n = len(x_s)
    terms = algorithm.loss(dalib.Source.of(z[:n], logits[:n], y), dalib.Target.of(z[n:], logits[n:]), 0.3)
    total = sum(terms.values())
    assert isinstance(total, Tensor) and total.dtype == dtype
    expected = torch.autograd.grad(total, parameters)
    told = Loop(algorithm, torch.optim.SGD(parameters, lr=0.0)).step(x_s, y, x_t, progress=0.3)
    assert {value.dtype for value in told.values()} == {dtype}
    for p, gradient in zip(parameters, expected, strict=True):
        assert p.grad is not None and p.grad.dtype == dtype
        torch.testing.assert_close(p.grad, gradient)


def make_pair() -> tuple[nn.Linear, nn.Linear, torch.optim.SGD, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = nn.Linear(3, 3), nn.Linear(3, 1)
        x = torch.randn(5, 3)
    return first, second, torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.1), x


def test_an_update_moves_only_what_it_may() -> None:
    first, second, optimiser, x = make_pair()
    before = [p.detach().clone() for p in (*first.parameters(), *second.parameters())]
    parameters = [*first.parameters(), *second.parameters()]
    update([second(first(x)).square().mean()], parameters, optimiser, only=[second])
    moved = [not torch.equal(old, new) for old, new in zip(before, parameters, strict=True)]
    assert moved == [False, False, True, True]
    assert first.weight.grad is None


def test_an_update_sums_its_terms_and_forgets_the_gradients_before() -> None:
    first, second, optimiser, x = make_pair()
    parameters = [*first.parameters(), *second.parameters()]
    out = second(first(x))
    expected = torch.autograd.grad(out.square().mean() + 3 * out.double().mean(), parameters, retain_graph=True)
    for p in parameters:
        p.grad = torch.full_like(p, 7.0)
    update([out.square().mean(), 3 * out.double().mean()], parameters, optimiser)
    torch.testing.assert_close([p.grad for p in parameters], list(expected))


def test_an_update_clips_all_gradients_together_and_lets_them_be_adjusted_before_the_step() -> None:
    first, second, optimiser, x = make_pair()
    parameters = [*first.parameters(), *second.parameters()]
    norms: list[float] = []

    def adjust() -> None:
        norms.append(float(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm()))
        for p in parameters:
            p.grad = None

    before = [p.detach().clone() for p in parameters]
    update([100 * second(first(x)).square().mean()], parameters, optimiser, clip=0.5, adjust=adjust)
    assert norms == pytest.approx([0.5], rel=1e-4)
    assert all(torch.equal(old, new) for old, new in zip(before, parameters, strict=True))


class Greedy(Algorithm):
    """Asks what it is trained by."""

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        again, _ = minimise.forward(source, target)
        torch.testing.assert_close(again.logits, source.logits)
        super().step(again, target, progress, minimise)

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        return {"classification": nn.functional.cross_entropy(source.logits, source.y)}


def test_rows_pass_through_the_network_again_on_request() -> None:
    assert fit(Greedy, steps=3).curve["step"] == [2.0, 3.0]


def test_a_fleet_tells_of_every_step_of_every_run() -> None:
    calls: list[int] = []

    class Follower(Listener):
        def after_step(self, run: RunLike, step: int, terms: dict[str, Tensor]) -> None:
            calls.append(len(terms))

    config = recipe(steps=4, bottleneck=4)
    trainers = [Trainer(config, seed=seed, device="cpu", listeners=[Follower()]) for seed in (0, 1)]
    fit_fleet([Member(trainer, dalib.MMD(), make_task(), identity(DIM)) for trainer in trainers])
    assert calls == [2] * 8


def test_listeners_keep_their_state_by_class_and_those_of_one_class_by_number() -> None:
    class Counts(Listener):
        def __init__(self, count: int) -> None:
            self.count = count

        def state_dict(self) -> dict[str, Any]:
            return {"count": self.count}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.count = state["count"]

    class Other(Counts):
        pass

    states = listener_states([Counts(1), Other(2), Counts(3), Other(4)])
    assert {name: state["count"] for name, state in states.items()} == {
        "Counts": 1, "Other": 2, "Counts2": 3, "Other2": 4,
    }  # fmt: skip
    again = [Counts(0), Other(0), Counts(0), Other(0), Other(9)]
    load_listener_states(again, states)
    assert [listener.count for listener in again] == [1, 2, 3, 4, 9], "one that is new begins here"


@pytest.mark.parametrize("until", [1.5, 0.0, -0.5])
def test_a_descent_ends_within_the_recipes_steps(until: float) -> None:
    class Far(Plain):
        def fit(self, trainer: Any, source: Domain, target: Domain) -> None:
            trainer.descend(self, source, target, until=until)

    with pytest.raises(DalibError, match=r"give more, up to 1"):
        Trainer(recipe(steps=2), device="cpu").fit(Far(), make_image_task(), make_backbone())


def test_what_is_solved_cannot_descend_for_its_key_leaves_the_recipe_out() -> None:
    class Descending(dalib.LinearProbe):  # type: ignore[misc, name-defined]
        def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
            trainer.descend(self, source, target)

    with pytest.raises(DalibError, match=r"is solved, .* derive it from Algorithm, not from FeatureAlgorithm"):
        fit(Descending)
