"""What files of boxes say, and what is wrong with them: the same for every layout."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Corners: TypeAlias = tuple[float, float, float, float]
"""left, top, right, bottom"""

MOST_FAULTS = 1000
"""So many faults of one domain's files are told; a file that is another thing altogether has as many as lines."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file of boxes.

    kind: as in `verify_boxes.KINDS`; place: `line 3`, `annotation 17`, or empty
    """

    kind: str
    member: str
    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.member}{f', {self.place}' if self.place else ''}: {self.detail}"


@dataclass
class Marks:
    """The boxes of one picture.

    member: the file that says so; unit: what it calls the place of a box (`line`, `annotation`)
    kinds: name of the class of each box
    corners: of each box, in pixels, or in parts of the picture's sides where `relative`
    places: where each box is written
    size: width and height of the picture as the file says, or zeros
    """

    member: str
    unit: str
    size: tuple[int, int] = (0, 0)
    relative: bool = False
    kinds: list[str] = field(default_factory=list)
    corners: list[Corners] = field(default_factory=list)
    places: list[int | str] = field(default_factory=list)

    def add(self, kind: str, corners: Corners, place: int | str) -> None:
        self.kinds.append(kind)
        self.corners.append(corners)
        self.places.append(place)


@dataclass
class Annotations:
    """What the files of one domain say.

    layout: `COCO`, `Pascal VOC` or `YOLO`
    marks: picture -> its boxes, which may be none
    names: of all classes that are named, with or without a box
    missing: pictures that are named and not there
    crowds: boxes around a crowd (COCO), or that their makers call difficult (VOC), which are no boxes here
    from_zero: VOC's coordinates count from 0, not from 1 as the format has it
    """

    layout: str
    marks: dict[str, Marks] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    crowds: int = 0
    from_zero: bool = False

    def fault(self, kind: str, member: str, place: str, detail: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(kind, member, place, detail))


class Malformed(ValueError):
    """A part of a file that is no box, class or picture; the text says what is there instead, `kind` as in `Fault`."""

    def __init__(self, detail: str, kind: str = "malformed") -> None:
        super().__init__(detail)
        self.kind = kind


def check_name(name: object) -> str:
    """A class's name in one Unicode form.

    Raises
        Malformed: it is no text, blank, or holds what cannot be shown
    """
    plain = unicodedata.normalize("NFC", name).strip() if isinstance(name, str) else ""
    if not plain or not plain.isprintable():
        raise Malformed(f"class name {brief(name)} cannot be used; give words that can be shown", "names")
    return plain


def noting(told: Annotations, member: str, place: str, read: Callable[..., None], *parts: Any) -> None:
    try:
        read(*parts)
    except Malformed as error:
        told.fault(error.kind, member, place, str(error))


def brief(value: object, most: int = 60) -> str:
    """A value of a file as a person may see it."""
    text = ascii(value)
    return text if len(text) <= most else f"{text[:most]}…"


def read_number(text: str) -> float:
    """A finite number as files have it.

    Raises
        Malformed: anything else, NaN and infinity too
    """
    value = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    if not abs(value) < 1e9:
        raise Malformed(f"{brief(text.strip())} is no finite number")
    return value


def refuse_empty(told: Annotations, marks: Marks) -> None:
    """Boxes without an area leave the marks and are faults."""
    sound = [right > left and bottom > top for left, top, right, bottom in marks.corners]
    for i, fine in enumerate(sound):
        if not fine:
            left, top, right, bottom = marks.corners[i]
            what = f"'{marks.kinds[i]}' is {right - left:g} wide and {bottom - top:g} high"
            told.fault("no area", marks.member, f"{marks.unit} {marks.places[i]}", what)
    if not all(sound):
        kept = [i for i, fine in enumerate(sound) if fine]
        marks.kinds = [marks.kinds[i] for i in kept]
        marks.corners = [marks.corners[i] for i in kept]
        marks.places = [marks.places[i] for i in kept]
