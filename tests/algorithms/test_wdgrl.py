"""WDGRL: Wasserstein distance guided representation learning: a critic f, and features that shrink what it finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dalib.core.algorithm import Terms
from dalib.core.types import Source, Target
from tests.support.algorithms import DIM, K, array, attached, batch, check_refusal
from tests.support.shifts import check_its_estimator_beats_source_only


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_its_estimator_beats_source_only("WDGRL", {"hidden": 32})


class Game:
    """Records what a step asks for, and descends."""

    def __init__(self, algorithm: Any, lr: float = 0.01) -> None:
        self.algorithm, self.lr = algorithm, lr
        self.asked: list[tuple[dict[str, float], list[nn.Module]]] = []

    def __call__(self, terms: Terms, only: list[nn.Module] | None = None) -> None:
        self.asked.append(({k: v.item() for k, v in terms.items()}, list(only or [])))
        kept = [p for module in only or [self.algorithm] for p in module.parameters()]
        gradients = torch.autograd.grad(sum(terms.values()), kept, retain_graph=True, allow_unused=True)  # type: ignore[arg-type]
        with torch.no_grad():
            for p, g in zip(kept, gradients, strict=True):
                if g is not None:
                    p.sub_(self.lr * g)


def test_wdgrl_trains_the_critic_alone_and_then_the_network_against_it() -> None:
    algorithm = attached("WDGRL", weight=0.5, critic_steps=3, hidden=8)
    source, target = batch()
    network = {k: v.clone() for k, v in algorithm.network.state_dict().items()}
    game = Game(algorithm)
    algorithm.step(source, target, 0.5, game)
    assert [set(terms) for terms, _ in game.asked] == [{"critic"}] * 3 + [{"classification", "distance"}]
    assert all(only == [algorithm.critic] for _, only in game.asked[:3])
    assert game.asked[3][1] == [algorithm.network]
    assert game.asked[2][0]["critic"] < game.asked[0][0]["critic"]
    f_s, f_t = (array(algorithm.critic(z)) for z in (source.z, target.z))
    assert game.asked[3][0]["distance"] == pytest.approx(0.5 * (f_s.mean() - f_t.mean()), abs=1e-5)
    assert all(torch.equal(v, network[k]) for k, v in algorithm.network.state_dict().items())


def test_the_wasserstein_critic_finds_the_distance_of_two_shifted_samples() -> None:
    """Moved by a vector of length 3: slope a gives 3 a - 10 (a - 1)², largest at a = 1 + 3 / 20, where W = 3.45."""
    algorithm = attached("WDGRL", hidden=32, critic_steps=1)
    g = torch.Generator().manual_seed(0)
    z, shift = torch.randn(64, DIM, generator=g), torch.zeros(DIM)
    shift[0] = 3.0
    source = Source.of(z, torch.zeros(64, K), torch.zeros(64, dtype=torch.int64))
    target = Target.of(z - shift, torch.zeros(64, K))
    optimiser = torch.optim.Adam(algorithm.critic.parameters(), lr=0.01)
    for _ in range(150):
        optimiser.zero_grad()
        algorithm.loss(source, target, 1.0)["critic"].backward()
        optimiser.step()
    found = (algorithm.critic(source.z).mean() - algorithm.critic(target.z).mean()).item()
    assert found == pytest.approx(3.45, rel=0.02)


def test_the_reversed_loss_pushes_features_against_the_critic() -> None:
    source, target = batch()
    algorithm = attached("WDGRL", weight=0.5, penalty=0.0, hidden=8)
    (reversed_,) = torch.autograd.grad(algorithm.loss(source, target, 1.0)["critic"], source.z)
    (ascent,) = torch.autograd.grad(algorithm.critic(source.z).mean(), source.z)
    torch.testing.assert_close(reversed_, 0.5 * ascent)


def test_wdgrls_critic_has_its_own_rate() -> None:
    algorithm = attached("WDGRL", critic_rate=0.2)
    assert algorithm.rates(0.1)[-1] == (algorithm.critic, 0.2)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"penalty": float("nan")}, "penalty = nan"),
        ({"critic_steps": 2.5}, "critic_steps = 2.5"),
        ({"critic_rate": 0.0}, "critic_rate = 0.0 is out of range; give a number > 0"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("WDGRL", hparams, message)
