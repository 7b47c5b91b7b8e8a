"""CoTuning: Co-tuning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

import dalib
from dalib.checks.world import K, attached, batches
from tests.support.old_heads import (
    OLD,
    check_a_frozen_backbones_head_takes_its_features,
    check_it_learns_and_drops_the_old_head,
    check_without_a_pretrained_head_one_line_says_which_backbones_have_one,
)


def test_co_tunings_loss_is_the_cross_entropy_to_the_relationships_rows() -> None:
    algorithm = attached(dalib.CoTuning, weight=0.7)
    algorithm.begin()
    source, target = batches(algorithm)
    R = softmax(np.random.default_rng(1).standard_normal((K, OLD)), axis=1)
    algorithm.relationship = torch.from_numpy(R).float()
    terms = algorithm.loss(source, target, 0.0)
    g = algorithm.old_head(source.z).detach().numpy()
    expected = -(R[source.y.numpy()] * log_softmax(g, axis=1)).sum(1).mean()
    assert terms["co_tuning"].item() == pytest.approx(0.7 * expected, rel=1e-5)


def test_it_learns_and_drops_the_old_head() -> None:
    check_it_learns_and_drops_the_old_head("CoTuning")


def test_without_a_pretrained_head_one_line_says_which_backbones_have_one() -> None:
    check_without_a_pretrained_head_one_line_says_which_backbones_have_one("CoTuning")


def test_a_frozen_backbones_head_takes_its_features() -> None:
    check_a_frozen_backbones_head_takes_its_features("CoTuning")


def test_before_a_fit_the_source_loss_is_all_there_is() -> None:
    algorithm = attached(dalib.CoTuning)
    assert {*algorithm.loss(*batches(algorithm), 0.0)} == {"classification"}
    algorithm.relationship = torch.ones(K, OLD)
    assert "relationship" in algorithm.state_dict(), "checkpoints hold it"
