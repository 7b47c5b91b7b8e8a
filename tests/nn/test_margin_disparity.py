"""Margin disparity against a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import Tensor

from dalib.nn.adversarial import margin_disparity


def logits(n: int = 7, m: int = 5, K: int = 4) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [2 * torch.randn(k, K, generator=g, dtype=torch.float64) for k in (n, m, n, m)]


def loop_disparity(g_s: np.ndarray, g_t: np.ndarray, a_s: np.ndarray, a_t: np.ndarray, margin: float) -> float:
    agree = [-np.log(softmax(a)[g.argmax()]) for g, a in zip(g_s, a_s, strict=True)]
    differ = [-np.log(1 - softmax(a)[g.argmax()]) for g, a in zip(g_t, a_t, strict=True)]
    return float(margin * np.mean(agree) + np.mean(differ))


@pytest.mark.parametrize("margin", [1.0, 4.0])
def test_margin_disparity_is_the_papers_value(margin: float) -> None:
    reference = loop_disparity(*(x.numpy() for x in logits()), margin)
    assert float(margin_disparity(*logits(), margin)) == pytest.approx(reference, abs=1e-8)
    assert float(margin_disparity(*(x.float() for x in logits()), margin)) == pytest.approx(reference, abs=1e-4)
    turned = [x.flip(0) for x in logits()]
    assert float(margin_disparity(*turned, margin)) == pytest.approx(reference, abs=1e-8)


def test_its_gradient_is_right_and_reaches_the_adversary_only() -> None:
    g_s, g_t, a_s, a_t = (x.requires_grad_() for x in logits(4, 3, 3))
    assert torch.autograd.gradcheck(lambda s, t: margin_disparity(g_s, g_t, s, t), (a_s, a_t))
    margin_disparity(g_s, g_t, a_s, a_t).backward()
    assert g_s.grad is None and g_t.grad is None


def test_an_adversary_certain_of_the_targets_class_has_a_finite_value_and_gradient() -> None:
    g = 1000 * torch.eye(3)
    a = g.clone().requires_grad_()
    value = margin_disparity(g, g, a, a)
    value.backward()
    assert value.item() == pytest.approx(1000 - np.log(2), rel=1e-5)
    assert a.grad is not None and a.grad.isfinite().all() and a.grad.abs().max() <= 1
