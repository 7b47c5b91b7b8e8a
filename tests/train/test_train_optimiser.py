"""Rates follow their formulas; frozen means frozen."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from dalib.core.algorithm import Algorithm, Minimise
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Source, Target
from dalib.train.config import TrainConfig
from dalib.train.optimiser import freeze_and_group, make_optimiser, rate_factor, set_rate
from dalib.train.trainer import Trainer
from tests.support.image_world import Plain, copy_state, differing, make_backbone, make_image_task, recipe


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.99])
def test_schedules_follow_their_formulas(p: float) -> None:
    expected = {"inverse": 1 / (1 + 10 * p) ** 0.75, "cosine": math.cos(math.pi * p / 2) ** 2, "constant": 1.0}
    for schedule, value in expected.items():
        assert rate_factor(TrainConfig.model_validate({"schedule": schedule}), p) == pytest.approx(value, rel=1e-12)


def test_warmup_rises_linearly_from_zero_and_then_follows_the_schedule() -> None:
    config = TrainConfig(warmup=0.2)
    assert [rate_factor(config, p) for p in (0.0, 0.05, 0.1)] == pytest.approx([0.0, 0.25, 0.5])
    assert rate_factor(config, 0.2) == pytest.approx(3**-0.75)


def test_groups_carry_rate_times_factor_and_hold_every_parameter_once() -> None:
    algorithm = Plain()
    algorithm.attach(Network(make_backbone(), 3, 8))
    config = TrainConfig(lr=0.2, backbone_rate=0.1)
    groups, frozen = freeze_and_group(algorithm, config)
    optimiser = make_optimiser(groups, config)
    backbone = {*algorithm.network.backbone.parameters()}
    rates = {p: g["lr"] for g in optimiser.param_groups for p in g["params"]}
    assert not frozen
    assert rates.keys() == {*algorithm.parameters()}
    assert all(rate == pytest.approx(0.02 if p in backbone else 0.2) for p, rate in rates.items())
    set_rate(optimiser, config, 0.5)
    assert {round(g["lr"], 9) for g in optimiser.param_groups} == {round(r * 6**-0.75, 9) for r in (0.02, 0.2)}


def test_weight_decay_momentum_and_adamw_reach_the_optimiser() -> None:
    algorithm = Plain()
    algorithm.attach(Network.on_features(4, 2, 0))
    for name, kind in (("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)):
        config = TrainConfig.model_validate({"optimiser": name, "weight_decay": 0.3})
        optimiser = make_optimiser(freeze_and_group(algorithm, config)[0], config)
        assert isinstance(optimiser, kind)
        assert optimiser.param_groups[0]["weight_decay"] == 0.3
    plain = TrainConfig(momentum=0)
    assert not make_optimiser(freeze_and_group(algorithm, plain)[0], plain).defaults["nesterov"]


@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0])
def test_momentum_is_nesterovs(momentum: float) -> None:
    """v = m v + g, w -= lr (g + m v), by hand on the gradients of w²."""
    w = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    config = TrainConfig(lr=0.1, momentum=momentum, weight_decay=0.0)
    optimiser = make_optimiser([{"params": [w], "lr": 0.1, "factor": 1.0}], config)
    value, speed = 2.0, 0.0
    for _ in range(4):
        optimiser.zero_grad()
        w.square().sum().backward()
        optimiser.step()
        gradient = 2 * value
        speed = momentum * speed + gradient
        value -= 0.1 * (gradient + momentum * speed)
        assert w.item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.5, 0.9), (0.0, 0.0)])
def test_the_betas_are_those_of_adamws_running_means(beta1: float, beta2: float) -> None:
    """m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g², w -= lr m^ / (√v^ + 1e-8), by hand on the gradients of w²."""
    w = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    config = TrainConfig(optimiser="adamw", lr=0.1, beta1=beta1, beta2=beta2, weight_decay=0.0)
    optimiser = make_optimiser([{"params": [w], "lr": 0.1, "factor": 1.0}], config)
    value, mean, square = 2.0, 0.0, 0.0
    for step in range(1, 5):
        optimiser.zero_grad()
        w.square().sum().backward()
        optimiser.step()
        gradient = 2 * value
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        value -= 0.1 * mean / (1 - beta1**step) / (math.sqrt(square / (1 - beta2**step)) + 1e-8)
        assert w.item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", ["beta1", "beta2"])
def test_betas_are_refused_out_of_range_and_where_no_optimiser_has_them(name: str) -> None:
    for value in (-0.1, 1.0, math.nan):
        with pytest.raises(ValidationError, match=name):
            TrainConfig.model_validate({"optimiser": "adamw", name: value})
    with pytest.raises(ValidationError, match=f"{name} = 0.5 changes nothing with optimiser = sgd"):
        TrainConfig.model_validate({name: 0.5})
    assert TrainConfig.model_validate({name: TrainConfig.model_fields[name].default}) == TrainConfig()


def test_rate_zero_freezes_weights_and_batch_norm_statistics() -> None:
    backbone = make_backbone(dropout=0.5)
    before = copy_state(backbone.module)
    fitted = Trainer(recipe(backbone_rate=0.0), device="cpu").fit(Plain(), make_image_task(), backbone)
    assert differing(before, copy_state(fitted.backbone.module)) == []
    assert not any(p.requires_grad for p in fitted.backbone.module.parameters())
    assert fitted.algorithm.network.head.weight.requires_grad


class LastBlock(Plain):
    """Head × 1, last block × .5, the first frozen."""

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return [(self, 1.0), (self.network.backbone, 0.0), (self.network.groups[-1], 0.5)]


def test_a_later_pair_wins_so_the_last_block_trains_alone() -> None:
    backbone = make_backbone()
    before = copy_state(backbone.module)
    fitted = Trainer(recipe(), device="cpu").fit(LastBlock(), make_image_task(), backbone)
    changed = differing(before, copy_state(fitted.backbone.module))
    assert changed
    assert all(name.startswith("1.") for name in changed)
    assert {"1.0.weight", "1.1.running_mean"} <= {*changed}


def test_batch_norm_eval_keeps_statistics_but_trains_weights_and_keeps_dropout_on() -> None:
    backbone = make_backbone(dropout=0.5)
    before = copy_state(backbone.module)
    modes: set[bool] = set()
    backbone.module[4].register_forward_hook(lambda m, *_: modes.add(m.training))
    fitted = Trainer(recipe(batch_norm="eval", evaluations=1), device="cpu").fit(Plain(), make_image_task(), backbone)
    changed = differing(before, copy_state(fitted.backbone.module))
    assert not [name for name in changed if "running" in name or "num_batches" in name]
    assert {"0.1.weight", "0.0.weight"} <= {*changed}
    assert True in modes


class HeadOnly(Plain):
    """Every step trains the head alone, then the bottleneck alone."""

    def step(self, source: Source, target: Target, progress: object, minimise: Minimise) -> None:
        parameters = dict(self.network.named_parameters())
        before = {k: v.detach().clone() for k, v in parameters.items()}
        minimise(self.loss(source, target, 0.0), only=[self.network.head])
        self.moved = {k for k, v in parameters.items() if not torch.equal(v, before[k])}


def test_minimise_only_moves_the_named_modules_even_with_weight_decay_and_momentum() -> None:
    algorithm = HeadOnly()
    backbone = make_backbone()
    before = copy_state(backbone.module)
    fitted = Trainer(recipe(weight_decay=0.1), device="cpu").fit(algorithm, make_image_task(), backbone)
    assert algorithm.moved == {"head.weight", "head.bias"}
    assert all("running" in k or "num_batches" in k for k in differing(before, copy_state(fitted.backbone.module)))


def test_clip_bounds_the_step() -> None:
    moves = []
    for clip in (0.0, 1e-3):
        algorithm = Plain()
        config = recipe(clip=clip, steps=1, momentum=0.0, weight_decay=0.0, schedule="constant")
        starts: list[torch.Tensor] = []
        algorithm.begin_epoch = lambda trainer, target, a=algorithm, s=starts: s.append(  # type: ignore[method-assign]
            nn.utils.parameters_to_vector(a.parameters()).detach()
        )
        Trainer(config, device="cpu").fit(algorithm, make_image_task(), make_backbone())
        moved = nn.utils.parameters_to_vector(algorithm.parameters()).detach() - starts[0]
        moves.append(float(moved.norm()))
    assert moves[0] > 1e-3
    assert moves[1] == pytest.approx(1e-3 * 0.05, rel=0.02)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"optimiser": "adamw", "momentum": 0.5}, r"momentum = 0.5 changes nothing with optimiser = adamw; .* = sgd"),
        ({"optimiser": "sgd", "beta2": 0.9}, r"beta2 = 0.9 changes nothing with optimiser = sgd; .* = adamw"),
    ],
)
def test_a_setting_of_the_other_optimiser_is_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrainConfig.model_validate(given)


def rate_of(algorithm: Algorithm, module: nn.Module) -> set[float]:
    """Factors on lr of a module's parameters; none where it is frozen."""
    groups, _ = freeze_and_group(algorithm, TrainConfig(backbone_rate=0.5))
    own = {*module.parameters()}
    return {float(g["factor"]) for g in groups for p in g["params"] if p in own}  # type: ignore[arg-type, attr-defined]


@pytest.mark.parametrize(
    ("name", "hparams", "path"),
    [
        ("dann", {"rate": 7.0}, "discriminator"),
        ("cdan", {"rate": 7.0}, "discriminator"),
        ("mstn", {"rate": 7.0}, "discriminator"),
        ("bsp", {}, "adversary.discriminator"),
        ("bsp", {"base": "cdan"}, "adversary.discriminator"),
        ("sdat", {}, "base_algorithm.discriminator"),
        ("sdat", {"base": "dann+mcc"}, "base_algorithm.parts.dann.discriminator"),
        ("dann+mcc", {"dann.rate": 7.0}, "parts.dann.discriminator"),
        ("bitfit+dann", {"dann.rate": 7.0}, "parts.dann.discriminator"),
    ],
)
def test_a_discriminator_learns_at_its_own_rate_in_sums_and_in_what_is_built_on_it(
    name: str, hparams: dict[str, Any], path: str
) -> None:
    algorithm = ALGORITHMS.get(name).create(name, hparams)
    algorithm.attach(Network(make_backbone(), 3, 8))
    found = dict(algorithm.named_modules())
    module = found.get(path) or found[path.replace("parts.", "")]
    assert rate_of(algorithm, module) == {7.0 if any(k.endswith("rate") for k in hparams) else 3.0}
    assert rate_of(algorithm, algorithm.network.head) == {1.0}


def test_a_part_with_a_rate_of_its_own_leaves_what_another_part_decided() -> None:
    factors = []
    for name in ("adapters", "adapters+dann", "bitfit", "bitfit+dann"):
        algorithm = ALGORITHMS.get(name)()
        algorithm.attach(Network(make_backbone(), 3, 8))
        factors.append([rate_of(algorithm, block) for block in algorithm.network.groups])
    assert factors[0] == factors[1] and factors[2] == factors[3] != [{0.5}] * len(factors[2])
