"""Boxes in Pascal VOC's XML, one file for a picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from dalib.data.box_marks import Annotations, Malformed, Marks, brief, check_name, noting, read_number, refuse_empty
from dalib.data.box_xml import Node, parse_xml


def read_voc(files: Iterable[tuple[str, str, bytes]], names: set[str]) -> Annotations:
    """The boxes of Pascal VOC's files, one for each picture: `object` with `name` and `bndbox`.

    Coordinates count from 1 and `xmax`, `ymax` belong to the box, as the format has it. Where an `xmin` or `ymin` below
    1 shows that a domain counts from 0, they are taken as they are, with xmax and ymax outside of the box.

    Args
        files: (file, picture, content)
        names: of all pictures of the domain, to which `filename` may point
    """
    told = Annotations("Pascal VOC")
    for member, picture, content in files:
        marks = told.marks[picture] = Marks(member, "line")
        try:
            root = parse_xml(content)
        except ValueError as error:
            place, _, reason = str(error).rpartition(": ")
            told.fault("unreadable", member, place, reason)
            continue
        noting(told, member, f"line {root.line}", _read_head, root, marks, picture, names)
        for thing in root.all("object"):
            noting(told, member, f"line {thing.line}", _read_object, told, thing, marks)
    told.names = sorted({kind for marks in told.marks.values() for kind in marks.kinds})
    told.from_zero = any(min(box[:2]) < 1 for marks in told.marks.values() for box in marks.corners)
    if not told.from_zero:
        for marks in told.marks.values():
            marks.corners = [(left - 1, top - 1, right, bottom) for left, top, right, bottom in marks.corners]
    for marks in told.marks.values():
        refuse_empty(told, marks)
    return told


def _read_head(root: Node, marks: Marks, picture: str, names: set[str]) -> None:
    if root.tag != "annotation":
        raise Malformed(f"it holds <{root.tag:.60}>, not <annotation>")
    own = PurePosixPath(picture).name
    other = PurePosixPath(root.text_of("filename").replace("\\", "/")).name
    if other in names and other != own:
        raise Malformed(
            f"its filename is {brief(other, 200)}, by its own name it is of {brief(own, 200)}; make them alike"
        )
    if size := root.first("size"):
        sides = [read_number(size.text_of(side) or "0") for side in ("width", "height")]
        if any(side < 0 or side != int(side) for side in sides):
            raise Malformed(f"its size is {sides}; give whole numbers of pixels")
        marks.size = (int(sides[0]), int(sides[1])) if all(sides) else (0, 0)


def _read_object(told: Annotations, thing: Node, marks: Marks) -> None:
    name = check_name(thing.text_of("name"))
    boxes = thing.all("bndbox")
    if len(boxes) != 1:
        raise Malformed(f"'{name}' has {len(boxes)} times <bndbox>; give one")
    told_difficult = thing.text_of("difficult").strip() or "0"
    if told_difficult not in ("0", "1"):
        raise Malformed(f"difficult is {brief(told_difficult)}; give 0 or 1")
    sides = []
    for side in ("xmin", "ymin", "xmax", "ymax"):
        if len(boxes[0].all(side)) != 1:
            raise Malformed(f"bndbox has {len(boxes[0].all(side))} times <{side}>; give one")
        sides.append(read_number(boxes[0].text_of(side)))
    if told_difficult == "1":
        told.crowds += 1
    else:
        marks.add(name, (sides[0], sides[1], sides[2], sides[3]), thing.line)
