"""The declaration of a data set: what `datasets/<name>.py` states and `dalib.data` checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Download:
    """One file of a data set, and where it is served.

    Args
        name: of the file here, with the ending of its kind (`amazon.tgz`)
        mirrors: addresses, the first tried first
        stated: where these facts were read (a repository and its file)
        size: bytes; 0 = not stated
        digest: `sha256:…` or `md5:…`; empty = not stated
        tried: a download from here was tried by dalib's developers
        by_hand: what a person does where no mirror serves it
    """

    name: str
    mirrors: tuple[str, ...]
    stated: str
    size: int = 0
    digest: str = ""
    tried: bool = False
    by_hand: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """Facts about a data set; no code.

    Args
        name: registry name = file name
        title: one line for people
        kind: `images` (domain/class/* in a folder or zip), `masks` (domain/images/* with domain/masks/*), `boxes`
            (domain/images/* with a file of boxes), `arrays`
            (images of one size per domain in an npz) or `features` (npz)
        domains: domain names in table order; empty = discovered in the data
        classes: class names in label order; empty = discovered, sorted
        counts: images per domain of the complete data set; domains of which nobody states it are left out, not checked
        source: where to fetch it (page or paper), for the message about a missing root
        licence: terms of use
        paper: BibTeX key
        objective: what a label is; `classes` are the names of the outputs where it is no class
        generator: `module:function(root: Path)` that makes the data, or an empty string
        downloads: the archives that make up the data set, unpacked side by side (`dalib data get`)
        packed: what of that is packed as NAME.npz, in a set of rows: a pattern of files, or `.` for the folder itself
        by_hand: what a person must do where no address serves it
        class_aliases: other folder name -> name of the class, domain or data set (`backpack` -> `back_pack`)
        class_count: how many classes there are, where their names are discovered; 0 = not checked
        others: folders of classes that are not declared belong to a larger set, and are left out
        lists: files `path label` that say which images of a larger set belong to it, `{domain}` standing for a domain
        editions: images in all of other editions that people have -> what such a copy is
        metric: what its tables report, where that is not the accuracy
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
    objective: str = "classification"
    generator: str = ""
    class_aliases: Mapping[str, str] = field(default_factory=dict)
    downloads: tuple[Download, ...] = ()
    packed: str = ""
    by_hand: str = ""
    class_count: int = 0
    others: bool = False
    lists: tuple[str, ...] = ()
    editions: Mapping[int, str] = field(default_factory=dict)
    metric: str = ""

    @property
    def rows(self) -> str:
        """What people call its rows: `images`, or `rows` of numbers."""
        return "rows" if self.kind == "features" else "images"
