"""Information maximisation against SciPy's entropy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy

from dalib.nn.entropy import information_maximisation, prediction_entropy


def logits(B: int = 9, K: int = 4) -> torch.Tensor:
    return 3 * torch.randn(B, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


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


def test_a_class_nobody_predicts_stays_finite() -> None:
    x = torch.tensor([[1e4, 0.0, -1e4]] * 6, requires_grad=True)
    value = information_maximisation(x)
    value.backward()
    assert value.isfinite() and x.grad is not None and x.grad.isfinite().all()


def test_bfloat16_logits_are_computed_in_single_precision() -> None:
    x = logits().bfloat16()
    assert information_maximisation(x).dtype == torch.float32
    assert float(information_maximisation(x)) == pytest.approx(float(information_maximisation(x.float())), abs=1e-6)
