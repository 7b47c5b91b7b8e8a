"""The need is said before the allocation; freed memory is kept while a network computes, and given back."""

from __future__ import annotations

import os
import resource

import numpy as np
import pytest
import torch

from dalib import AdaptationClassifier
from dalib.core import algorithm, memory
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS


@pytest.mark.parametrize("name", ["ot_map", "jdot", "meda", "kmm", "ot_label_propagation"])
def test_a_method_over_pairs_of_rows_says_its_need_and_others_go_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1000.0)
    assert algorithm.require_memory is memory.require_memory
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    with pytest.raises(DalibError, match=rf"{name} needs matrices over pairs of 40 \+ 40 rows, .* GB are left; take"):
        AdaptationClassifier(ALGORITHMS.get(name)(), device="cpu").fit(X, y, X)
    AdaptationClassifier(ALGORITHMS.get("coral")(), device="cpu").fit(X, y, X)


def test_memory_that_is_left_is_more_than_none() -> None:
    assert memory.available_memory() > 1e6


def faults_of_blocks(size: int, times: int = 6) -> int:
    """Page faults of taking, touching and freeing a block of `size` bytes, again and again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(size, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(memory._tunable_library() is None, reason="the C library is not glibc, or tuned from outside")
def test_held_memory_is_used_again_and_given_back() -> None:
    size = 80 << 20
    pages = size // os.sysconf("SC_PAGE_SIZE")
    outside = faults_of_blocks(size)
    if outside < 5 * pages:
        pytest.skip("this kernel gives large blocks in huge pages")
    with memory.hold_memory():
        with memory.hold_memory():
            faults_of_blocks(size, times=1)
        assert faults_of_blocks(size) < pages, "the same pages are taken again, after an inner end too"
        with pytest.raises(ValueError, match="inside"), memory.hold_memory():
            raise ValueError("inside")
        assert faults_of_blocks(size) < pages
    assert faults_of_blocks(size) > 5 * pages, "as it was before"


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_an_allocator_tuned_from_outside_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert memory._tunable_library.__wrapped__() is None
    monkeypatch.setattr(memory, "_tunable_library", lambda: None)
    with memory.hold_memory():
        assert memory._holders == 0
