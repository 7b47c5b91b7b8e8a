"""Contrasts with stored rows of each class against plain loops."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor

from dalib.nn.contrastive import contrast_head_and_rows, contrast_with_classes, extend_by_one, push_rows
from tests.support.tensors import randn, tensors, unit_rows


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def test_the_contrast_is_a_mean_over_keys_of_the_own_class() -> None:
    own, stored = unit(randn(4, 3))[:, 0], randn(4, 3, 2, seed=1)
    filled = torch.tensor([[True, True], [True, False], [False, False]])
    y = torch.tensor([0, 1, 2, 0])
    total = 0.0
    for i in range(4):
        keys = [(float(own[i]), True)]
        keys += [(float(stored[i, k, j]), k == int(y[i])) for k in range(3) for j in range(2) if filled[k, j]]
        below = math.log(sum(math.exp(s / 0.3) for s, _ in keys))
        positive = [s / 0.3 - below for s, is_own in keys if is_own]
        total -= sum(positive) / len(positive) / 4
    assert float(contrast_with_classes(own, stored, filled, y, 0.3)) == pytest.approx(total, abs=1e-8)
    assert float(contrast_with_classes(own.float(), stored.float(), filled, y, 0.3)) == pytest.approx(total, abs=1e-4)
    leaves = own.requires_grad_(), stored.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: contrast_with_classes(a, b, filled, y, 0.3), leaves)


def test_an_empty_store_leaves_nothing_to_contrast() -> None:
    own = torch.ones(3, requires_grad=True)
    value = contrast_with_classes(
        own, torch.zeros(3, 2, 4), torch.zeros(2, 4, dtype=torch.bool), torch.zeros(3).long(), 0.07
    )
    value.backward()
    assert float(value.detach()) == 0 and own.grad is not None and own.grad.isfinite().all()


def test_the_queue_is_a_deque_per_class() -> None:
    K, n, d = 3, 4, 2
    queue, reference = torch.zeros(K, n, d), [deque([(0.0, 0.0)] * n, maxlen=n) for _ in range(K)]
    g = torch.Generator().manual_seed(0)
    for size in (5, 1, 7, 16, 3):
        rows, y = torch.randn(size, d, generator=g), torch.randint(0, 2 if size == 7 else K, (size,), generator=g)
        if size == 16:
            y[:9] = 1
        kept = [[tuple(r) for r, c in zip(rows.tolist(), y.tolist(), strict=True) if c == k] for k in range(K)]
        for k in range(K):
            reference[k] = deque([*kept[k], *reference[k]][:n], maxlen=n)
        queue = push_rows(queue, rows, y)
        assert queue.is_contiguous()
        assert torch.equal(queue, torch.tensor([list(r) for r in reference]))


def test_a_one_is_appended_before_the_length_is_taken() -> None:
    z = np.random.default_rng(0).normal(size=(5, 3))
    expected = unit_rows(np.concatenate([z, np.ones((5, 1))], 1))
    np.testing.assert_allclose(extend_by_one(torch.from_numpy(z)), expected, atol=1e-12)


def test_the_contrasts_of_head_and_rows_are_those_of_loops() -> None:
    rng, y, temperature = np.random.default_rng(0), np.array([0, 2, 2, 1]), 0.3
    h, w, q, u = (unit_rows(rng.normal(size=s)) for s in ((4, 3), (3, 3), (4, 2), (4, 2)))
    queue = np.concatenate([unit_rows(rng.normal(size=(3, 2, 3))), unit_rows(rng.normal(size=(3, 2, 2)))], 2)
    queue[1, 1] = queue[0] = 0
    of_head, of_rows = [], []
    for i in range(4):
        for out, own, query, part in (
            (of_head, h[i] @ w[y[i]], w[y[i]], slice(3)),
            (of_rows, q[i] @ u[i], q[i], slice(3, 5)),
        ):
            stored = [(k, row[part] @ query) for k in range(3) for row in queue[k] if row.any()]
            log_p = log_softmax(np.array([own, *(s for _, s in stored)]) / temperature)
            out.append(-np.mean([log_p[0], *(v for (k, _), v in zip(stored, log_p[1:], strict=True) if k == y[i])]))
    found = contrast_head_and_rows(*tensors(h, q, w, u, queue, y), temperature)
    np.testing.assert_allclose([float(v) for v in found], [np.mean(of_head), np.mean(of_rows)], atol=1e-10)
