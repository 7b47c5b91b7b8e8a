"""A data set that is there: its domains ready to use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path

import numpy as np
from PIL import Image

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.rows import RowShape, row_shape
from dalib.core.types import Domain, pick_domain
from dalib.data.folders import ImageTree
from dalib.data.loading import load_flat
from dalib.data.normalise import Moments
from dalib.data.pictures import Pictures
from dalib.data.settings import split_task
from dalib.data.unreadable import count_skipped, skip_unreadable


@dataclass
class LoadedData:
    """A data set that is there.

    Attributes
        name: as given to `load_data`
        classes: K names in label order, the same for every domain
        domains: those present, in declared order
        counts: domain -> rows
        kind: `images` or `features`
        fingerprint: sha256 of the content of all domains present
        partial: something that the declaration names is missing, or something unknown was left out
        note: what, for captions (`amazon 1000 of 2817 images, dslr missing`)
        remarks: what the root is read as, and what was left out and why
        unlabelled: domains without labels -> rows; each can be a target
        absent: what looks like a domain and is none -> why
        skips: images that cannot be read are left out, and `note` says how many
        objective: what a label is; `classes` are the names of the outputs where it is no class
    """

    name: str
    info: DatasetInfo
    root: Path
    classes: tuple[str, ...]
    domains: tuple[str, ...]
    counts: dict[str, int]
    kind: str
    fingerprint: str
    partial: bool
    note: str
    _load: Callable[[str, int | None], Domain] = field(repr=False)
    objective: str = "classification"
    remarks: tuple[str, ...] = ()
    unlabelled: dict[str, int] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    skips: bool = False
    _measure: Callable[[str], Moments] = field(default=lambda name: (), repr=False)
    _stored: Callable[[str], Domain] | None = field(default=None, repr=False)
    _picture: Callable[[str, int], Image.Image] | None = field(default=None, repr=False)
    _loaded: dict[tuple[str, int | None], Domain] = field(default_factory=dict, repr=False)

    def domain(self, name: str, resize: int | None = None) -> Domain:
        """One domain with its labels, if it has any; images are warped to `resize` x `resize` pixels and need it.

        Raises
            DalibError: unknown domain, an unreadable image, images without `resize`
        """
        pick_domain(dict.fromkeys((*self.domains, *self.unlabelled)), name, self.name)
        if self.kind == "features":
            resize = None
        elif resize is None or resize < 1:
            raise DalibError(f"domain '{name}' of {self.name} holds images; give resize, a side in pixels >= 1")
        if (name, resize) not in self._loaded:
            self._loaded[name, resize] = self._load(name, resize)
        return self._loaded[name, resize]

    def stored(self, name: str) -> Domain:
        """A domain of features with its rows as the file has them: not normalised, and not yet in float32.

        Raises
            DalibError: unknown domain, data that are no file of features
        """
        pick_domain(dict.fromkeys((*self.domains, *self.unlabelled)), name, self.name)
        if self._stored is None:
            raise DalibError(f"{self.name} is no file of features, so no row of it is stored; domain() has its rows")
        return self._stored(name)

    @property
    def has_pictures(self) -> bool:
        """`picture` can be asked."""
        return self._picture is not None

    def picture(self, name: str, row: int) -> Image.Image:
        """The picture of a row as it lies on the disk: RGB, upright, in its own size.

        Raises
            DalibError: the data are no pictures, or the file cannot be read
        """
        if self._picture is None:
            raise DalibError(f"{self.name} holds no pictures that can be looked at one by one; use domain()")
        return self._picture(name, row)

    def numbered(self) -> LoadedData:
        """The same rows, each its number in its domain (1,) in place of what it is: no picture is decoded.

        Divided by `make_task`, it tells which rows a run was tested on.

        Raises
            DalibError: the data hold no pictures
        """
        if not self.has_pictures:
            raise DalibError(f"{self.name} holds no pictures to number; domain() has its rows")

        def load(name: str, resize: int | None) -> Domain:
            found = self._load(name, 0)
            return replace(found, x=np.arange(len(found))[:, None], fingerprint=f"{found.fingerprint}:numbers")

        return replace(self, kind="features", _load=load, _loaded={})

    def split(self, task: str, *, alone: bool = False) -> tuple[tuple[str, ...], str]:
        """`dslr+webcam->amazon` -> (("dslr", "webcam"), "amazon"); the target may be unlabelled.

        Args
            alone: source and target may be the same domain
        Raises
            DalibError: an unknown domain, one that occurs twice, a source without labels
        """
        sources, target = split_task(task, (*self.domains, *self.unlabelled), self.absent, alone=alone)
        for name in sources:
            if name in self.unlabelled:
                ways = {"classification": "sort it into class folders", "segmentation": "put masks beside its pictures"}
                ways["detection"] = "put a file of boxes beside its pictures"
                table = f"put {self.objective}.csv, as other domains have it, into its folder"
                way = f"store {name}_y" if self.kind == "features" else ways.get(self.objective, table)
                raise DalibError(f"domain '{name}' has no labels; a source needs them: {way}")
        return sources, target

    def with_target(self, target: str) -> LoadedData:
        """The data with a folder or archive of pictures as one more unlabelled domain, named by its path.

        The data themselves where `target` is one of their domains, or nothing is there.

        Raises
            DalibError: it holds no images, or the data are features
        """
        if target in (*self.domains, *self.unlabelled) or not Path(target).expanduser().exists():
            return self
        if self.kind != "images" or self.info.kind != "images":
            raise DalibError(f"{self.name} holds no image files; a folder ({target}) can be their target only")
        pictures: ImageTree = Pictures(Path(target).expanduser(), target)
        pictures = skip_unreadable(pictures) if self.skips else pictures
        skipped = count_skipped(pictures)

        def load(name: str, resize: int | None) -> Domain:
            if name != target:
                return self._load(name, resize)
            return replace(load_flat(pictures, name, resize, self.classes), objective=self.objective)

        more = {target: len(pictures.flat[target])}
        remarks = (f"target {target}: {more[target]} images without labels; its folders are not read", *self.remarks)
        remarks += tuple(pictures.listing.remarks())
        unlabelled, note = self.unlabelled | more, ", ".join(filter(None, (self.note, skipped)))
        more_data = replace(self, _load=load, _loaded={}, unlabelled=unlabelled, remarks=remarks)
        return replace(more_data, note=note, partial=bool(note))

    def moments(self, name: str) -> Moments:
        """Mean and deviation by which a domain's rows were z-scored; empty where they were not."""
        return self._measure(name)

    def row_shape(self) -> RowShape:
        """What the rows of all domains of feature data have in common.

        Raises
            DalibError: negative whole numbers
        """
        return row_shape(*(self.domain(name).x for name in (*self.domains, *self.unlabelled)))

    def tasks(self) -> list[str]:
        """All ordered pairs of domains, `amazon->webcam`, in declared order."""
        return [f"{s}->{t}" for s, t in permutations(self.domains, 2)]

    def multi_source_tasks(self) -> list[str]:
        """All other domains together -> each domain, `dslr+webcam->amazon`."""
        return [f"{'+'.join(s for s in self.domains if s != t)}->{t}" for t in self.domains]
