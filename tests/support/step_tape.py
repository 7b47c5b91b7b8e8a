"""CUDA's stream capture, emulated on the CPU: a log of operations and of the memory they read and write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from tests.support.host_reads import HostReads

aten = torch.ops.aten
WAITS = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten._linalg_svd, aten._linalg_eigh}
INDEX = {aten.index, aten.index_put, aten.index_put_}
EMPTY = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided}


class Tape(TorchDispatchMode):
    """Logs every operation below autograd with the very tensors it had; `play` repeats them, without Python's part.

    As with a CUDA graph nothing but memory decides what a repetition does: numbers that Python computed, and tensors
    that it put elsewhere since, are those of the recording. `undo` takes the recording's effects back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[tuple[int, Tensor]]]] = []
        self.plays = 0
        self._own: set[int] = set()
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        masks = func.overloadpacket in INDEX and any(t.dtype == torch.bool for t in _tensors(args[1]))
        if masks or func.overloadpacket in WAITS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        names = [a.name for a in func._schema.arguments]
        written = {a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write}
        written |= {"running_mean", "running_var"} & {*names}  # which batch norm's schema does not say
        given = dict(zip(names, args, strict=False)) | kwargs
        self._save([given[name] for name in written if name in given])
        out = func(*args, **kwargs)
        before = {_place(t) for t in _tensors(given)}
        fresh = [(i, t) for i, t in enumerate(_tensors(out)) if t.numel() and _place(t) not in before]
        self._own.update(_place(t) for _, t in fresh)
        if (fresh or written) and func.overloadpacket not in EMPTY:
            self.calls.append((func, args, kwargs, fresh))
        return out

    def undo(self) -> None:
        for storage, copy in self._before.values():
            storage.copy_(copy)

    def play(self) -> None:
        self.plays += 1
        with torch.no_grad():
            for func, args, kwargs, fresh in self.calls:
                out = _tensors(func(*args, **kwargs))
                for i, mine in fresh:
                    mine.copy_(out[i])

    def _save(self, written: Any) -> None:
        for t in _tensors(written):
            if t.numel() and _place(t) not in self._own and _place(t) not in self._before:
                storage = t.untyped_storage()
                self._before[_place(t)] = storage, storage.clone()


class OneHotOfCuda(TorchFunctionMode):
    """`one_hot` without the look at the values that PyTorch spares itself on CUDA and not here."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not one_hot:
            return func(*args, **(kwargs or {}))
        y, classes = args
        return y.new_zeros(*y.shape, classes).scatter_(-1, y[..., None], 1)


class TapeRecorder:
    """Stands in for `CudaRecorder`.

    watches: False leaves it to `record` to find what cannot be recorded
    """

    def __init__(self, device: torch.device, watches: bool = True) -> None:
        self.watches = watches
        self.rehearsals = 0
        self.tapes: list[Tape] = []

    def rehearse(self, step: Callable[[], None], watch: bool) -> str:
        self.rehearsals += 1
        if not (watch and self.watches):
            step()
            return ""
        with HostReads() as mode:
            step()
        return f"it waits for the device at {mode.found[0]}" if mode.found else ""

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        tape, chance = Tape(), torch.get_rng_state()
        try:
            with OneHotOfCuda(), tape:
                step()
        finally:
            tape.undo()
            torch.set_rng_state(chance)
        self.tapes.append(tape)
        return tape.play


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]


def _place(t: Tensor) -> int:
    return t.untyped_storage().data_ptr()
