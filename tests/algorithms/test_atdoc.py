"""ATDOC: Auxiliary target domain-oriented classifier: neighbourhood aggregation (NA) or nearest centroid (NC)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from dalib.core.types import Domain, Target
from tests.support.algorithms import (
    DIM,
    K,
    array,
    attached,
    batch,
    check_refusal,
    check_state_moves_while_training_only,
    softmax,
)
from tests.support.shifts import check_its_estimator_beats_source_only


@pytest.mark.parametrize("hparams", [{}, {"mode": "centroids"}])
def test_a_method_beats_source_only_on_its_shift(hparams: dict[str, Any]) -> None:
    check_its_estimator_beats_source_only("ATDOC", hparams)


def with_memory(n: int = 20, **hparams: Any) -> Any:
    algorithm = attached("ATDOC", **hparams)
    x = np.zeros((n, DIM), np.float32)
    algorithm.begin_epoch(None, Domain("target", x, None, ("a", "b", "c"), ""))  # type: ignore[arg-type]
    return algorithm


def rows_of(target: Target, index: list[int]) -> Target:
    return Target(target.x, torch.tensor(index), target.z, target.logits)


def test_atdoc_labels_rows_by_the_votes_of_a_memory_that_grows() -> None:
    algorithm = with_memory(neighbours=3, weight=0.5)
    z, q = np.zeros((20, DIM)), np.zeros((20, K))
    for seed, index in enumerate(([3, 1, 7, 0, 12, 15, 4], [19, 2, 3, 7, 5, 6, 8], [3, 4, 5, 9, 10, 11, 13])):
        source, target = batch(seed=seed)
        term = algorithm.loss(source, rows_of(target, index), 0.5)["pseudo_labels"]
        g, z[index] = array(target.logits), array(target.z)
        p = softmax(g)
        q[index] = p**2 / (p**2).sum(0)
        total = weights = 0.0
        for row, i in enumerate(index):
            cosine = [z[i] @ z[j] / (np.linalg.norm(z[i]) * np.linalg.norm(z[j]) + 1e-30) for j in range(20)]
            stored = sorted((j for j in range(20) if q[j].any() and j != i), key=lambda j: -cosine[j])
            vote = q[stored[:3]].mean(0)
            total -= vote.max() * math.log(p[row, vote.argmax()])
            weights += vote.max()
        assert term.item() == pytest.approx(0.5 * 0.5 * total / weights, abs=1e-5)
    np.testing.assert_allclose(array(algorithm.memory_p), q, atol=1e-6)


def test_atdoc_takes_the_batch_for_its_memory_before_training_begins() -> None:
    source, target = batch()
    fresh, begun = attached("ATDOC"), with_memory()
    assert "memory_z" not in fresh.state_dict()
    first, second = (a.loss(source, target, 1.0)["pseudo_labels"] for a in (fresh, begun))
    torch.testing.assert_close(first, second)
    assert "memory_z" not in fresh.state_dict()


def test_atdocs_memory_is_kept_between_passes_and_in_the_state() -> None:
    first, second = with_memory(), attached("ATDOC")
    first.loss(*batch(), 1.0)
    kept = first.memory_z.clone()
    first.begin_epoch(None, Domain("target", np.zeros((20, DIM), np.float32), None, ("a", "b", "c"), ""))
    assert torch.equal(first.memory_z, kept)
    second.load_state_dict(first.state_dict())
    terms = [a.eval().loss(*batch(seed=1), 1.0)["pseudo_labels"] for a in (first, second)]
    assert torch.equal(terms[0], terms[1])
    assert torch.equal(first.memory_z, kept)


def test_atdoc_labels_rows_by_the_nearest_centroid() -> None:
    algorithm = attached("ATDOC", mode="centroids", rate=0.1, weight=0.5)
    centroids: dict[int, np.ndarray] = {}
    for seed in range(3):
        source, target = batch(seed=seed)
        z, g = array(target.z), array(target.logits)
        for k in sorted(set(g.argmax(1).tolist())):
            mean = z[g.argmax(1) == k].mean(0)
            centroids[k] = 0.9 * centroids[k] + 0.1 * mean if k in centroids else mean
        losses = []
        for row, p in zip(z, softmax(g), strict=True):
            cosine = {k: row @ c / np.linalg.norm(row) / np.linalg.norm(c) for k, c in centroids.items()}
            losses.append(-math.log(p[max(cosine, key=lambda k: cosine[k])]))
        term = algorithm.loss(source, target, 0.4)["pseudo_labels"]
        assert term.item() == pytest.approx(0.5 * 0.4 * np.mean(losses), abs=1e-5)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"mode": "neighbors"}, "did you mean 'neighbours'"),
        ({"neighbours": 0}, "atdoc.neighbours = 0"),
        ({"rate": 1.5}, "atdoc.rate = 1.5 is out of range; give a number in (0, 1]"),
    ],
)
def test_hyper_parameters_out_of_range_name_thing_value_and_remedy(hparams: Any, message: str) -> None:
    check_refusal("ATDOC", hparams, message)


def test_a_class_that_was_never_predicted_is_nobodys_nearest() -> None:
    """Its centroid, still at the origin, has a cosine of 0; those of the others may be below that, or not."""
    for sign in (1.0, -1.0):
        algorithm = attached("ATDOC", mode="centroids", weight=1.0)
        source, target = batch()
        logits = target.logits.detach().clone()
        logits[:, 2] = -50.0
        z = sign * target.z.detach().abs() * torch.where(logits.argmax(1) == 0, 1.0, -1.0)[:, None]
        z[0] = -z[0]  # far from its own centroid
        term = algorithm.adapt(source, Target.of(z, logits), 1.0)["pseudo_labels"]
        assert term.item() < 25, "the cross-entropy of class 2 would be some 50 a row"


def test_centroids_move_while_training_only() -> None:
    check_state_moves_while_training_only("ATDOC", mode="centroids")
