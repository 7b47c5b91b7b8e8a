"""Rare-class sampling against the formula, its share of pictures, and its state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dalib.core.errors import DalibError
from dalib.feed.rare_classes import RareClassStream, rare_class_chances


def test_chances_are_the_softmax_of_one_minus_the_frequency_over_a_hundredth():
    pixels = np.array([900.0, 80.0, 20.0])
    scores = (1 - pixels / pixels.sum()) / 0.01
    expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    np.testing.assert_allclose(rare_class_chances(torch.tensor(pixels)), expected, rtol=1e-12)


def masks() -> torch.Tensor:
    """Ten pictures of 10 x 10: class 1 in the first five, class 2, of fewer pixels, in two; class 3 nowhere."""
    y = torch.zeros(10, 10, 10, dtype=torch.uint8)
    y[:5, :2] = 1
    y[[1, 7], 5, :5] = 2
    y[:, 9] = 255
    return y


def test_pictures_come_for_a_class_that_they_show():
    stream = RareClassStream(masks(), 4, 500, seed=0)
    assert stream.present.tolist() == [0, 1, 2]
    rows = torch.cat([stream.next() for _ in range(8)])
    share = rare_class_chances(torch.tensor([10 * 90 - 110, 100, 10]))
    shows = torch.bincount(rows, minlength=10) / len(rows)
    assert float(shows[[1, 7]].sum()) == pytest.approx(float(share[2] + share[1] / 5 + share[0] / 5), abs=0.03)
    assert stream.drawn == 4000 and stream.passes == 400


def test_a_stream_goes_on_where_it_was_saved():
    stream, other = (RareClassStream(masks(), 4, 6, seed=s) for s in (1, 2))
    stream.next()
    other.load_state_dict(stream.state_dict())
    assert torch.equal(stream.next(), other.next())


def test_a_class_that_has_few_pixels_everywhere_is_drawn_from_wherever_it_is():
    y = torch.zeros(3, 40, 40, dtype=torch.uint8)
    y[2, 0, 0] = 1
    stream = RareClassStream(y, 2, 4, seed=0)
    assert stream.pictures[1].tolist() == [2]


def test_masks_without_any_label_are_refused():
    with pytest.raises(DalibError, match="no pixel of the labelled pictures has a label"):
        RareClassStream(torch.full((2, 4, 4), 255, dtype=torch.uint8), 3, 2, seed=0)
