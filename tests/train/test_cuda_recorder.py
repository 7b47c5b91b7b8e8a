"""The recorder on CUDA: what it does with streams, generators and warnings; and, on a GPU, the graph itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dalib.algorithms.dann import DANN
from dalib.checks.world import CONFIG, features_of, make_task
from dalib.core.algorithm import Terms
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Source, Target
from dalib.train import graph
from dalib.train.trainer import Trainer
from tests.support.host_reads import DEEP, EXCEPTIONS


class FakeCuda:
    """torch.cuda as far as `CudaRecorder` goes; a recording whose end fails, as it does after a failed step."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.now = "main"
        stream = SimpleNamespace(wait_stream=lambda other: self.log.append(f"side waits for {other}"), device_index=0)
        main = SimpleNamespace(wait_stream=lambda other: self.log.append("main waits for side"))
        chance = SimpleNamespace(clone_state=lambda: "state", graphsafe_set_state=lambda s: self.log.append(f"set {s}"))
        for name, value in {
            "Stream": lambda device: stream,
            "current_stream": lambda *_: main if self.now == "main" else stream,
            "set_stream": self.switch,
            "stream": lambda _: nullcontext(),
            "device": lambda _: nullcontext(),
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: self.log.append("replay")),
            "graph": self.graph,
            "default_generators": [chance],
            "get_sync_debug_mode": lambda: 0,
            "set_sync_debug_mode": lambda mode: None,
        }.items():
            patch.setattr(torch.cuda, name, value)

    def switch(self, stream: Any) -> None:
        self.now = "main"

    @contextmanager
    def graph(self, graph: Any, stream: Any) -> Iterator[None]:
        self.now = "side"
        try:
            yield
        except RuntimeError:
            raise ValueError("the capture was invalidated")  # noqa: B904
        self.now = "main"


def test_a_failed_recording_is_taken_back_and_its_first_error_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeCuda(monkeypatch)
    recorder = graph.CudaRecorder(torch.device("cuda"))

    def fail() -> None:
        raise RuntimeError("no such\nthing")

    with pytest.raises(RuntimeError, match=r"^RuntimeError: no such thing$"):
        recorder.record(fail)
    assert (fake.log, fake.now) == (["set state"], "main")
    recorder.record(lambda: fake.log.append("step"))()
    assert (fake.log[1:], fake.now) == (["step", "replay"], "main")


def test_a_watched_rehearsal_says_what_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw() -> None:
        torch.rand(1)

    fake = FakeCuda(monkeypatch)
    recorder = graph.CudaRecorder(torch.device("cuda"))
    assert recorder.rehearse(lambda: fake.log.append("step"), True) == ""
    assert [line.partition(" for")[0] for line in fake.log] == ["side waits", "step", "main waits"]
    with torch.random.fork_rng(devices=[]):
        assert recorder.rehearse(draw, False) == ""
        assert recorder.rehearse(draw, True) == "it draws random numbers on the CPU"
    said = recorder.rehearse(lambda: warnings.warn("called a synchronizing CUDA operation", stacklevel=1), True)
    assert said.startswith("it waits for the device at test_cuda_recorder.py:")


def test_waits_that_cuda_reports_are_noted_with_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[Any] = []
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    with pytest.warns(UserWarning, match="something else") as passed, graph.noted_waits(True) as waits:
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
        warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)
    assert len(passed) == 1
    assert [w.partition(":")[0] for w in waits] == ["test_cuda_recorder.py"]
    assert modes == ["warn", 0]
    with graph.noted_waits(False) as waits:
        assert modes == ["warn", 0]
    assert waits == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: the graph itself, which nothing here replaces")
@pytest.mark.parametrize(
    "case",
    [
        *((n, {}) for n in DEEP if n not in EXCEPTIONS),
        ("dann", {"optimiser": "adamw", "lr": 0.002}),
        ("dann", {"clip": 0.5}),
    ],
    ids=str,
)
def test_a_graph_on_a_gpu_gives_the_run_of_plain_steps(case: tuple[str, dict[str, Any]]) -> None:
    """To rounding: a graph reads its learning rates in float32."""
    cls, changes = ALGORITHMS.get(case[0]), case[1]
    states, curves = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for cuda_graph in (False, True):
            config = CONFIG.model_copy(update={"steps": 10, "cuda_graph": cuda_graph, **changes})
            fitted = Trainer(config, device="cuda").fit(cls(), make_task(), features_of(cls))
            states.append({k: v.double().cpu() for k, v in fitted.algorithm.state_dict().items()})
            curves.append(fitted.curve)
    assert curves[0].keys() == curves[1].keys()
    for name_, value in states[0].items():
        torch.testing.assert_close(states[1][name_], value, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: its detector of waits, and a failed capture")
@pytest.mark.parametrize("watches", [True, False])
def test_on_a_gpu_a_step_that_waits_runs_as_ever(watches: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(graph.CudaRecorder):
        def rehearse(self, step: Callable[[], None], watch: bool) -> str:
            return super().rehearse(step, watch and watches)

    class Reading(DANN):
        def loss(self, source: Source, target: Target, progress: float | torch.Tensor) -> Terms:
            terms = super().loss(source, target, progress)
            return {**terms, "read": torch.rand_like(source.z).sum() * float(source.z.detach().mean()) * 0.001}

    monkeypatch.setitem(graph.RECORDERS, "cuda", Blind)
    plain = Trainer(CONFIG, device="cuda").fit(Reading(), make_task(), features_of(Reading))
    config = CONFIG.model_copy(update={"cuda_graph": True})
    with pytest.warns(RuntimeWarning, match="Reading cannot be one CUDA graph"):
        recorded = Trainer(config, device="cuda").fit(Reading(), make_task(), features_of(Reading))
    for name, value in plain.algorithm.state_dict().items():
        torch.testing.assert_close(recorded.algorithm.state_dict()[name], value, rtol=1e-4, atol=1e-5)
