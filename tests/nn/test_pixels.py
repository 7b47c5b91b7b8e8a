"""What is computed of predictions for every pixel, against loops in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from dalib.nn.pixels import (
    balanced_labels,
    charbonnier_entropy,
    draw_class_mask,
    information_map,
    weighed_cross_entropy,
)


@pytest.fixture
def prediction() -> torch.Tensor:
    return 3 * torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_information_map_is_minus_p_log_p_in_parts_of_log_k(prediction):
    p = softmax(prediction.numpy(), axis=1)
    np.testing.assert_allclose(information_map(prediction), -p * np.log2(p) / np.log2(4), rtol=1e-10)
    assert information_map(torch.zeros(1, 4, 1, 1)).sum() == pytest.approx(1)


def test_certain_pixels_have_a_finite_gradient():
    sure = torch.tensor([1000.0, 0.0, -1000.0]).view(1, 3, 1, 1).requires_grad_()
    charbonnier_entropy(sure).backward()
    assert sure.grad is not None and sure.grad.isfinite().all()


def test_the_charbonnier_entropy_is_the_authors(prediction):
    p = softmax(prediction.numpy(), axis=1)
    relative = -(p * np.log(p)).sum(1) / np.log(4)
    expected = ((relative**2 + 1e-8) ** 2.0).mean()
    assert charbonnier_entropy(prediction, 2.0) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 1.0])
def test_balanced_labels_are_those_of_the_authors_loop(prediction, part):
    p = softmax(prediction.numpy(), axis=1)
    confidence, called = p.max(1), p.argmax(1)
    thresholds = np.ones(4)
    for c in range(4):
        of_c = sorted(confidence[called == c].tolist(), reverse=True)
        count = int(np.floor(len(of_c) * part))
        if count:
            thresholds[c] = of_c[count - 1]
    weighted = p / thresholds[None, :, None, None]
    expected = np.where(weighted.max(1) < 1, 255, weighted.argmax(1))
    np.testing.assert_array_equal(balanced_labels(prediction, part), expected)


def test_every_class_gets_its_part_of_labels(prediction):
    labels, called = balanced_labels(prediction, 0.5), prediction.argmax(1)
    for c in range(4):
        assert (labels == c).sum() >= (called == c).sum() // 2
    assert (balanced_labels(prediction, 0.0) == 255).all()


def test_half_of_the_classes_of_each_picture_are_drawn_and_never_what_has_no_label():
    y = torch.randint(0, 5, (6, 8, 8), generator=torch.Generator().manual_seed(1))
    y[:, 0] = 255
    with torch.random.fork_rng():
        torch.manual_seed(3)
        mask = draw_class_mask(y)
        torch.manual_seed(3)
        assert torch.equal(mask, draw_class_mask(y))
    assert not mask[y == 255].any()
    for row, drawn in zip(y, mask, strict=True):
        classes = row[row != 255].unique()
        inside = [bool(drawn[row == c].all()) for c in classes]
        assert all(bool(drawn[row == c].any()) == whole for c, whole in zip(classes, inside, strict=True))
        assert sum(inside) == (len(classes) + 1) // 2


def test_the_weighed_cross_entropy_is_a_sum_over_all_pixels(prediction):
    rng = np.random.default_rng(2)
    y, weight = rng.integers(0, 4, (2, 5, 6)), rng.random((2, 5, 6))
    y[0, 0] = 255
    log_p, total = log_softmax(prediction.numpy(), axis=1), 0.0
    for b, i, j in np.ndindex(y.shape):
        if y[b, i, j] != 255:
            total -= weight[b, i, j] * log_p[b, y[b, i, j], i, j]
    found = weighed_cross_entropy(prediction, torch.as_tensor(y), torch.as_tensor(weight))
    assert found == pytest.approx(total / y.size, rel=1e-10)
