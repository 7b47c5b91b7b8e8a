"""Episodes: the prototypical loss against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.episodes import pick_support, prototypical_loss


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
