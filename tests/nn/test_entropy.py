"""Entropy and class confusion against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy

from dalib.nn.entropy import class_confusion, entropy, information_maximisation, prediction_entropy


def loop_confusion(logits: np.ndarray, temperature: float) -> float:
    p = softmax(logits / temperature, axis=1)
    B, K = p.shape
    w = np.array([1 + np.exp(-scipy_entropy(row)) for row in p])
    w = B * w / w.sum()
    C = np.array([[sum(w[i] * p[i, a] * p[i, b] for i in range(B)) for b in range(K)] for a in range(K)])
    C /= C.sum(1, keepdims=True)
    return (C.sum() - np.trace(C)) / K


def logits(B: int = 9, K: int = 4) -> torch.Tensor:
    return 3 * torch.randn(B, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_entropy_is_scipys_and_defined_at_zero() -> None:
    p = logits().softmax(1)
    np.testing.assert_allclose(entropy(p).numpy(), scipy_entropy(p.numpy(), axis=1), atol=1e-12)
    assert float(entropy(torch.tensor([0.0, 1.0, 0.0]))) == 0
    assert float(entropy(torch.full((8,), 1 / 8))) == pytest.approx(np.log(8))


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_class_confusion_is_the_papers_value(temperature: float) -> None:
    reference = loop_confusion(logits().numpy(), temperature)
    assert float(class_confusion(logits(), temperature)) == pytest.approx(reference, abs=1e-8)
    assert float(class_confusion(logits().float(), temperature)) == pytest.approx(reference, abs=1e-4)
    assert float(class_confusion(logits().flip(0), temperature)) == pytest.approx(reference, abs=1e-8)


def test_class_confusion_has_the_right_gradient_at_constant_weights() -> None:
    """W is constant by definition, so the reference is autograd on the plain formula, not gradcheck."""
    x = logits().requires_grad_()
    p = (x / 2.5).softmax(1)
    w = (1 + torch.exp(-torch.special.entr(p).sum(1))).detach()
    C = p.T @ torch.diag(w / w.mean()) @ p
    C = C / C.sum(1, keepdim=True)
    (reference,) = torch.autograd.grad((C.sum() - C.trace()) / 4, x)
    (gradient,) = torch.autograd.grad(class_confusion(x, 2.5), x)
    torch.testing.assert_close(gradient, reference, rtol=0, atol=1e-10)


def test_class_confusion_is_zero_for_certain_and_largest_for_uniform_predictions() -> None:
    assert float(class_confusion(1000 * torch.eye(4))) == pytest.approx(0, abs=1e-6)
    assert float(class_confusion(torch.zeros(8, 4))) == pytest.approx(3 / 4)


def test_a_class_nobody_predicts_stays_finite() -> None:
    x = torch.tensor([[1e4, 0.0, -1e4]] * 6, requires_grad=True)
    value = class_confusion(x)
    value.backward()
    assert value.isfinite() and x.grad is not None and x.grad.isfinite().all()


def test_bfloat16_logits_are_computed_in_single_precision() -> None:
    x = logits().bfloat16()
    assert class_confusion(x).dtype == torch.float32
    assert float(class_confusion(x)) == pytest.approx(float(class_confusion(x.float())), abs=1e-6)


def test_entropy_of_predictions_is_scipys() -> None:
    reference = scipy_entropy(softmax(logits().numpy(), axis=1), axis=1)
    np.testing.assert_allclose(prediction_entropy(logits()).numpy(), reference, atol=1e-10)


@pytest.mark.parametrize("diversity", [0.0, 0.5, 1.0])
def test_information_maximisation_is_mean_minus_marginal_entropy(diversity: float) -> None:
    p = softmax(logits().numpy(), axis=1)
    reference = np.mean([scipy_entropy(row) for row in p]) - diversity * scipy_entropy(p.mean(0))
    assert float(information_maximisation(logits(), diversity)) == pytest.approx(reference, abs=1e-8)
    assert float(information_maximisation(logits().float(), diversity)) == pytest.approx(reference, abs=1e-4)
    assert float(information_maximisation(logits().flip(0), diversity)) == pytest.approx(reference, abs=1e-8)


def test_the_gradient_is_right() -> None:
    assert torch.autograd.gradcheck(information_maximisation, (logits(5, 3).requires_grad_(),))


def test_certain_and_varied_predictions_are_the_smallest_value() -> None:
    assert float(information_maximisation(1000 * torch.eye(4))) == pytest.approx(-np.log(4), abs=1e-6)
    assert float(information_maximisation(torch.zeros(8, 4))) == pytest.approx(0, abs=1e-6)


def test_entropies_of_a_class_nobody_predicts_stay_finite() -> None:
    x = torch.tensor([[1e4, 0.0, -1e4]] * 6, requires_grad=True)
    value = information_maximisation(x)
    value.backward()
    assert value.isfinite() and x.grad is not None and x.grad.isfinite().all()


def test_entropies_of_bfloat16_logits_are_computed_in_single_precision() -> None:
    x = logits().bfloat16()
    assert information_maximisation(x).dtype == torch.float32
    assert float(information_maximisation(x)) == pytest.approx(float(information_maximisation(x.float())), abs=1e-6)
