"""MSTN: Moving semantic transfer network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.algorithms import array, attached, batch, check_refusal, check_state_moves_while_training_only
from tests.support.shifts import check_its_estimator_beats_source_only, train_estimator, translated


def test_a_method_beats_source_only_on_its_shift() -> None:
    check_its_estimator_beats_source_only("MSTN", {"hidden": 64, "weight": 0.0, "semantic": 10.0})


def test_mstn_centroids_are_moving_means_and_wait_for_their_class() -> None:
    algorithm = attached("MSTN", semantic=2.0, decay=0.7, hidden=8)
    centroids: dict[str, dict[int, np.ndarray]] = {"s": {}, "t": {}}
    for seed in range(3):
        source, target = batch(seed=seed)
        for domain, rows, y in (("s", source, source.y), ("t", target, target.logits.argmax(1))):
            for k in sorted(set(y.tolist())):
                mean = array(rows.z)[y.numpy() == k].mean(0)
                old = centroids[domain].get(k)
                centroids[domain][k] = mean if old is None else 0.7 * old + 0.3 * mean
        term = algorithm.loss(source, target, 0.5)["semantic"]
    both = centroids["s"].keys() & centroids["t"].keys()
    distance = np.mean([((centroids["s"][k] - centroids["t"][k]) ** 2).mean() for k in both])
    assert both == {0, 1}
    assert term.item() == pytest.approx(2 * math.tanh(2.5) * distance, abs=1e-5)
    np.testing.assert_allclose(array(algorithm.centroids_s)[:2], [centroids["s"][k] for k in (0, 1)], atol=1e-5)
    assert not algorithm.centroids_s[2].any()
    gradient = torch.autograd.grad(term, (source.z, target.z))
    assert all(g.abs().max() > 0 for g in gradient)


def test_mstn_brings_the_classes_together_where_dann_alone_does_not() -> None:
    data = translated()
    plain = {"hidden": 64, "dropout": 0.0, "rate": 1.0}
    assert train_estimator("MSTN", data, **plain, semantic=10.0) > train_estimator("DANN", data, **plain) + 0.05


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"semantic": -1.0}, "semantic = -1.0"),
        ({"decay": 1.0}, "mstn.decay = 1.0 is out of range; give a number in [0, 1)"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("MSTN", hparams, message)


def test_centroids_move_while_training_only() -> None:
    check_state_moves_while_training_only("MSTN", hidden=8)
