"""Outputs of a network's blocks: where they come out, recording them, and how far two networks' are apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

LISTS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def find_outlets(module: nn.Module, groups: Sequence[nn.Module]) -> list[str]:
    """Names inside `module` of the submodules whose outputs are the outputs of its blocks `groups`, in their order.

    A block that only lists layers of `module` (a slice of a Sequential, a ModuleList) is never called itself: its last
    layer stands for it. Blocks of which `module` calls nothing are left out.
    """
    names = {child: name for name, child in module.named_modules() if not isinstance(child, LISTS)}
    blocks = [_last_called(group, names) for group in groups]
    return [names[block] for block in blocks if block is not None]


def _last_called(group: nn.Module, names: dict[nn.Module, str]) -> nn.Module | None:
    if group in names:
        return group
    called = (_last_called(child, names) for child in reversed(list(group.children())))
    return next((block for block in called if block is not None), None)


@contextmanager
def record_outputs(modules: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """Inside, every call of one of `modules` appends its output to the list."""
    outputs: list[Tensor] = []
    hooks = [module.register_forward_hook(lambda _, __, output: outputs.append(output)) for module in modules]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def feature_map_distance(a: Tensor, b: Tensor) -> Tensor:
    """Half the squared distance of two feature maps: mean over rows and positions, sum over channels; a scalar >= 0.

    a, b of one shape: (B, d), tokens (B, n, d) or maps (B, d, H, W).
    Li et al. DELTA: Deep Learning Transfer using Feature Map with Attention. ICLR 2019. arXiv:1901.09229.
    """
    channels = a.shape[1] if a.ndim == 4 else a.shape[-1]
    return 0.5 * channels * (a - b).square().mean()
