"""Small residual bottlenecks between the blocks of a network."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu

from dalib.nn.feature_maps import find_outlets

WIDTHS = ("out_channels", "out_features", "num_features", "num_channels", "normalized_shape")


class Adapter(nn.Module):
    """h -> h + U relu(D h), at every position alike; h at first, since U and its bias start at 0.

    Args
        channels: C of h: (B, C, H, W), or C last: (B, C), (B, n, C), (B, H, W, C)
        width: rows of D, C if that is smaller
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, min(width, channels))
        self.up = nn.Linear(min(width, channels), channels)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, h: Tensor) -> Tensor:
        axis = 1 if h.ndim == 4 and h.shape[1] == self.down.in_features else -1
        return h + self.up(relu(self.down(h.movedim(axis, -1)))).movedim(-1, axis)


class Adapted(nn.Module):
    """A block and the adapter behind it."""

    def __init__(self, block: nn.Module, adapter: Adapter) -> None:
        super().__init__()
        self.block = block
        self.adapter = adapter

    def forward(self, x: Tensor) -> Tensor:
        return self.adapter(self.block(x))


def insert_adapters(module: nn.Module, groups: list[nn.Module], width: int) -> list[Adapter]:
    """Put an adapter behind each of the blocks `groups` inside `module`, in place; returns them in that order.

    Block b, or its last layer if it only lists layers, is `b.block` in the state dict afterwards. An adapter that is
    there already is replaced by a new one.
    """
    made = []
    for name in find_outlets(module, groups):
        parent, _, leaf = name.rpartition(".")
        above, block = module.get_submodule(parent), module.get_submodule(name)
        adapter = Adapter(output_width(block), width)
        if isinstance(above, Adapted):
            above.adapter = adapter
        else:
            setattr(above, leaf, Adapted(block, adapter))
        made.append(adapter)
    return made


def output_width(block: nn.Module) -> int:
    """Channels that a block puts out: those of the layer that it declares last, among layers that have a width.

    Raises
        ValueError: no such layer
    """
    for layer in reversed(list(block.modules())):
        for name in WIDTHS:
            width = getattr(layer, name, None)
            if width is not None:
                return int(width[-1] if isinstance(width, tuple) else width)
    raise ValueError(f"{type(block).__name__} has no layer that tells its width")
