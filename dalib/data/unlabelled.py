"""Images and rows whose labels nobody asks for: a picture, a folder, a zip, or one domain of a feature file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dalib.core.errors import DalibError, suggest
from dalib.core.rows import RowShape, combine
from dalib.data.features import as_words
from dalib.data.listing import ARCHIVES, CLUTTER, COMMON, LOOP, Listing, is_image
from dalib.data.npz import check_rows, read_arrays


@dataclass(frozen=True)
class Images:
    """Names of images and how to read one; left_out: what may have been meant as one -> why it is none."""

    names: Sequence[str]
    read: Callable[[str], bytes]
    left_out: Mapping[str, str] = field(default_factory=dict)


def find_images(path: Path) -> Images:
    """The images at a path: itself, below a folder, or in a zip; sorted by name.

    Raises
        DalibError: nothing there that looks like an image
    """
    if path.is_file() and not path.name.lower().endswith(ARCHIVES):
        if not is_image(path.name):
            raise DalibError(f"{path} is neither an image ({COMMON} …) nor a folder nor a zip; this model takes images")
        return Images([path.name], lambda name: path.read_bytes())
    if not path.is_file() and not path.is_dir():
        raise DalibError(f"{path} is no ordinary file; give an image, a folder, a zip or a feature file (.npz)")
    listing = Listing(path)
    if not listing.images:
        why = "; ".join(listing.remarks()) or f"expected files ending in {COMMON} …"
        raise DalibError(f"{path} holds no images; {why}")
    gone = {m: why for m, why in listing.left_out.items() if why not in (LOOP, CLUTTER)}
    return Images(listing.images, listing.read, gone)


def read_rows(path: Path, domain: str, rows: RowShape | None) -> tuple[Sequence[str], Any]:
    """(names, rows) of one domain of a feature file: `x`, or `<domain>_x`; labels are not needed.

    rows: what the model takes, for other rows than (n, d); modalities lie in `x_<modality>` or `<domain>_x_<modality>`
    """
    parts = {name: f"x_{name}" for name in rows.fields} if rows and rows.fields else {"": "x"}
    ends = list(parts.values())
    wanted = " and ".join(f"{end} or <domain>_{end}" for end in ends)
    if path.suffix != ".npz":
        raise DalibError(f"{path} is no feature file; this model takes an .npz with {wanted}")
    arrays = read_arrays(path)
    keys = [key for key in arrays if key == ends[0] or key.endswith(f"_{ends[0]}")]
    if domain:
        if f"{domain}_{ends[0]}" not in arrays:
            near = suggest(domain, [k.removesuffix(f"_{ends[0]}") for k in keys]) or f"; keys: {', '.join(arrays)}"
            raise DalibError(f"{path} has no {domain}_{ends[0]}{near}")
        start = f"{domain}_"
    elif ends[0] in keys or len(keys) == 1:
        start = "" if ends[0] in keys else keys[0].removesuffix(ends[0])
    else:
        raise DalibError(
            f"{path} has {', '.join(keys) or f'no key {ends[0]}'}; name one with --domain (domain=…), or store rows as "
            f"{wanted}"
        )
    lacking = [start + end for end in ends if start + end not in arrays]
    if lacking:
        raise DalibError(f"{path} has no {', '.join(lacking)}; this model takes {wanted}")
    checked = {name: check_rows(path, start + end, arrays, flat=rows is None) for name, end in parts.items()}
    x = checked[""] if "" in checked else combine(checked)
    names = arrays.get(f"{start}names")
    if names is None or names.shape != (len(x),):
        return list(map(str, range(len(x)))), x
    return list(map(str, as_words(path, f"{start}names", names))), x
