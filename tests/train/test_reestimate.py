"""Batch norms get the statistics of the data while the network's function stays what it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dalib.train.batch_norm import reestimate
from dalib.train.trainer import Trainer
from tests.support.image_world import Plain, copy_state, make_backbone, make_image_task, recipe


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    for norm in (network[0], network[2]):
        nn.init.normal_(norm.weight, 1.0, 0.3)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.3, 2.0)
    return network


@pytest.fixture(autouse=True)
def generator_as_before() -> object:
    with torch.random.fork_rng(devices=[]):
        yield


def _batches() -> list[torch.Tensor]:
    return list((2 + 3 * torch.randn(10, 3, 5, 5, generator=torch.Generator().manual_seed(1))).split(4))


def test_the_evaluation_function_is_unchanged() -> None:
    network, x = _network(), torch.randn(6, 3, 5, 5)
    with torch.no_grad():
        before = network.eval()(x)
        assert reestimate(network, _batches()) == 2
        torch.testing.assert_close(network(x), before, rtol=1e-5, atol=1e-5)


def test_statistics_equal_a_numpy_reference_over_unequal_batches() -> None:
    network = _network()
    first, conv = network[0], network[1]
    x = torch.cat(_batches()).double().numpy()
    scale = first.weight.detach().numpy() / np.sqrt(first.running_var.numpy() + first.eps)
    normalised = (x - first.running_mean.numpy()[:, None, None]) * scale[:, None, None]
    normalised += first.bias.detach().numpy()[:, None, None]
    weight = conv.weight.detach().numpy()[:, :, 0, 0]
    hidden = np.einsum("oc,nchw->nohw", weight, normalised) + conv.bias.detach().numpy()[:, None, None]
    reestimate(network, _batches())
    for norm, values in ((network[0], x), (network[2], hidden)):
        np.testing.assert_allclose(norm.running_mean.numpy(), values.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(norm.running_var.numpy(), values.var((0, 2, 3)), rtol=1e-5)


def test_training_mode_computes_nearly_the_same_afterwards() -> None:
    network, x = _network(), torch.cat(_batches())
    with torch.no_grad():
        before = network.eval()(x)
        reestimate(network, _batches())
        torch.testing.assert_close(network.train()(x), before, rtol=1e-3, atol=1e-3)


def test_a_norm_without_weights_and_one_out_of_use_are_left_alone() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    odd = Odd().train()
    before = copy_state(odd)
    assert reestimate(odd, _batches()) == 1
    assert all(torch.equal(v, before[k]) for k, v in odd.state_dict().items())
    assert odd.training


def test_the_trainer_reestimates_before_the_first_step() -> None:
    backbone = make_backbone()
    before = copy_state(backbone.module)
    trainer = Trainer(recipe(steps=0, batch_norm="reestimate"), device="cpu")
    after = trainer.fit(Plain(), make_image_task(), backbone).backbone.module.state_dict()
    assert not torch.equal(before["0.1.running_mean"], after["0.1.running_mean"])
    assert torch.equal(before["0.0.weight"], after["0.0.weight"])
