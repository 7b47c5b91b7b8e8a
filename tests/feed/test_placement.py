"""Arrays on a device: one copy each, within a budget, gone with what they were made from."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from dalib.core.errors import DalibError
from dalib.core.types import Domain
from dalib.feed.batches import DomainStore
from dalib.feed.placement import SETTING, Residents, device_budget, send, send_rows

CPU, FAR = torch.device("cpu"), torch.device("meta")


def kib(n: int) -> np.ndarray:
    return np.zeros((n, 1024), np.uint8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("1000", 1000), ("500M", 500 << 20), ("8G", 8 << 30), ("1.5 GiB", 3 << 29), ("50%", 2 << 30)],
)
def test_the_budget_is_read_from_the_environment(text: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, text)
    assert device_budget(FAR) == expected


def test_without_a_setting_the_budget_is_a_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    assert device_budget(FAR) == 1 << 30


@pytest.mark.parametrize("text", ["lots", "-1", "5X", "12 apples"])
def test_another_amount_is_refused_with_the_remedy(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, text)
    with pytest.raises(DalibError, match=f"{SETTING} = '{text}' is no amount of memory; give bytes, 500M") as caught:
        device_budget(FAR)
    assert "\n" not in str(caught.value)


def test_stores_of_one_array_share_one_copy() -> None:
    residents, x = Residents(), kib(3)
    assert residents.place(x, FAR, 4096) is residents.place(x, FAR, 4096)
    other = residents.place(kib(3), FAR, 8192)
    assert other is not None and other is not residents.place(x, FAR, 8192)


def test_what_does_not_fit_stays_on_the_host() -> None:
    residents = Residents()
    assert residents.place(kib(3), FAR, 3071) is None
    assert residents.place(kib(3), FAR, 3072) is not None


def test_an_array_nobody_uses_makes_room_and_one_in_use_does_not() -> None:
    residents, old, new = Residents(), kib(3), kib(2)
    used = residents.place(old, FAR, 4096)
    assert residents.place(new, FAR, 4096) is None, "3 KiB are in use"
    del used
    assert residents.place(old, FAR, 4096) is not None
    assert residents.place(new, FAR, 4096) is not None
    assert residents._used(FAR) == 2048


def test_the_array_asked_for_longest_ago_goes_first() -> None:
    residents, a, b, c = Residents(), kib(1), kib(1), kib(1)
    for x in (a, b, a, c):
        residents.place(x, FAR, 2048)
    assert [host() is x for (host, _), x in zip(residents._kept.values(), (a, c), strict=True)] == [True, True]


def test_a_copy_goes_with_its_array() -> None:
    residents, x = Residents(), kib(3)
    residents.place(x, FAR, 4096)
    del x
    gc.collect()
    assert residents.place(kib(4), FAR, 4096) is not None
    assert residents._used(FAR) == 4096


def test_picked_rows_are_the_rows() -> None:
    x, index = torch.arange(60, dtype=torch.uint8).view(5, 3, 4), torch.tensor([4, 0, 4])
    assert torch.equal(send_rows(x, index, CPU), x[index])
    assert send(index, CPU) is index


def test_a_store_beyond_the_budget_keeps_its_rows_and_gives_the_same_batches() -> None:
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    near, far = (DomainStore(Domain("a", x.copy(), None, ("c",), "0"), None, FAR, budget=b) for b in (1 << 20, 0))
    assert near.x.device == FAR and far.x.device == CPU
    assert near.batch(torch.arange(3)).device == far.batch(torch.arange(3)).device == FAR
    assert near.batch(torch.arange(3)).shape == far.batch(torch.arange(3)).shape == (3, 5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_both_ways_give_the_same_images_without_waiting() -> None:
    from dalib.core.backbone import Preprocess

    x = np.random.default_rng(0).integers(0, 256, (12, 3, 40, 40), dtype=np.uint8)
    device, index = torch.device("cuda"), torch.tensor([3, 0, 11, 3])
    near, far = (
        DomainStore(Domain("a", x.copy(), None, ("c",), "0"), Preprocess(40, 32), device, budget=b)
        for b in (1 << 30, 0)
    )
    assert near.x.device.type == "cuda" and far.x.device == CPU
    for mode in ("none", "flip", "standard", "strong"):
        batches = []
        for store in (near, far):
            store.batch(index, augment=mode, generator=torch.Generator().manual_seed(0))
            torch.cuda.set_sync_debug_mode("error")
            try:
                batches.append(store.batch(index, augment=mode, generator=torch.Generator().manual_seed(0)))
            finally:
                torch.cuda.set_sync_debug_mode("default")
        assert torch.equal(*batches)


def test_a_copy_has_what_its_array_has_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """As scikit-learn's permutation_importance does, who shuffles a column of one array again and again."""
    monkeypatch.setattr("dalib.feed.placement.as_tensor", lambda x: torch.from_numpy(x.copy()))
    residents, x = Residents(), np.arange(4.0, dtype=np.float32)
    first = residents.place(x, CPU, 4096)
    assert first is not None and first.tolist() == [0, 1, 2, 3]
    x[2] = 9
    again = residents.place(x, CPU, 4096)
    assert again is first and again.tolist() == [0, 1, 9, 3]
