"""The declaration of a data set: what `datasets/<name>.py` states and `dalib.data` checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DatasetInfo:
    """Facts about a data set; no code.

    Args
        name: registry name = file name
        title: one line for people
        kind: `images` (domain/class/* in a folder or zip), `arrays` (images of one size per domain in an npz) or
            `features` (npz)
        domains: domain names in table order; empty = discovered in the data
        classes: class names in label order; empty = discovered, sorted
        counts: images per domain of the complete data set; empty = not checked
        source: where to fetch it (page or paper), for the message about a missing root
        licence: terms of use
        paper: BibTeX key
        generator: `module:function(root: Path)` that makes the data, or an empty string
        class_aliases: other folder name -> name of the class, domain or data set (`backpack` -> `back_pack`)
    """

    name: str
    title: str
    kind: str = "images"
    domains: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    paper: str = ""
    generator: str = ""
    class_aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> str:
        """What people call its rows: `images`, or `rows` of numbers."""
        return "rows" if self.kind == "features" else "images"
