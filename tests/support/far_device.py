"""A second device on a machine that has none: its tensors cannot be mixed with the CPU's, as with CUDA.

A `FarTensor` says that it lies on the device `far` and keeps a CPU tensor with the numbers; PyTorch's autograd,
optimisers and modules take it for a tensor of another device. What this cannot show: speed, streams, memory, autocast,
other kernels' rounding. Register the device before the process's first backward pass, which fixes the devices' number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

aten = torch.ops.aten
AVAILABLE = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")
"""Recent versions of PyTorch can register a device from Python."""
INDEX = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
"""Operations that take row numbers on the CPU too, as on CUDA."""


class FarModule(getattr(backend_registration, "_DummyBackendModule", object)):  # type: ignore[misc]
    """`torch.far`."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


@lru_cache(maxsize=1)
def far_device() -> torch.device:
    """The device, registered with PyTorch at the first call."""
    backend_registration._setup_privateuseone_for_python_backend("far", FarModule())
    return torch.device("far", 0)


class FarTensor(Tensor):
    """A tensor of the far device; `inner` has its numbers."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> FarTensor:
        made = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=far_device(),
        )  # fmt: skip
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return call(func, args, kwargs or {})

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, value: FarTensor) -> None:
        Tensor.data.__set__(self, value)  # type: ignore[attr-defined]
        self.inner = value.inner

    def tolist(self) -> Any:
        return self.inner.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert a tensor of the far device to NumPy; use Tensor.cpu() first")

    __array__ = numpy


class FarDevice(TorchDispatchMode):
    """Inside, tensors can be made on the far device and sent there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return call(func, args, kwargs or {})


@contextmanager
def far() -> Iterator[torch.device]:
    """The device, in a context in which it can be used."""
    device, before = far_device(), torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # so that `torch.tensor(…, device=far)` passes through the mode
    try:
        with FarDevice():
            yield device
    finally:
        torch._C._set_only_lift_cpu_tensors(before)


def call(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on the CPU tensors behind the far ones.

    Raises
        RuntimeError: far tensors and CPU tensors (but scalars, and row numbers) in one operation
    """
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    near_args, near_kwargs = tree_map(near, args), tree_map(near, kwargs)
    device = kwargs.get("device")
    if func.overloadpacket is aten.copy_:
        func(*near_args, **near_kwargs)
        return args[0]
    if device is not None:
        to_far = torch.device(device).type == "far"
        out = func(*near_args, **near_kwargs | {"device": torch.device("cpu") if to_far else device})
        return tree_map(wrap, out) if to_far else out
    if not any(isinstance(x, FarTensor) for x in tensors):
        return func(*args, **kwargs)
    if func.overloadpacket in INDEX:
        tensors = [x for x in (args[0], *args[2:3]) if isinstance(x, Tensor)]
    stray = [[*x.shape] for x in tensors if x.dim() and not isinstance(x, FarTensor)]
    if stray:
        raise RuntimeError(f"{func}: tensors on far:0 and on the CPU, the latter of shape {stray[0]}")
    out = func(*near_args, **near_kwargs)
    if func.overloadpacket is aten._local_scalar_dense:
        return out
    return return_and_correct_aliasing(func, args, kwargs, tree_map(wrap, out))


def near(x: Any) -> Any:
    return x.inner if isinstance(x, FarTensor) else x


def wrap(x: Any) -> Any:
    return FarTensor(x) if isinstance(x, Tensor) and not isinstance(x, FarTensor) else x
