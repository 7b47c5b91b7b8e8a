"""mini_attributes: drawn things, asked several things at once: kind, colour and style of each.

`amazon`, `dslr` and `webcam` are the pictures of mini_office. `night` is drawn for this set: as many pictures as amazon
has, each of another thing, with the light and the camera of mini_scenes' night, so that colours look otherwise.

`electronics`, `furniture`, `stationery`: the table that its class is in. `dark`, `grey`, `pale`, `vivid`, `wood`: the
family of its main colour, of which one is true. `lying`: a thing seen from above, not from the front. `turned`: its
left and right may not be exchanged. All are properties of what is drawn; no camera changes them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from . import CLASSES, COUNTS, DRAWING_VERSION
from .objects import OBJECTS
from .palette import FAMILIES
from .publish import publish
from .render import draw, generator
from .scenes import SCENES
from .styles import STYLES, Style
from .table_electronics import ELECTRONICS
from .table_furniture import FURNITURE
from .table_stationery import STATIONERY

KINDS = {"electronics": ELECTRONICS, "furniture": FURNITURE, "stationery": STATIONERY}
ATTRIBUTES = (*KINDS, *sorted(FAMILIES), "lying", "turned")
_DESK = STYLES["dslr"]
PLACES: dict[str, Style] = STYLES | {
    "night": replace(SCENES["night"], individuals=0, fill=_DESK.fill, clutter=_DESK.clutter, occlude=_DESK.occlude)
}
ATTRIBUTE_COUNTS: dict[str, tuple[int, ...]] = COUNTS | {"night": COUNTS["amazon"]}
"""Pictures per class of mini_office, in the order of its classes."""


def tell(cls: str, domain: str, index: int, seed: int = 0) -> tuple[int, ...]:
    """Whether each of `ATTRIBUTES` is true of the picture that `draw` makes of the same arguments."""
    drawing, style = OBJECTS[cls], PLACES[domain]
    who = ("desk", index % style.individuals) if style.individuals else (domain, index)
    family = drawing.palette[int(generator(seed, cls, *who).integers(len(drawing.palette)))]  # the palette's first draw
    told = {kind: cls in table for kind, table in KINDS.items()}
    told |= {name: name == family for name in FAMILIES}
    told |= {"lying": drawing.lying, "turned": not drawing.mirror}
    return tuple(int(told[name]) for name in ATTRIBUTES)


def write_mini_attributes(
    root: Path,
    seed: int = 0,
    counts: Mapping[str, Sequence[int]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write root/{domain}/{class}/frame_0001.jpg … and root/{domain}/multilabel.csv; a finished set is left alone.

    Args
        counts: pictures per class for each domain, default `ATTRIBUTE_COUNTS`
        progress: called with (pictures written, pictures in all)
    Raises
        FileExistsError: `root` holds something that this function did not write
    """
    wanted = {domain: list(row) for domain, row in (ATTRIBUTE_COUNTS if counts is None else counts).items()}
    total = sum(map(sum, wanted.values()))

    def write(folder: Path) -> None:
        done = 0
        for domain, row in wanted.items():
            (folder / domain).mkdir(parents=True)
            with (folder / domain / "multilabel.csv").open("w", newline="", encoding="utf-8") as file:
                table = csv.writer(file, lineterminator="\n")
                table.writerow(("file", *ATTRIBUTES))
                for cls, count in zip(CLASSES, row, strict=True):
                    (folder / domain / cls).mkdir()
                    for index in range(count):
                        name = f"{cls}/frame_{index + 1:04d}.jpg"
                        picture = Image.fromarray(draw(cls, domain, index, seed, PLACES[domain]))
                        picture.save(folder / domain / name, quality=PLACES[domain].quality)
                        table.writerow((name, *tell(cls, domain, index, seed)))
                        done += 1
                        if progress:
                            progress(done, total)

    marker = json.dumps({"version": DRAWING_VERSION, "seed": seed, "counts": wanted})
    publish(Path(root), "mini_attributes", marker, write)
