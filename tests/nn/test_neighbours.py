"""Nearest rows and agreement of predictions, against loops in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.neighbours import agreement, dispersion, nearest_rows


def test_nearest_rows_are_those_of_the_largest_inner_product_without_the_row_itself() -> None:
    g = torch.Generator().manual_seed(0)
    memory, own = torch.randn(9, 4, generator=g), torch.tensor([3, 0, 8])
    found = nearest_rows(memory[own], memory, own, 4)
    for i, row in enumerate(own.tolist()):
        order = [j for j in np.argsort(-(memory.numpy() @ memory[row].numpy()), kind="stable") if j != row]
        assert found[i].tolist() == order[:4]


def test_nearest_rows_of_nearest_rows_leave_each_out_of_its_own() -> None:
    memory = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    near = nearest_rows(memory[:2], memory, torch.tensor([0, 1]), 3)
    further = nearest_rows(memory[near], memory, near, 2)
    assert further.shape == (2, 3, 2)
    for row, others in zip(near.flatten().tolist(), further.flatten(0, 1).tolist(), strict=True):
        assert row not in others


def test_a_memory_of_few_rows_gives_all_the_others() -> None:
    memory = torch.eye(3)
    assert sorted(nearest_rows(memory[:1], memory, torch.tensor([0]), 5)[0].tolist()) == [1, 2]


def test_agreement_and_dispersion_are_sums_of_inner_products() -> None:
    g = torch.Generator().manual_seed(2)
    p, q, w = torch.rand(5, 3, generator=g), torch.rand(5, 4, 3, generator=g), torch.rand(5, 4, generator=g)
    pn, qn, wn = p.numpy(), q.numpy(), w.numpy()
    expected = np.mean([sum(wn[i, k] * pn[i] @ qn[i, k] for k in range(4)) for i in range(5)])
    assert agreement(p, q, w).item() == pytest.approx(expected, rel=1e-5)
    plain = np.mean([sum(pn[i] @ qn[i, k] for k in range(4)) for i in range(5)])
    assert agreement(p, q).item() == pytest.approx(plain, rel=1e-5)
    apart = np.mean([sum(pn[i] @ pn[m] for m in range(5) if m != i) for i in range(5)])
    assert dispersion(p).item() == pytest.approx(apart, rel=1e-5)
