"""What every kind of data set does when it is opened: compare with what is declared, read pictures without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.types import Domain
from dalib.data.decode import decode_domain
from dalib.data.folders import ImageTree


def missing_of(info: DatasetInfo, counts: dict[str, int]) -> list[str]:
    """What a declaration has and these counts of rows have not: domains, and rows of those that are there."""
    lacking = [f"{name} missing" for name in info.domains if name not in counts]
    return lacking + [
        f"{name} {n} of {info.counts[name]} images" for name, n in counts.items() if info.counts.get(name, n) != n
    ]


def accept(info: DatasetInfo, differences: Sequence[str], where: Path, partial: bool, expected: str = "") -> str:
    """What is other than declared, as a note for captions.

    Raises
        DalibError: something is, and `partial` does not accept it
    """
    note = ", ".join(filter(None, differences))
    if note and not partial:
        expected = expected or (f"the complete {info.name}" if info.domains else "the same classes in every domain")
        raise DalibError(
            f"{where} is not {expected}: {note}; --partial (partial=True) accepts it and marks the results"
        )
    return note


def load_flat(tree: ImageTree, name: str, resize: int | None, classes: tuple[str, ...]) -> Domain:
    """A domain without labels."""
    x, files = decode_domain(tree, name, resize or 0), tree.of_domain(name)
    return Domain(name, x, None, classes, f"{tree.fingerprint(name)}:{resize}px", tuple(f.member for f in files))
