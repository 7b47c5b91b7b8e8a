"""Scalars whose gradients are computed beside them in closed form, without autograd's record of every operation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def with_gradients(value: Tensor, inputs: Sequence[Tensor], differentiate: Callable[[], Sequence[Tensor]]) -> Tensor:
    """value (), made without autograd, with d value / d input of every input; differentiable once; works under `vmap`.

    differentiate: makes these gradients, shaped as the inputs; called at once, or not at all under `torch.no_grad`
    """
    if not torch.is_grad_enabled():
        return value
    with torch.no_grad():
        gradients = differentiate()
    found: Tensor = _Known.apply(value, *inputs, *gradients)
    return found


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


# PyTorch asks for it at every call, and making it takes as long as five small operations
_Known.forward.__signature__ = inspect.signature(_Known.forward)  # type: ignore[attr-defined]
