"""Feature maps on the way through a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Every part is in evaluation mode meanwhile, and in its own again afterwards."""
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, flag in training.items():
            part.training = flag


def feature_levels(module: nn.Module, names: Sequence[str], x: Tensor) -> list[Tensor]:
    """What the submodules of these names put out while `module` works on x (B, 3, H, W): (B, C, h, w) each."""
    seen: dict[str, Tensor] = {}

    def listen(name: str) -> object:
        def hear(part: nn.Module, inputs: object, output: Tensor) -> None:
            seen[name] = output

        return module.get_submodule(name).register_forward_hook(hear)

    hooks = [listen(name) for name in names]
    try:
        module(x)
    finally:
        for hook in hooks:
            hook.remove()  # type: ignore[attr-defined]
    return [seen[name] for name in names]
