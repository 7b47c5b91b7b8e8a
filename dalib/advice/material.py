"""What advice looks at: domains, and a sample of their rows as features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Part:
    """One domain.

    counts: class -> rows of the whole domain; empty for an unlabelled one
    rows: of the whole domain
    unlabelled: rows beside the labelled ones that have no label
    z (n, d), y (n,): the sample that is measured; y is empty for an unlabelled domain
    raw (n, d): its rows before `zscore`, which hides what tells domains apart; empty where they are z
    side: median width and height of the images in pixels, (0, 0) for features
    """

    name: str
    counts: dict[str, int]
    rows: int
    unlabelled: int = 0
    z: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    y: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    raw: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    side: tuple[int, int] = (0, 0)

    @property
    def seen(self) -> np.ndarray:
        """The rows whose distance is measured."""
        return self.raw if len(self.raw) else self.z

    @property
    def labelled(self) -> bool:
        return bool(self.counts)


@dataclass
class Material:
    """Everything at a path.

    dataset, root, partial, skips (`skip_unreadable`), normalise: as a suite names them
    backbone: name and weights of what made the features
    lone: unlabelled domain -> the one folder that its images lie in
    """

    dataset: str
    root: Path | None
    kind: str
    classes: tuple[str, ...]
    parts: dict[str, Part]
    partial: bool = False
    normalise: tuple[str, ...] = ()
    backbone: tuple[str, str] = ("identity", "none")
    lone: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    skips: bool = False

    @property
    def embedded(self) -> bool:
        """A network made the features."""
        return self.backbone[0] != "identity"


@dataclass(frozen=True)
class Options:
    """rows: most rows of a domain that are measured; an empty backbone is chosen here."""

    data_root: Path | None = None
    normalise: tuple[str, ...] = ()
    backbone: str = ""
    weights: str = ""
    rows: int = 1000
    device: str = "auto"
    skip_unreadable: bool = False
    report: Callable[[int, int], None] = lambda done, total: None


def pick_rows(n: int, most: int) -> np.ndarray:
    """Ascending row numbers: all of n, or `most` of them at random."""
    return np.sort(np.random.default_rng(0).permutation(n)[:most])
