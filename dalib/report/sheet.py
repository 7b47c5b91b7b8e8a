"""A report as text in cells, the same for every format: what is shown, what is bold, what is dim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Shown:
    """hint: a sentence for a tooltip."""

    text: str
    bold: bool = False
    dim: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Block:
    """Rows that belong together; title: what sets them apart from the block above (empty for our own rows)."""

    title: str
    rows: tuple[tuple[Shown, ...], ...]


@dataclass(frozen=True)
class Sheet:
    """What every format renders.

    name: for file names and labels; tips: header text -> tooltip; notes: sentences below; label_width: of the first
    column, where longer names are wrapped; breaks: columns before which a narrow page is divided first
    """

    name: str
    title: str
    header: tuple[str, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    tips: Mapping[str, str] = field(default_factory=dict)
    label_width: int = 0
    breaks: tuple[int, ...] = ()
