"""Methods that solve: where their contract is found, and what it asks of a row's importance and of a new row."""

from __future__ import annotations

import importlib

import pytest
import torch

import dalib
from dalib.core.feature_algorithm import FeatureAlgorithm


def test_older_plug_ins_find_it_where_it_was() -> None:
    older = importlib.import_module("dalib.core.algorithm")
    assert older.FeatureAlgorithm is FeatureAlgorithm is dalib.FeatureAlgorithm
    with pytest.raises(AttributeError, match="NoSuch"):
        _ = older.NoSuch


def test_by_default_rows_count_alike_and_stay_where_they_are() -> None:
    algorithm, z, y = FeatureAlgorithm(), torch.randn(5, 3).double(), torch.arange(5)
    assert torch.equal(algorithm.weigh(z, y, z), torch.ones(5).double())
    assert torch.equal(algorithm.align(z, y, z), z)
    assert torch.equal(algorithm.project(z), z)


def test_a_new_row_is_carried_where_the_nearest_one_went() -> None:
    z_s = torch.tensor([[0.0, 0.0], [10.0, 0.0]]).double()
    moved = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).double()
    new = torch.tensor([[9.0, 1.0], [-2.0, 0.5], [6.0, 0.0]]).double()
    assert torch.equal(FeatureAlgorithm().carry(new, z_s, z_s, moved), moved[[1, 0, 1]])


def test_only_what_decides_features_is_read_from_the_recipe() -> None:
    assert FeatureAlgorithm.reads_recipe() == {"crop", "resize", "precision", "channels_last"}


@pytest.mark.parametrize(("classifier", "probabilistic"), [("logistic", True), ("lda", True), ("svm", False)])
def test_distances_and_margins_are_no_probabilities(classifier: str, probabilistic: bool) -> None:
    assert FeatureAlgorithm(classifier=classifier).probabilistic is probabilistic
