"""ADVENT's two phases against the formula in NumPy, and who moves in each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from dalib.checks.dense_world import attached, batches, fit
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS

ADVENT = ALGORITHMS.get("advent")


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def scores(algorithm, prediction) -> np.ndarray:
    p = softmax(prediction.detach().double().numpy(), axis=1)
    maps = -p * np.log(p) / np.log(p.shape[1])
    return algorithm.discriminator.double()(torch.as_tensor(maps)).detach().numpy()


def test_phase_a_asks_the_discriminator_to_take_the_target_for_source():
    algorithm = attached(ADVENT, weight=0.5)
    source, target = batches(algorithm)
    found = float(algorithm.adapt(source, target, 0.5)["adversarial"].detach())
    assert found == pytest.approx(0.5 * softplus(-scores(algorithm, target.prediction)).mean(), rel=1e-4)


def test_phase_b_moves_the_discriminator_alone_by_both_domains():
    algorithm = attached(ADVENT)
    source, target = batches(algorithm)
    calls = []
    algorithm.step(source, target, 0.5, lambda terms, only=None: calls.append((terms, only)))
    (first, network), (second, judge) = calls
    assert network == [algorithm.network] and judge == [algorithm.discriminator]
    assert set(first) == {"segmentation", "adversarial"} and set(second) == {"discriminator"}
    value = float(second["discriminator"].detach())
    gradients = torch.autograd.grad(second["discriminator"], list(algorithm.network.parameters()), allow_unused=True)
    assert all(g is None for g in gradients)
    d_s, d_t = scores(algorithm, source.prediction), scores(algorithm, target.prediction)
    assert value == pytest.approx((softplus(-d_s).mean() + softplus(d_t).mean()) / 2, rel=1e-4)


def test_maps_that_are_too_small_are_refused():
    algorithm = attached(ADVENT)
    source, target = batches(algorithm)
    small = type(target)(target.x, target.index, target.z, target.prediction[:, :, :16, :16])
    with pytest.raises(DalibError, match=r"needs maps of 32 pixels or more, not 16; raise train.crop"):
        algorithm.adapt(source, small, 0.0)


def test_the_discriminator_learns():
    fitted = fit(ADVENT)
    assert {"segmentation", "adversarial", "discriminator"} <= set(fitted.curve)
