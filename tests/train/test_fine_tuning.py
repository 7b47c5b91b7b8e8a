"""What the trainer says of backbones that it cannot train as they are."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest

import dalib
from tests.support.image_world import make_backbone
from tests.support.strategies import train


@pytest.mark.parametrize(("batch_norm", "warned"), [("train", True), ("reestimate", False), ("eval", False)])
def test_folded_batch_norms_in_training_mode_are_warned_of(batch_norm: str, warned: bool) -> None:
    folded = replace(make_backbone(), batch_norm_folded=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(dalib.SourceOnly(), folded, steps=1, batch_norm=batch_norm)
    assert any("batch_norm = 'reestimate'" in str(w.message) for w in caught) == warned
