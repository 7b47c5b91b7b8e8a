"""Templates from sure rows, against the steps of the paper in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from dalib.nn.templates import adjust_templates


@pytest.mark.parametrize("count", [1, 3, 0])
def test_templates_are_sums_of_the_surest_rows_of_each_class(count: int) -> None:
    g = torch.Generator().manual_seed(0)
    weight, bias, z = torch.randn(3, 4, generator=g), torch.randn(3, generator=g), torch.randn(30, 4, generator=g)
    rows = np.concatenate([weight.numpy(), z.numpy()])
    logits = rows @ weight.numpy().T + bias.numpy()
    unsure = [entropy(p) for p in softmax(logits.astype(float), axis=1)]
    expected = []
    for k in range(3):
        own = sorted((i for i in range(33) if logits[i].argmax() == k), key=lambda i: unsure[i])
        total = sum(rows[i] / np.linalg.norm(rows[i]) for i in (own[:count] if count else own))
        expected.append(total / np.linalg.norm(total))
    np.testing.assert_allclose(adjust_templates(weight, bias, z, count), np.stack(expected), atol=1e-5)


def test_a_class_that_no_row_is_called_keeps_the_heads_weight() -> None:
    weight, bias = torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([0.0, -100.0])
    found = adjust_templates(weight, bias, torch.tensor([[1.0, 1.0]]), 5)
    torch.testing.assert_close(found[1], torch.tensor([0.0, 1.0]))
