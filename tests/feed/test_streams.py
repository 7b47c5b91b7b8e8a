"""Row numbers without end: every row as often as it should be, resumed exactly."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from dalib.core.errors import DalibError
from dalib.feed.streams import EpisodeStream, IndexStream


def test_every_pass_visits_every_row_once() -> None:
    stream = IndexStream(10, 4, seed=0)
    drawn = torch.cat([stream.next() for _ in range(10)])
    passes = drawn.view(4, 10)
    assert all(sorted(p.tolist()) == list(range(10)) for p in passes)
    assert len({tuple(p.tolist()) for p in passes}) == 4


def test_a_domain_smaller_than_the_batch_fills_it_from_several_passes() -> None:
    stream = IndexStream(3, 8, seed=0)
    counts = Counter(stream.next().tolist())
    assert set(counts) == {0, 1, 2} and max(counts.values()) == 3
    assert stream.passes == 2


def test_passes_count_completed_ones() -> None:
    stream = IndexStream(10, 4, seed=0)
    assert [(stream.next(), stream.passes)[1] for _ in range(6)] == [0, 0, 1, 1, 2, 2]


def test_balanced_batches_deal_classes_round_robin() -> None:
    labels = torch.tensor([0] * 30 + [1] * 3 + [2] * 7)
    stream = IndexStream(40, 6, seed=0, labels=labels)
    batches = [stream.next() for _ in range(20)]
    assert all(torch.bincount(labels[b], minlength=3).tolist() == [2, 2, 2] for b in batches)
    rows = torch.cat(batches)
    within = Counter(rows[labels[rows] == 1].tolist())
    assert set(within) == {30, 31, 32} and max(within.values()) - min(within.values()) <= 1


def test_balanced_batches_skip_classes_without_rows() -> None:
    labels = torch.tensor([0, 0, 5, 5, 5])
    assert torch.bincount(labels[IndexStream(5, 8, seed=0, labels=labels).next()]).tolist() == [4, 0, 0, 0, 0, 4]


@pytest.mark.parametrize("labels", [None, torch.arange(11) % 3], ids=["shuffle", "balanced"])
def test_a_resumed_stream_continues_exactly(labels: torch.Tensor | None, tmp_path: Path) -> None:
    stream = IndexStream(11, 4, seed=5, labels=labels)
    for _ in range(7):
        stream.next()
    torch.save(stream.state_dict(), tmp_path / "state.pt")
    expected = [stream.next() for _ in range(9)]
    resumed = IndexStream(11, 4, seed=99, labels=labels)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert all(torch.equal(a, resumed.next()) for a in expected)
    assert resumed.passes == stream.passes


def test_the_seed_decides_the_order_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    a, b, c = (IndexStream(50, 50, seed).next() for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(before, torch.get_rng_state())


def test_an_empty_domain_is_refused() -> None:
    with pytest.raises(DalibError, match="a domain without images cannot be trained on"):
        IndexStream(0, 4, seed=0)


def test_an_episode_has_one_origin_and_equally_many_rows_of_some_of_its_classes() -> None:
    rng = np.random.default_rng(0)
    y, origin = torch.from_numpy(rng.integers(5, size=300)), torch.from_numpy(rng.integers(3, size=300))
    stream = EpisodeStream(y, origin, 4, 6, seed=0)
    turns = []
    for _ in range(9):
        rows = stream.next()
        turns.append(int(origin[rows][0]))
        assert len({*rows.tolist()}) == 24 and (origin[rows] == turns[-1]).all()
        assert sorted(y[rows].bincount(minlength=5).tolist()) == [0, 6, 6, 6, 6]
    assert all(sorted(turns[i : i + 3]) == [0, 1, 2] for i in (0, 3, 6))
    again = EpisodeStream(y, origin, 4, 6, seed=5)
    again.load_state_dict(stream.state_dict())
    assert all(torch.equal(stream.next(), again.next()) for _ in range(5))
