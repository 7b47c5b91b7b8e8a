"""Where a data set lies: the root given, `DALIB_DATA`, or the cache for sets that dalib makes itself."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data import arrays, box_layouts, features, folders, scenes
from dalib.data.cache import cache_root
from dalib.data.declaration import plain

Progress = Callable[[int, int], None]
"""`progress(done, total)`."""


def find_root(info: DatasetInfo, root: str | Path | None = None, progress: Progress | None = None) -> Path:
    """The folder or file of a data set.

    `root`, else `DALIB_DATA`, may be the data itself or a folder holding it under a name that begins with the data
    set's. A set with a generator is made in the cache when no root is given and `DALIB_DATA` does not hold it.

    Args
        progress: handed to the generator
    Raises
        DalibError: nothing found (says what to fetch, from where, in which layout), or several candidates
    """
    given = root if root is not None else os.environ.get("DALIB_DATA") or None
    if given is not None:
        place = _search(info, Path(given).expanduser())
        if place is not None:
            return place
    if info.generator and root is None:
        return _generate(info, progress)
    raise DalibError(missing_message(info, given))


def missing_message(info: DatasetInfo, given: str | Path | None) -> str:
    """What to fetch, from where, and the layout expected."""
    looked = f" in {given}" if given is not None else ""
    if given is not None and not Path(given).expanduser().exists():
        looked = f": {given} does not exist"
    layouts = {"features": features.LAYOUT, "arrays": arrays.LAYOUT}
    layouts |= {"masks": scenes.LAYOUT, "boxes": box_layouts.LAYOUT}
    layout = layouts.get(info.kind, folders.LAYOUT)
    domains = f" (domains {', '.join(info.domains)})" if info.domains else ""
    fetch = f"fetch it from {info.source}" if info.domains and not info.generator else f"take {info.source}"
    lay_out = f"lay it out as {layout}{domains}"
    return f"no data for {info.name}{looked}; {fetch}, {lay_out}, and give --data-root (root=…) or set DALIB_DATA"


def find_feature_file(name: str, root: str | Path | None) -> Path:
    """The file of `features:NAME`: relative to the working directory, to `root`, or to `DALIB_DATA`."""
    if not name:
        raise DalibError("data set 'features' needs its file: features:PATH.npz")
    path = Path(name).expanduser()
    bases = [Path(), *(Path(b).expanduser() for b in (root, os.environ.get("DALIB_DATA")) if b)]
    for base in bases:
        if (base / path).is_file():
            return base / path
    looked = ", ".join(str(b.resolve()) for b in bases)
    raise DalibError(f"no feature file {name} (looked in {looked}); expected {features.LAYOUT}")


def _search(info: DatasetInfo, given: Path) -> Path | None:
    if given.is_file():
        return given
    if not given.is_dir():
        return None
    if info.kind != "arrays" and _holds_a_domain(info, given):
        return given
    names = [plain(n) for n in (info.name, *(a for a, name in info.class_aliases.items() if name == info.name))]
    suffix = ".zip" if info.kind in ("images", "masks", "boxes") else ".npz"
    children = sorted(p for p in given.iterdir() if not p.name.startswith("."))
    usable = {p: plain(p.stem if p.is_file() else p.name) for p in children if p.is_dir() or p.suffix == suffix}
    candidates = [p for p, name in usable.items() if name in names]
    candidates = candidates or [p for p, name in usable.items() if name.startswith(tuple(names))]
    if len(candidates) > 1:
        listed = ", ".join(p.name for p in candidates)
        several = f"{given} holds several candidates for {info.name}: {listed}"
        raise DalibError(f"{several}; give one of them as --data-root (root=…)")
    if candidates:
        return candidates[0]
    if info.kind == "arrays":
        return None
    wrapped = [p for p in children if p.is_dir() and _holds_a_domain(info, p)]
    return given if not info.domains or len(wrapped) == 1 else None


def _holds_a_domain(info: DatasetInfo, folder: Path) -> bool:
    domains = {plain(d) for d in info.domains}
    domains |= {plain(a) for a, name in info.class_aliases.items() if name in info.domains}
    return any(plain(p.name) in domains and p.is_dir() for p in folder.iterdir())


def make_data(dataset: str, out: str | Path, progress: Progress | None = None) -> Path:
    """Draw a data set that dalib makes itself, as image files; a finished one is left alone. Returns its folder.

    Raises
        DalibError: an unknown data set, one that is fetched instead
    """
    info = DATASETS.get(dataset)
    if not info.generator:
        able = [name for name in DATASETS.names() if DATASETS.get(name).generator]
        raise DalibError(
            f"data set '{dataset}' is not made by dalib but fetched ({info.source}); dalib makes: {', '.join(able)}"
        )
    module, _, function = info.generator.partition(":")
    make = getattr(importlib.import_module(module), function)
    make(Path(out), progress=progress) if progress else make(Path(out))
    return Path(out)


def _generate(info: DatasetInfo, progress: Progress | None) -> Path:
    root = cache_root() / "generated" / info.name
    try:
        make_data(info.name, root, progress)
    except OSError as error:
        raise DalibError(f"cannot make {info.name} in {root} ({error}); set DALIB_CACHE to another folder") from error
    return root
