"""Prototypical: Prototypical networks: episodes drawn from one source domain at a time, prototypes of the target."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

import dalib
from dalib.core.types import Task
from tests.support.few_rows import K, few_task, reached, seen_origins, train


@pytest.mark.parametrize("prior", [0.0, 2.0])
def test_prototypes_are_the_targets_means_and_the_sources_where_it_has_no_row(prior: float) -> None:
    task = few_task(3, sources=2)
    keep = (task.labelled.origin < 2) | (task.labelled.labels > 0)
    labelled = task.labelled.take(np.flatnonzero(keep), "no target row of class 0")
    fitted = train(
        "Prototypical",
        Task("t", labelled, task.target, task.validation, task.test, "semi_supervised"),
        steps=3,
        prior=prior,
    )
    z, y, own = fitted.outputs(labelled).z.numpy(), labelled.labels, labelled.origin == 2
    for k in range(K):
        m_s, mine = z[~own & (y == k)].mean(0), own & (y == k)
        n = mine.sum()
        expected = (z[mine].sum(0) + prior * m_s) / (n + prior) if n else m_s
        np.testing.assert_allclose(fitted.algorithm.prototypes[k].numpy(), expected, rtol=1e-4, atol=1e-5)
    d = ((z[:, None] - fitted.algorithm.prototypes.numpy()) ** 2).sum(2)
    np.testing.assert_allclose(
        fitted.outputs(labelled).logits.softmax(1).numpy(), softmax(-d, axis=1), rtol=1e-3, atol=1e-6
    )


def test_prototypes_of_one_row_per_class_beat_source_and_target_rows_together() -> None:
    means = {n: np.mean([reached(n, 1, seed, steps=100) for seed in range(3)]) for n in ("Prototypical", "SourceOnly")}
    assert means["Prototypical"] > means["SourceOnly"] + 0.1


def test_episodes_come_from_one_source_each() -> None:
    assert all(s in [(0,), (1,)] for s in seen_origins("Prototypical"))


def test_its_batches_hold_no_rows_of_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    plain = dalib.Prototypical.adapt
    monkeypatch.setattr(
        dalib.Prototypical, "adapt", lambda self, s, t, p: (seen.append(len(t)), plain(self, s, t, p))[1], raising=False
    )
    train("Prototypical", few_task(1, sources=2), steps=3)
    assert seen == [0, 0, 0]
