"""L2SP: L2 penalty with the starting point as its centre."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import dalib
from dalib.core.network import Network
from dalib.train.loop import Loop
from tests.support.algorithms import check_refusal
from tests.support.image_world import copy_state, make_backbone
from tests.support.pretrained import check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything
from tests.support.strategies import (
    check_a_backbone_rate_of_zero_freezes_the_backbone,
    check_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one,
    check_fewer_steps_than_descents_are_no_error,
    check_the_classes_are_learnt,
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used,
    toy,
    train,
)


def test_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything() -> None:
    check_features_survive_a_rate_that_is_too_high_for_fine_tuning_everything("L2SP", {"alpha": 0.3})


def test_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used() -> None:
    check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used("L2SP")


def test_the_classes_are_learnt() -> None:
    check_the_classes_are_learnt("L2SP")


@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_descents_are_no_error(steps: int) -> None:
    check_fewer_steps_than_descents_are_no_error("L2SP", steps)


def test_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one("L2SP", tmp_path)


def test_a_backbone_rate_of_zero_freezes_the_backbone() -> None:
    check_a_backbone_rate_of_zero_freezes_the_backbone("L2SP")


def test_l2_sps_penalty_is_numpys_sum_over_backbone_and_new_layers() -> None:
    torch.manual_seed(0)
    algorithm = dalib.L2SP(alpha=0.3, beta=0.2)
    network = Network(make_backbone(), 3, 8)
    start = {k: p.detach().double().numpy().copy() for k, p in network.named_parameters()}
    algorithm.attach(network)
    assert algorithm.penalty()["start"].item() == 0
    with torch.no_grad():
        for p in network.parameters():
            p.add_(torch.randn_like(p))
    sums = {"start": 0.0, "decay": 0.0}
    for k, p in network.named_parameters():
        value = p.detach().double().numpy()
        if k.startswith("backbone."):
            sums["start"] += 0.15 * float(((value - start[k]) ** 2).sum())
        else:
            sums["decay"] += 0.1 * float((value**2).sum())
    for name, term in algorithm.penalty().items():
        assert term.item() == pytest.approx(sums[name], rel=1e-4)


def test_l2_sp_returns_to_the_starting_point_when_the_rows_say_nothing() -> None:
    """Gradient steps on the penalty alone: w - w0 shrinks by 1 - lr alpha, the new layers by 1 - lr beta."""
    network, _ = toy()
    network.double()
    algorithm = dalib.L2SP(alpha=0.5, beta=0.25)
    algorithm.attach(network)
    start = copy_state(network)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1.0)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        sum(algorithm.penalty().values()).backward()  # type: ignore[union-attr]
        optimiser.step()
    for key, p in network.named_parameters():
        inside = key.startswith("backbone.")
        expected = start[key] + 0.95**3 if inside else (start[key] + 1) * 0.975**3
        torch.testing.assert_close(p.detach(), expected, rtol=0, atol=1e-8)


def test_l2_sp_adds_its_penalty_in_a_step_and_starts_after_reestimated_batch_norms() -> None:
    backbone = make_backbone()
    fitted = train(dalib.L2SP(), backbone, batch_norm="reestimate", lr=1e-12)
    assert max(fitted.curve["start"]) < 1e-9 and min(fitted.curve["decay"]) > 0
    network, _ = toy()
    algorithm = dalib.L2SP()
    algorithm.attach(network)
    loop = Loop(algorithm, torch.optim.SGD(network.parameters(), lr=0.1))
    terms = loop.step(torch.randn(6, 4), torch.arange(6) % 3, torch.randn(6, 4), 0.0)
    assert list(terms) == ["classification", "start", "decay"]


def test_l2_sp_stays_nearer_to_the_pretrained_weights() -> None:
    gaps = []
    for alpha in (0.0, 10.0):
        backbone = make_backbone()
        before = copy_state(backbone.module)
        fitted = train(dalib.L2SP(alpha=alpha, beta=0.0), backbone, steps=40, weight_decay=0.0, momentum=0.0)
        after = dict(fitted.backbone.module.named_parameters())
        gaps.append(sum(float((p.detach() - before[k]).square().sum()) for k, p in after.items()))
    assert gaps[0] > 3 * gaps[1]


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("L2SP", {"alpha": -1.0}, "l2_sp.alpha = -1.0 is out of range; give a number >= 0")
