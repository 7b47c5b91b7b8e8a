"""Scalars whose gradients are computed beside them in closed form, without autograd's record of every operation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Class = TypeVar("Class", bound=type[torch.autograd.Function])


def quick_to_call(function: Class) -> Class:
    """A class of functions that keeps its `forward`'s signature, which PyTorch makes anew at every call otherwise."""
    function.forward.__signature__ = inspect.signature(function.forward)  # type: ignore[attr-defined]
    return function


def with_gradients(value: Tensor, inputs: Sequence[Tensor], differentiate: Callable[[], Sequence[Tensor]]) -> Tensor:
    """value (), made without autograd, with d value / d input of every input; differentiable once; works under `vmap`.

    differentiate: makes these gradients, shaped as the inputs; called at once, or not at all under `torch.no_grad`
    """
    if not torch.is_grad_enabled():
        return value
    with torch.no_grad():
        gradients = differentiate()
    attached: Tensor = _Known.apply(value, *inputs, *gradients)
    return attached


@quick_to_call
class _Known(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, *others: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1 + len(inputs) // 2 :])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        gradients = ctx.saved_tensors
        return None, *[gradient * g for g in gradients], *[None for _ in gradients]
