"""Strong-weak alignment: both terms by hand, and that easy pictures count less."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit

from dalib.checks.dense_world import attached, batches
from dalib.core.registry import ALGORITHMS

StrongWeak = ALGORITHMS.get("strong_weak")


def test_both_terms_are_the_formulas():
    algorithm = attached(StrongWeak, weight=0.7, gamma=3.0).eval()
    source, target = batches(algorithm, (4, 3))
    terms = algorithm.adapt(source, target, 0.5)
    d_s, d_t = (expit(algorithm.local(r.prediction.levels[0]).detach().double().numpy()) for r in (source, target))
    assert float(terms["strong"]) == pytest.approx(0.7 * ((d_s**2).mean() + ((1 - d_t) ** 2).mean()) / 2, rel=1e-4)
    e_s, e_t = (
        expit(algorithm.whole(r.prediction.levels[-1].mean((2, 3))).detach().double().numpy()) for r in (source, target)
    )
    focal = [(-((1 - p) ** 3) * np.log(p)).mean() for p in (e_s, 1 - e_t)]
    assert float(terms["weak"]) == pytest.approx(0.7 * np.mean(focal), rel=1e-4)


@pytest.mark.parametrize("side", [0, 1])
def test_the_finest_and_the_coarsest_map_are_moved_against_the_discriminators(side):
    algorithm = attached(StrongWeak, gamma=3.0).eval()
    rows = batches(algorithm)
    terms, (f, *_, g) = algorithm.adapt(*rows, 0.0), rows[side].prediction.levels
    p = torch.sigmoid(algorithm.local(f))
    strong = ((p if side == 0 else 1 - p) ** 2).mean() / 2
    right = torch.sigmoid((1, -1)[side] * algorithm.whole(g.mean((2, 3))))
    weak = (-((1 - right) ** 3) * right.log()).mean() / 2
    for name, plain, level in (("strong", strong, f), ("weak", weak, g)):
        (reversed_,) = torch.autograd.grad(terms[name], level, retain_graph=True)
        (own,) = torch.autograd.grad(plain, level, retain_graph=True)
        assert own.any()
        torch.testing.assert_close(reversed_, -own, rtol=1e-4, atol=1e-9)
