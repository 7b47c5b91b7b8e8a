"""Joint, independent, MME, prototypical networks, MAML, Reptile: formulas, who sees which rows, what they gain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor

import dalib
from dalib.checks.world import attached, batches
from dalib.checks.world import make_task as plain_task
from dalib.core.backbone import identity
from dalib.core.network import Network
from dalib.core.splits import concatenate
from dalib.core.types import Domain, Source, Task
from dalib.feed.batches import EpisodeStream
from dalib.nn.episodes import interpolate, pick_support, prototypical_loss
from dalib.nn.metrics import accuracy
from dalib.train.config import TrainConfig
from dalib.train.loop import Loop
from dalib.train.trainer import Trainer

D, K = 12, 4


def domain(turn: float, n: int, seed: int) -> Domain:
    """Four classes on a circle that every domain turns by an angle of its own."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    x = 0.7 * rng.standard_normal((n, D))
    x[:, 0] += 3 * np.cos(2 * np.pi * (turn + y / K))
    x[:, 1] += 3 * np.sin(2 * np.pi * (turn + y / K))
    return Domain(f"d{turn}", x.astype(np.float32), y, tuple("abcd"), f"{turn}-{n}-{seed}")


def few_task(k: int, seed: int = 0, sources: int = 8) -> Task:
    """k labelled rows per class of a target that is turned by an angle which no source has."""
    turns = np.random.default_rng(100 + seed).uniform(size=sources + 1)
    given = concatenate([domain(t, 80, 50 * seed + i) for i, t in enumerate(turns[1:])])
    target = domain(turns[0], 200, 999 + seed)
    rows = np.arange(K * k)  # classes take turns
    rest = target.take(np.arange(K * k, 200), "rest")
    labelled = concatenate([given, target.take(rows, "few")])
    return Task("s->t", labelled, rest.unlabelled(), given.take(np.arange(0), "none"), rest, "semi_supervised")


def train(name: str, task: Task, steps: int = 60, seed: int = 0, **hparams: Any) -> Any:
    config = TrainConfig(steps=steps, batch_size=32, bottleneck=32, lr=0.02, evaluations=1)
    return Trainer(config, seed=seed, device="cpu").fit(getattr(dalib, name)(**hparams), task, identity(D))


def reached(name: str, k: int, seed: int = 0, **more: Any) -> float:
    task = few_task(k, seed)
    return accuracy(train(name, task, seed=seed, **more).outputs(task.test).logits, torch.as_tensor(task.test.labels))


def seen_origins(name: str, **hparams: Any) -> list[tuple[int, ...]]:
    """Which origins the labelled batches of each step hold; 2 is the target's."""
    seen: list[tuple[int, ...]] = []

    class Watching(getattr(dalib, name)):  # type: ignore[misc]
        def step(self, source: Source, *rest: Any) -> None:
            seen.append(tuple(source.origin.unique().tolist()))
            super().step(source, *rest)

    config = TrainConfig(steps=10, batch_size=32, bottleneck=8, evaluations=1)
    Trainer(config, device="cpu").fit(Watching(**hparams), few_task(3, sources=2), identity(D))
    return seen


def test_labelled_target_rows_are_known_by_their_origin_under_every_protocol() -> None:
    few = few_task(1, sources=3)
    assert few.target_origin == 3 and (few.labelled.origin == 3).sum() == K
    uda = plain_task()
    assert uda.target_origin == -1
    assert Task("t", uda.labelled, uda.target, uda.validation, uda.test, "supervised").target_origin == 0
    assert train("SourceOnly", few, steps=1).algorithm.network.target_origin == 3


def test_an_episode_has_one_origin_and_equally_many_rows_of_some_of_its_classes() -> None:
    rng = np.random.default_rng(0)
    y, origin = torch.from_numpy(rng.integers(5, size=300)), torch.from_numpy(rng.integers(3, size=300))
    stream = EpisodeStream(y, origin, 4, 6, seed=0)
    turns = []
    for _ in range(9):
        rows = stream.next()
        turns.append(int(origin[rows][0]))
        assert len({*rows.tolist()}) == 24 and (origin[rows] == turns[-1]).all()
        assert sorted(y[rows].bincount(minlength=5).tolist()) == [0, 6, 6, 6, 6]
    assert all(sorted(turns[i : i + 3]) == [0, 1, 2] for i in (0, 3, 6))
    again = EpisodeStream(y, origin, 4, 6, seed=5)
    again.load_state_dict(stream.state_dict())
    assert all(torch.equal(stream.next(), again.next()) for _ in range(5))


def test_episodes_come_from_sources_and_the_second_phase_from_the_target() -> None:
    for name in ("MAML", "Reptile"):
        seen = seen_origins(name, pretrain=0.6)
        assert all(s in [(0,), (1,)] for s in seen[:6]) and seen[6:] == [(2,)] * 4
    assert all(s in [(0,), (1,)] for s in seen_origins("Prototypical"))
    seen = seen_origins("Independent", pretrain=0.6)
    assert seen == [(0, 1)] * 6 + [(2,)] * 4
    assert all(2 in s for s in seen_origins("Joint") + seen_origins("MME"))


def test_joint_without_balance_is_source_only_and_with_it_half_are_target_rows() -> None:
    task = few_task(2, sources=2)
    states = [
        train(n, task, steps=5, **h).algorithm.state_dict()
        for n, h in (("SourceOnly", {}), ("Joint", {"balanced": False}))
    ]
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))
    rows: list[Tensor] = []

    class Watching(dalib.Joint):  # type: ignore[misc, name-defined]
        def loss(self, source: Source, *rest: Any) -> Any:
            rows.append(source.origin == 2)
            return super().loss(source, *rest)

    Trainer(TrainConfig(steps=10, batch_size=32, evaluations=1), device="cpu").fit(Watching(), task, identity(D))
    assert torch.cat(rows).float().mean().item() == pytest.approx(0.5, abs=0.02)  # a whole pass: 320 of 320 rows


def test_the_prototypical_loss_is_snells_by_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((20, 3)), np.array([0, 1, 3] * 6 + [0, 1])
    support = pick_support(torch.from_numpy(y), 3, torch.from_numpy(rng.permutation(20))).numpy()
    assert [support[y == c].sum() for c in (0, 1, 3)] == [3, 3, 3]
    c = {k: z[support & (y == k)].mean(0) for k in (0, 1, 3)}
    terms = []
    for i in np.flatnonzero(~support):
        d = {k: ((z[i] - m) ** 2).sum() for k, m in c.items()}
        terms.append(d[y[i]] + np.log(sum(np.exp(-v) for v in d.values())))
    got = prototypical_loss(*(torch.from_numpy(a) for a in (z, y, support)), 4)
    assert got.item() == pytest.approx(np.mean(terms), rel=1e-6)


@pytest.mark.parametrize("prior", [0.0, 2.0])
def test_prototypes_are_the_targets_means_and_the_sources_where_it_has_no_row(prior: float) -> None:
    task = few_task(3, sources=2)
    keep = (task.labelled.origin < 2) | (task.labelled.labels > 0)
    labelled = task.labelled.take(np.flatnonzero(keep), "no target row of class 0")
    fitted = train(
        "Prototypical",
        Task("t", labelled, task.target, task.validation, task.test, "semi_supervised"),
        steps=3,
        prior=prior,
    )
    z, y, own = fitted.outputs(labelled).z.numpy(), labelled.labels, labelled.origin == 2
    for k in range(K):
        m_s, mine = z[~own & (y == k)].mean(0), own & (y == k)
        n = mine.sum()
        expected = (z[mine].sum(0) + prior * m_s) / (n + prior) if n else m_s
        np.testing.assert_allclose(fitted.algorithm.prototypes[k].numpy(), expected, rtol=1e-4, atol=1e-5)
    d = ((z[:, None] - fitted.algorithm.prototypes.numpy()) ** 2).sum(2)
    np.testing.assert_allclose(
        fitted.outputs(labelled).logits.softmax(1).numpy(), softmax(-d, axis=1), rtol=1e-3, atol=1e-6
    )


def by_hand(x: Tensor, y: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the mean cross-entropy of logits x Wᵀ + b, by its formula."""
    error = ((x @ W.T + b).softmax(1) - torch.eye(K)[y]) / len(x)
    return error.T @ x, error.sum(0)


def linear_world(name: str, **hparams: Any) -> Iterator[Any]:
    torch.manual_seed(0)
    algorithm = getattr(dalib, name)(**hparams)
    algorithm.attach(Network(identity(D), K, bottleneck=0))
    torch.nn.init.normal_(algorithm.network.head.weight)
    x, y, x_t = torch.randn(24, D), torch.arange(24) % K, torch.randn(2, D)
    loop = Loop(algorithm, torch.optim.SGD(algorithm.parameters(), lr=0.5))
    head = algorithm.network.head
    yield x, y, head.weight.detach().clone(), head.bias.detach().clone()
    torch.manual_seed(1)
    order = torch.rand(24)
    torch.manual_seed(1)
    yield order
    loop.step(x, y, x_t, 0.25)
    yield head.weight.detach(), head.bias.detach()


def test_a_maml_step_is_the_hand_written_first_order_loop() -> None:
    world = linear_world("MAML", shots=3, inner=2, inner_rate=0.1)
    (x, y, W, b), order = next(world), next(world)
    support = pick_support(y, 3, order)
    w, c = W, b
    for _ in range(2):
        g, h = by_hand(x[support], y[support], w, c)
        w, c = w - 0.1 * g, c - 0.1 * h
    g, h = by_hand(x[~support], y[~support], w, c)
    got = next(world)
    torch.testing.assert_close(got[0], W - 0.5 * g, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got[1], b - 0.5 * h, rtol=1e-4, atol=1e-5)


def test_a_reptile_step_goes_a_part_of_the_way_to_where_the_inner_steps_end() -> None:
    world = linear_world("Reptile", shots=3, inner=2, inner_rate=0.1, rate=0.8)
    (x, y, W, b), order = next(world), next(world)
    turn = torch.stack([((y == y[i]) & (order < order[i])).sum() for i in range(24)]) // 3
    w, c = W, b
    for i in range(2):
        g, h = by_hand(x[turn == i], y[turn == i], w, c)
        w, c = w - 0.1 * g, c - 0.1 * h
    got = next(world)
    torch.testing.assert_close(got[0], W + 0.8 * 0.75 * (w - W), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got[1], b + 0.8 * 0.75 * (c - b), rtol=1e-4, atol=1e-5)
    moved = [torch.ones(2) * 3]
    interpolate(moved, [torch.ones(2)], 0.25)
    assert moved[0].tolist() == [1.5, 1.5]


def test_mme_is_a_cosine_classifier_whose_entropy_is_a_game() -> None:
    algorithm = attached(dalib.MME)
    source, target = batches(algorithm)
    terms = algorithm.loss(source, target, 0.0)
    W = algorithm.cosine.weight.detach().numpy()

    def logits(z: Tensor) -> np.ndarray:
        z = z.detach().numpy()
        return z @ W.T / np.linalg.norm(z, axis=1, keepdims=True) / 0.05

    p = softmax(logits(target.z), axis=1)
    h = -(p * log_softmax(logits(target.z), axis=1)).sum(1).mean()
    ce = -log_softmax(logits(source.z), axis=1)[np.arange(len(source)), source.y.numpy()].mean()
    assert terms["entropy"].item() == pytest.approx(-0.1 * h, rel=1e-4)
    assert terms["classification"].item() == pytest.approx(ce, rel=1e-4)
    to_W, to_z = torch.autograd.grad(terms["entropy"], [algorithm.cosine.weight, target.z])
    for parameter, g, up in ((algorithm.cosine.weight.data, to_W, True), (target.z.data, to_z, False)):
        before = parameter.clone()
        parameter.sub_(1e-3 * g / g.norm())  # a step of descent
        now = -algorithm.loss(source, target, 0.0)["entropy"].item() / 0.1
        assert (now > h) == up
        parameter.copy_(before)


def test_a_pull_keeps_the_second_phase_near_the_first() -> None:
    distance = {}
    for pull in (0.0, 10.0):
        start: list[Tensor] = []

        class Watching(dalib.Independent):  # type: ignore[misc, name-defined]
            def begin(self, start: list[Tensor] = start) -> None:
                super().begin()
                start.append(torch.cat([p.detach().flatten() for p in self.network.parameters()]))

        config = TrainConfig(steps=60, batch_size=32, bottleneck=8, lr=0.02, evaluations=1)
        fitted = Trainer(config, device="cpu").fit(Watching(pull=pull), few_task(3), identity(D))
        now = torch.cat([p.detach().flatten() for p in fitted.algorithm.network.parameters()])
        distance[pull] = (now - start[0]).norm().item()
    assert distance[10.0] < distance[0.0] / 2


@pytest.mark.parametrize("k", [1, 5])
def test_with_several_sources_meta_learned_weights_adapt_in_fewer_steps_than_the_sources_own(k: int) -> None:
    """Ten steps on k rows per class of a domain turned by an angle of its own; mean of two draws."""
    gains = {}
    for name in ("Independent", "MAML"):
        gains[name] = np.mean([reached(name, k, seed, steps=200, pretrain=0.95) for seed in range(2)])
    assert gains["MAML"] > gains["Independent"]


def test_prototypes_of_one_row_per_class_beat_source_and_target_rows_together() -> None:
    means = {n: np.mean([reached(n, 1, seed, steps=100) for seed in range(3)]) for n in ("Prototypical", "SourceOnly")}
    assert means["Prototypical"] > means["SourceOnly"] + 0.1
