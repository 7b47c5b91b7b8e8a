"""VADA: Virtual adversarial domain adaptation: decision boundaries kept away from the rows of both domains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor

from tests.support.algorithms import check_refusal
from tests.support.shifts import Data
from tests.support.views import attached_double, check_a_method_beats_itself_without_its_term, two_views


def test_vadas_terms_are_the_papers() -> None:
    """On a linear network; the perturbation is found by the gradient W (q - p) of each row."""
    algorithm = attached_double("VADA", source_weight=0.7, target_weight=0.2, radius=0.8, hidden=8)
    source, target = two_views(algorithm)
    w, b = (v.detach().numpy() for v in (algorithm.network.head.weight.T, algorithm.network.head.bias))
    x = torch.cat([source.x, target.x])
    torch.manual_seed(3)
    divergences = []
    for row, d in zip(x.numpy(), torch.randn_like(x).numpy(), strict=True):
        p = softmax(row @ w + b)
        gradient = w @ (softmax((row + 1e-3 * d / np.linalg.norm(d)) @ w + b) - p)
        log_q = log_softmax((row + 0.8 * gradient / np.linalg.norm(gradient)) @ w + b)
        divergences.append(sum(p * (np.log(p) - log_q)))
    p_t = softmax(target.logits.detach().numpy(), axis=1)
    entropy = -np.mean([sum(p * np.log(p)) for p in p_t])
    expected = 0.7 * np.mean(divergences[:9]) + 0.2 * (entropy + np.mean(divergences[9:]))
    torch.manual_seed(3)
    terms = algorithm.loss(source, target, 0.5)
    assert terms["cluster"].item() == pytest.approx(expected, abs=1e-8)
    d_s, d_t = (1 / (1 + np.exp(-algorithm.discriminator(r.z).detach().numpy())) for r in (source, target))
    bce = -(np.log(d_s).mean() + np.log(1 - d_t).mean()) / 2
    assert terms["adversarial"].item() == pytest.approx(bce, abs=1e-8)


def test_vadas_discriminator_learns_at_full_rate_and_the_features_at_its_weight() -> None:
    z, own = [], []
    for weight in (0.01, 1.0):
        algorithm = attached_double("VADA", weight=weight, hidden=8)
        source, target = two_views(algorithm)
        features = target.z.detach().clone().requires_grad_()
        term = algorithm.loss(source, replace(target, z=features), 0.5)["adversarial"]
        gradients = torch.autograd.grad(term, [features, *algorithm.discriminator.parameters()])
        z.append(gradients[0])
        own.append(gradients[1:])
    torch.testing.assert_close(100 * z[0], z[1])
    assert z[1].abs().max() > 0 and all(torch.equal(a, b) for a, b in zip(*own, strict=True))


def test_vadas_extra_passes_leave_batch_norm_statistics_alone() -> None:
    algorithm = attached_double("VADA", bottleneck=5, hidden=8)
    source, target = two_views(algorithm)
    before = {k: v.clone() for k, v in algorithm.state_dict().items()}
    algorithm.loss(source, target, 0.5)
    assert all(torch.equal(v, before[k]) for k, v in algorithm.state_dict().items())
    assert all(m.training for m in algorithm.modules())


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"radius": 0.0}, "radius"),
        ({"iterations": 1.5}, "iterations"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: dict[str, Any], message: str) -> None:
    check_refusal("VADA", hparams, message)


def brittle_cue(n: int = 240) -> Data:
    """Two noisy features hold in both domains; a third, its values +-1, is the class in the source only."""
    g = torch.Generator().manual_seed(0)

    def draw(holds: bool) -> tuple[Tensor, Tensor]:
        y, chance = torch.randint(2, (n,), generator=g), torch.randint(2, (n,), generator=g)
        sign, cue = 2.0 * y[:, None] - 1, 2.0 * (y if holds else chance)[:, None] - 1
        noise = torch.randn(n, 3, generator=g)
        return torch.cat([sign + noise[:, :2], cue + 0.05 * noise[:, 2:]], 1), y

    return *draw(True), *draw(False)


def test_a_method_beats_itself_without_its_term() -> None:
    check_a_method_beats_itself_without_its_term("VADA", brittle_cue, {}, {"source_weight": 0.0, "target_weight": 0.0})
