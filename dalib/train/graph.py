"""The training step as one CUDA graph: recorded once, then launched as a whole on memory that stays in place."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms
from dalib.core.types import LabelledRows, Rows

REHEARSALS = 3
"""Steps that run as ever before one is recorded; in the last of them the recorder looks for what cannot be."""
LAYOUTS = 10
"""How often shapes or places may change, and the step be recorded anew, before it is given up."""

AnyRows = TypeVar("AnyRows", bound=Rows)


class Recorder(Protocol):
    """What makes a step something that is launched as a whole."""

    def rehearse(self, step: Callable[[], None], watch: bool) -> str:
        """Run the step where it will be recorded; with `watch`, why it cannot be recorded, else an empty string."""

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """What does the step's work once per call, on the same memory; recording does none of it.

        Raises
            RuntimeError: the step cannot be recorded; nothing was done, and random numbers stand where they stood
        """


class CudaRecorder:
    """Records with `torch.cuda.graph`; rehearsals and recordings share a stream, so no work crosses streams later."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def rehearse(self, step: Callable[[], None], watch: bool) -> str:
        before, current = torch.get_rng_state(), torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream), noted_waits(watch) as waits:
            step()
        current.wait_stream(self.stream)
        if waits:
            return f"it waits for the device at {waits[0]}"
        drawn = watch and not torch.equal(before, torch.get_rng_state())
        return "it draws random numbers on the CPU" if drawn else ""

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        generator = torch.cuda.default_generators[self.stream.device_index]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device):
            current, chance = torch.cuda.current_stream(), generator.clone_state()
            try:
                with torch.cuda.graph(graph, stream=self.stream):
                    step()
            except Exception as error:
                torch.cuda.set_stream(current)  # PyTorch may leave both as in the recording that failed
                generator.graphsafe_set_state(chance)
                first = error.__context__ or error
                raise RuntimeError(f"{type(first).__name__}: {' '.join(str(first).split())[:160]}") from error
        return graph.replay


RECORDERS: dict[str, Callable[[torch.device], Recorder]] = {"cuda": CudaRecorder}
"""By type of device; on all others steps run as ever."""


@contextmanager
def noted_waits(watch: bool) -> Iterator[list[str]]:
    """Places (`file.py:12`) at which the host waited for the device, by CUDA's own account; other warnings pass."""
    places: list[str] = []
    if not watch:
        yield places
        return
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    for warning in caught:
        if "synchronizing CUDA operation" in str(warning.message):
            places.append(f"{Path(warning.filename).name}:{warning.lineno}")
        elif "Synchronization debug mode" not in str(warning.message):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


class StepGraph:
    """Takes a descent's steps: the first as ever but on memory that stays, the rest by launching their record.

    Rows and learning rates are copied into tensors of its own, which the step reads. The rehearsals are steps of the
    run, so nothing is done twice or undone. A buffer that the algorithm replaces by another of its shape is copied to
    where the first one lies. A parameter or buffer that moves, or rows of another shape, are a new layout: it is
    rehearsed and recorded anew. What cannot be recorded is said once in a RuntimeWarning, and runs as ever.

    Args
        take: one step on (source rows, views of target rows); returns its terms by name
        recorder: of the device
    """

    def __init__(
        self,
        take: Callable[[LabelledRows, Sequence[Rows]], Terms],
        algorithm: Algorithm,
        optimiser: torch.optim.Optimizer,
        recorder: Recorder,
    ) -> None:
        self.take = take
        self.algorithm = algorithm
        self.groups = optimiser.param_groups
        self.recorder = recorder
        device = self.groups[0]["params"][0].device
        dtype = torch.float32 if device.type == "cuda" else torch.float64  # what fused optimisers read there
        self.rates = [torch.zeros((), dtype=dtype, device=device) for _ in self.groups]
        self.refusal = ""
        self.recording = False
        self.layouts = 0
        self.terms: Terms = {}
        self.source: LabelledRows | None = None
        self.forget()

    def forget(self) -> None:
        """Let go of the record; the next step begins a new layout."""
        self.replay: Callable[[], None] | None = None
        self.values: Tensor | None = None
        self.rehearsed = 0
        self.source, self.views = None, list[Rows]()
        self.inputs: list[Tensor] = []
        self.parameters: list[tuple[nn.Parameter, int]] = []
        self.buffers: list[tuple[dict[str, Tensor | None], str, Tensor | None, int]] = []

    def look_again(self) -> None:
        """To be called when the algorithm may have got a buffer, parameter or module that it had not."""
        parameters, buffers = _tensors(self.algorithm)
        alike = [id(p) for p, _ in parameters] == [id(p) for p, _ in self.parameters]
        if not alike or [(id(o), name) for o, name, *_ in buffers] != [(id(o), name) for o, name, *_ in self.buffers]:
            self.forget()

    def step(self, source: LabelledRows, views: Sequence[Rows]) -> Terms:
        """One training step on these rows; its terms by name, which later steps leave alone."""
        given = _inputs(source, views)
        if not self.refusal and not (self._fits(given) and self._settle()):
            self._begin(source, views)
        if self.refusal:
            return self.take(source, views)
        for mine, new in zip(self.inputs, given, strict=True):
            mine.copy_(new, non_blocking=True)
        for rate, group in zip(self.rates, self.groups, strict=True):
            rate.fill_(group["lr"])
        if self.rehearsed < REHEARSALS:
            self.rehearsed += 1
            reason = self.recorder.rehearse(self._run, self.rehearsed == REHEARSALS)
            if reason:
                self._refuse(reason)
            return self.terms
        if self.replay is None:
            self._record()
        if self.replay is None or self.values is None:
            return self.step(source, views)
        self.replay()
        return dict(zip(self.terms, self.values.clone().unbind(), strict=True))

    def _begin(self, source: LabelledRows, views: Sequence[Rows]) -> None:
        self.forget()
        self.layouts += 1
        if self.layouts > LAYOUTS:
            self._refuse("shapes of its batches or buffers keep changing")
            return
        self.source, self.views = _like(source), [_like(rows) for rows in views]
        self.inputs = _inputs(self.source, self.views)
        self.parameters, self.buffers = _tensors(self.algorithm)

    def _fits(self, given: list[Tensor]) -> bool:
        return len(given) == len(self.inputs) and all(
            mine.shape == new.shape and mine.dtype == new.dtype for mine, new in zip(self.inputs, given, strict=True)
        )

    def _settle(self) -> bool:
        """Bring replaced buffers back to their places; False if one cannot be, or if a parameter has moved."""
        if any(p.data_ptr() != place for p, place in self.parameters):
            return False
        for owner, name, old, place in self.buffers:
            new = owner.get(name)
            if new is not old:
                if new is None or old is None or new.shape != old.shape or new.dtype != old.dtype:
                    return False
                with torch.no_grad():
                    old.copy_(new)
                owner[name] = old
            if old is not None and old.data_ptr() != place:
                return False
        return True

    def _run(self) -> None:
        """The step on the tensors that stay."""
        assert self.source is not None
        with self._rates():
            self.terms = self.take(self.source, self.views)
        self._settle()

    def _record(self) -> None:
        """Record the step, or refuse and leave everything as before."""

        def step() -> None:
            self._run()
            if not self._settle():
                raise RuntimeError("it replaces a parameter, or a buffer by one of another shape")
            self.values = torch.stack([t.float() for t in self.terms.values()])

        self._drop_gradients()
        self.recording = True
        try:
            self.replay = self.recorder.record(step)
        except Exception as error:
            for owner, name, old, _ in self.buffers:
                owner[name] = old
            self._drop_gradients()
            self._refuse(str(error))
        finally:
            self.recording = False

    def _drop_gradients(self) -> None:
        for p, _ in self.parameters:
            p.grad = None

    @contextmanager
    def _rates(self) -> Iterator[None]:
        """The optimiser reads learning rates from the tensors that stay; AdamW wants to be told that it is recorded."""
        before = [(group["lr"], group.get("capturable")) for group in self.groups]
        for rate, group in zip(self.rates, self.groups, strict=True):
            group["lr"] = rate
            if "capturable" in group:
                group["capturable"] = self.recording
        try:
            yield
        finally:
            for group, (rate, capturable) in zip(self.groups, before, strict=True):
                group["lr"] = rate
                if "capturable" in group:
                    group["capturable"] = capturable

    def _refuse(self, reason: str) -> None:
        self.forget()
        self.refusal = reason
        warnings.warn(
            f"a step of {type(self.algorithm).__name__} cannot be one CUDA graph: {reason}; its operations are "
            "launched one by one, as with cuda_graph = false",
            RuntimeWarning,
            stacklevel=2,
        )


def _inputs(source: LabelledRows, views: Sequence[Rows]) -> list[Tensor]:
    """Every tensor of a batch."""
    tensors: list[Tensor] = []
    for rows in (source, *views):
        for value in vars(rows).values():
            tensors += value.values() if isinstance(value, dict) else [value]
    return tensors


def _like(rows: AnyRows) -> AnyRows:
    """Rows of the same shapes, uninitialised."""
    fresh: dict[str, Any] = {
        name: {k: torch.empty_like(v) for k, v in value.items()} if isinstance(value, dict) else torch.empty_like(value)
        for name, value in vars(rows).items()
    }
    return replace(rows, **fresh)


def _tensors(
    algorithm: Algorithm,
) -> tuple[list[tuple[nn.Parameter, int]], list[tuple[dict[str, Tensor | None], str, Tensor | None, int]]]:
    """Parameters with their addresses; buffers, those not made yet too, with owner, name and address."""
    parameters = [(p, p.data_ptr()) for p in algorithm.parameters()]
    buffers = [
        (module._buffers, name, value, 0 if value is None else value.data_ptr())
        for module in algorithm.modules()
        for name, value in module._buffers.items()
    ]
    return parameters, buffers
