"""Splits of image domains: the rows of a copy, without the copy."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dalib.algorithms._labelled_target import balance
from dalib.algorithms.mmd import MMD
from dalib.core.backbone import Backbone, Preprocess
from dalib.core.rows import RowView, row_shape, stack_rows, take_rows
from dalib.core.splits import concatenate
from dalib.core.types import Domain, Task
from dalib.data.catalog import load_data
from dalib.data.loaded import LoadedData
from dalib.data.tasks import make_task
from dalib.feed import batches
from dalib.feed.batches import DomainStore
from dalib.feed.embed import embed_domain, embed_images
from dalib.feed.placement import RESIDENTS, Pieces
from dalib.train.config import TrainConfig
from dalib.train.trainer import Trainer
from tests.support.image_sets import TWO_DOMAINS, members, write_folder

CPU, FAR = torch.device("cpu"), torch.device("meta")
SIDE, CROP, N = 20, 16, 12
MODES = ("none", "flip", "standard", "strong")
SETTINGS: dict[str, dict[str, Any]] = {
    "uda": {},
    "no validation": {"validation": 0.0},
    "holdout": {"holdout": 0.3},
    "few source rows": {"source_per_class": 3},
    "few target rows": {"protocol": "semi_supervised", "shots": 2},
    "few target rows, holdout": {"protocol": "semi_supervised", "shots": 1, "holdout": 0.3},
    "supervised": {"protocol": "supervised"},
    "supervised, few": {"protocol": "supervised", "shots": 2, "split": "shots"},
    "partial": {"target_classes": ["cat"]},
}


def mapped(path: Path, seed: int, n: int = N) -> np.ndarray:
    """A memory map of n images; no two rows are alike."""
    np.save(path, np.random.default_rng(seed).integers(0, 256, (n, 3, SIDE, SIDE), dtype=np.uint8))
    return np.asarray(np.load(path, mmap_mode="r"))


@pytest.fixture
def maps(tmp_path: Path) -> list[np.ndarray]:
    return [mapped(tmp_path / f"{i}.npy", i, N + i) for i in range(3)]


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every copy that is made of a view."""
    made: list[int] = []
    copy = RowView.__array__

    def counted(self: RowView, *how: Any, **named: Any) -> np.ndarray:
        made.append(len(self))
        return copy(self, *how, **named)

    monkeypatch.setattr(RowView, "__array__", counted)
    return made


def domain(x: np.ndarray | RowView, name: str = "a") -> Domain:
    return Domain(name, x, np.arange(len(x)) % 2, ("cat", "dog"), name, tuple(f"{name}{i}" for i in range(len(x))))


def store(x: np.ndarray | RowView, device: torch.device = CPU, **how: Any) -> DomainStore:
    return DomainStore(domain(x), Preprocess(SIDE, CROP), device, **how)


def bases(found: Domain) -> Iterator[np.ndarray]:
    """The arrays that a domain's rows lie in."""
    yield from found.x.bases if isinstance(found.x, RowView) else [found.x]


@pytest.mark.parametrize(
    "index",
    [
        np.array([7, 0, 3, 3, 11]),
        np.arange(N) % 3 == 1,
        np.array([], np.int64),
        slice(2, 9, 3),
        [-1, 4],
    ],
    ids=["unsorted, repeated", "mask", "none", "slice", "list"],
)
def test_a_view_holds_the_rows_that_an_array_would(maps: list[np.ndarray], index: Any) -> None:
    view = take_rows(maps[0], index)
    expected = maps[0][index]
    assert isinstance(view, RowView) and len(view) == len(expected)
    assert (view.shape, view.dtype, view.ndim) == (expected.shape, expected.dtype, 4)
    np.testing.assert_array_equal(np.asarray(view), expected)
    assert np.asarray(view, np.float32).dtype == np.float32
    assert all(np.array_equal(row, other) for row, other in zip(view, expected, strict=True))
    assert view.bases[0] is maps[0]


def test_views_of_views_are_views_of_the_array(maps: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    first, mask, last = rng.permutation(N)[:9], rng.random(9) < 0.6, [2, 0, 0]
    view = take_rows(take_rows(take_rows(maps[0], first), mask), np.array(last))
    assert isinstance(view, RowView)
    np.testing.assert_array_equal(np.asarray(view), maps[0][first][mask][last])
    assert len(view.bases) == 1 and view.bases[0] is maps[0]


def test_a_domain_keeps_labels_names_and_fingerprint_beside_its_view(maps: list[np.ndarray]) -> None:
    index = np.array([5, 1, 1, 8])
    part = domain(maps[0]).take(index, "note")
    assert part.labels.tolist() == [1, 1, 1, 0] and part.files == ("a5", "a1", "a1", "a8")
    assert part.fingerprint == "a:note" and part.is_images and len(part) == 4 and part.origin.tolist() == [0] * 4
    masked = domain(maps[0]).take(np.arange(N) > 9, "note")
    assert masked.files == ("a10", "a11") and masked.labels.tolist() == [0, 1]
    assert row_shape(part.x).shape == (3, SIDE, SIDE)


def test_rows_of_other_kinds_are_copied_as_ever() -> None:
    x = np.arange(12.0).reshape(6, 2)
    part = take_rows(x, np.array([4, 0]))
    assert isinstance(part, np.ndarray) and part.tolist() == [[8, 9], [0, 1]] and not np.shares_memory(part, x)
    joined = stack_rows([x, x[:1]])
    assert isinstance(joined, np.ndarray) and joined.shape == (7, 2)


def test_joined_domains_are_a_view_of_all_their_arrays(maps: list[np.ndarray]) -> None:
    a, b, c = (domain(x, name) for x, name in zip(maps, "abc", strict=True))
    index = np.array([9, 2, 4])
    joined = concatenate([a.take(index, "some"), b, concatenate([c, a])])
    expected = np.concatenate([maps[0][index], maps[1], maps[2], maps[0]])
    assert isinstance(joined.x, RowView) and joined.x.shape == expected.shape
    np.testing.assert_array_equal(np.asarray(joined.x), expected)
    np.testing.assert_array_equal(joined.x[20], expected[20])
    order = np.random.default_rng(0).permutation(len(joined))
    np.testing.assert_array_equal(np.asarray(joined.take(order, "mixed").x), expected[order])
    assert [list(map(id, bases(joined.take(rows, "part")))) for rows in (np.arange(3), np.arange(3, 5), [])] == [
        [id(maps[0])],
        [id(maps[1])],
        [id(maps[0])],
    ], "arrays without a row left are let go"


@pytest.mark.parametrize("augment", MODES)
@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_batches_equal_those_of_a_copy_bit_for_bit(maps: list[np.ndarray], augment: str, jitter: float) -> None:
    index, batch = np.array([10, 3, 7, 0, 3]), torch.tensor([4, 0, 3, 3, 1])
    one, several = take_rows(maps[0], index), stack_rows([take_rows(x, index) for x in maps])
    for view, rows in ((one, batch), (several, torch.tensor([14, 0, 7, 7, 3, 11]))):
        found, expected = (
            store(x).batch(rows, augment=augment, jitter=jitter, generator=torch.Generator().manual_seed(1))
            for x in (view, np.asarray(view))
        )
        assert len(store(view)) == len(view) and torch.equal(found, expected)


def test_a_store_reads_the_map_in_place(maps: list[np.ndarray], copies: list[int]) -> None:
    one, several = store(take_rows(maps[0], np.arange(3))), store(stack_rows(maps))
    assert isinstance(one.x, torch.Tensor) and one.x.data_ptr() == maps[0].ctypes.data
    assert isinstance(several.x, Pieces)
    assert [part.data_ptr() for part in several.x.parts] == [x.ctypes.data for x in maps]
    one.batch(torch.arange(2)), several.batch(torch.arange(2))
    assert not copies


def test_an_empty_view_gives_empty_batches(maps: list[np.ndarray]) -> None:
    empty = store(take_rows(maps[0], np.array([], np.int64)))
    assert len(empty) == 0 and empty.batch(torch.zeros(0, dtype=torch.int64)).shape == (0, 3, CROP, CROP)


def test_pieces_are_picked_in_the_order_asked_for(maps: list[np.ndarray]) -> None:
    view = stack_rows([take_rows(x, np.array([8, 1, 5])) for x in maps])
    pieces, index = store(view).x, torch.tensor([8, 0, 3, 3, 1])
    assert isinstance(pieces, Pieces)
    np.testing.assert_array_equal(pieces.pick(index, CPU).numpy(), np.asarray(view)[index.numpy()])


def test_on_a_device_all_splits_share_one_copy_of_the_array(
    maps: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "cut_and_normalise", lambda x, index, *_: x.index_select(0, index.to(x.device)))
    budget = 1 << 30
    train, test = (store(take_rows(maps[0], np.arange(i, N, 2)), FAR, budget=budget) for i in (0, 1))
    assert isinstance(train.x, torch.Tensor) and train.x.device == FAR and train.x is test.x
    both = store(stack_rows([take_rows(maps[0], np.arange(4)), maps[1]]), FAR, budget=budget)
    assert isinstance(both.x, Pieces) and both.x.parts[0] is train.x and both.x.parts[1].device == FAR
    for found in (train, both):
        batch = found.batch(torch.tensor([2, 0, 5]), augment="standard", generator=torch.Generator())
        assert batch.device == FAR and batch.shape == (3, 3, SIDE, SIDE)
    near = store(take_rows(maps[2], np.arange(4)), FAR, budget=maps[2].nbytes - 1)
    assert isinstance(near.x, torch.Tensor) and near.x.device == CPU, "the array counts, not the rows picked"
    assert near.batch(torch.tensor([3, 0])).device == FAR
    assert [key[0] for key in RESIDENTS._kept if key[0] in set(map(id, maps))] == [id(maps[0]), id(maps[1])]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_views_and_copies_give_the_same_images_without_waiting(maps: list[np.ndarray]) -> None:
    device, index = torch.device("cuda"), torch.tensor([3, 0, 8, 3])
    views = take_rows(maps[0], np.arange(N)[::-1]), stack_rows([take_rows(x, np.array([8, 1, 5])) for x in maps])
    for view, budget, mode in ((v, b, m) for v in views for b in (0, 1 << 30) for m in MODES):
        found = []
        for x in (view, np.asarray(view)):
            on = store(x, device, budget=budget)
            on.batch(index, augment=mode, generator=torch.Generator().manual_seed(0))
            torch.cuda.set_sync_debug_mode("error")
            try:
                found.append(on.batch(index, augment=mode, generator=torch.Generator().manual_seed(0)))
            finally:
                torch.cuda.set_sync_debug_mode("default")
        assert torch.equal(*found)


def test_a_pickled_view_holds_its_own_rows_only(maps: list[np.ndarray]) -> None:
    part = concatenate([domain(maps[0]).take(np.array([4, 2]), "some"), domain(maps[1], "b").take(np.array([0]), "b")])
    content = pickle.dumps(part)
    assert len(content) < 4 * 3 * SIDE * SIDE + 2000
    again = pickle.loads(content)
    assert isinstance(again.x, RowView) and again.fingerprint == part.fingerprint and again.files == part.files
    np.testing.assert_array_equal(np.asarray(again.x), np.asarray(part.x))


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone("small", module, 6, [module], Preprocess(SIDE, CROP))


def test_features_of_a_split_are_those_of_a_copy(
    maps: list[np.ndarray], backbone: Backbone, copies: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path / "cache"))
    part = domain(maps[0]).take(np.array([7, 7, 2]), "some")
    found = embed_domain(backbone, part, CPU)
    assert not copies and isinstance(found.x, np.ndarray)
    copied = replace(part, x=np.asarray(part.x))
    np.testing.assert_array_equal(found.x, embed_images(backbone, copied, CPU))
    backbone.module.register_forward_hook(lambda *_: pytest.fail("the features are in the cache"))
    again = embed_domain(backbone, copied, CPU)
    assert again.fingerprint == found.fingerprint


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedData:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path / "cache"))
    drawn = members({**TWO_DOMAINS, "clip": {"cat": 5, "dog": 6}})
    return load_data("image_folder", write_folder(tmp_path / "images", drawn))


@pytest.mark.parametrize("source", ["photo", "clip+photo"])
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_no_protocol_copies_pixels(data: LoadedData, source: str, setting: dict[str, Any], copies: list[int]) -> None:
    """Every part of a task lies in the decoded arrays, and its rows are the named files' pixels."""
    task = make_task(data, source, "sketch", resize=SIDE, seed=1, **setting)
    whole = {name: data.domain(name, SIDE) for name in data.domains}
    at = {file: (d.x, i) for d in whole.values() for i, file in enumerate(d.files)}
    known = {id(base) for d in whole.values() for base in bases(d)}
    for part in (task.labelled, task.target, task.validation, task.test):
        assert {id(base) for base in bases(part)} <= known
        assert not copies
        for i, file in enumerate(part.files):
            x, row = at[file]
            np.testing.assert_array_equal(part.x[i], x[row])
    assert len(task.labelled) and len(task.test)


def test_a_class_that_is_left_out_leaves_a_view(data: LoadedData) -> None:
    task = make_task(data, "photo", "sketch", resize=SIDE, target_classes=["dog"])
    assert isinstance(task.test.x, RowView) and len(task.test) == TWO_DOMAINS["sketch"]["dog"]


def copied(task: Task) -> Task:
    parts = {k: getattr(task, k) for k in ("labelled", "target", "validation", "test")}
    return replace(task, **{k: replace(d, x=np.array(d.x)) for k, d in parts.items()})


@pytest.mark.parametrize("protocol", ["uda", "semi_supervised"])
def test_a_descent_makes_no_copy_and_gives_the_same_network(
    data: LoadedData, backbone: Backbone, copies: list[int], protocol: str
) -> None:
    task = make_task(data, "clip+photo", "sketch", resize=SIDE, protocol=protocol, shots=2)
    same, start = copied(task), {k: v.clone() for k, v in backbone.module.state_dict().items()}
    copies.clear()
    recipe = TrainConfig(steps=6, batch_size=6, bottleneck=4, lr=0.05, augment="standard", evaluations=2)
    logits = []
    for t in (task, same):
        backbone.module.load_state_dict(start)
        fitted = Trainer(recipe, device="cpu").fit(MMD(), t, backbone)
        logits += [fitted.outputs(t.test).logits]
    assert not copies
    assert torch.equal(*logits)


def test_repeated_target_rows_are_not_copied(data: LoadedData, copies: list[int]) -> None:
    class Few:
        target_origin = 1

    task = make_task(data, "photo", "sketch", resize=SIDE, protocol="semi_supervised", shots=1, validation=0)
    even = balance(Few(), task.labelled)  # type: ignore[arg-type]
    assert (even.origin == 1).sum() == (even.origin == 0).sum() == 11 and not copies
    assert {id(b) for b in bases(even)} == {id(b) for b in bases(task.labelled)}
