"""ConSE against loops over rows and classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.nn.semantics import combine_semantics


def conse(logits: np.ndarray, known: np.ndarray, asked: np.ndarray, top: int) -> np.ndarray:
    """The paper's f(x) and its cosines, row by row."""
    found = np.zeros((len(logits), len(asked)))
    for i, row in enumerate(logits):
        p = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        best = np.argsort(-p)[:top]
        f = sum(p[t] * known[t] for t in best) / sum(p[t] for t in best)
        found[i] = [f @ s / np.linalg.norm(f) / np.linalg.norm(s) for s in asked]
    return found


@pytest.mark.parametrize("top", [1, 3, 7, 100])
def test_the_combination_is_that_of_the_paper(top: int) -> None:
    rng = np.random.default_rng(0)
    logits, known, asked = rng.normal(size=(9, 7)), rng.normal(size=(7, 5)), rng.normal(size=(4, 5))
    got = combine_semantics(*map(torch.as_tensor, (logits, known, asked)), top)
    np.testing.assert_allclose(got, conse(logits, known, asked, top), rtol=1e-12)


def test_a_sure_row_is_the_class_whose_name_is_nearest_to_its_own() -> None:
    logits = torch.tensor([[50.0, 0, 0], [0, 50.0, 0]]).double()
    known, asked = torch.eye(3).double(), torch.tensor([[0.1, 1, 0], [1, 0.1, 0.0]]).double()
    assert combine_semantics(logits, known, asked, 2).argmax(1).tolist() == [1, 0]
