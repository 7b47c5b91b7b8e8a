"""Boxes in COCO's JSON, one file for a domain."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from dalib.data.box_marks import Annotations, Malformed, Marks, brief, check_name, noting

MOST_DIGITS = 1000
"""Of a number; Python reads none of many thousands."""


def read_coco(member: str, content: bytes, find: Callable[[str], str | None]) -> Annotations:
    """The boxes of a COCO file: `images`, `categories` and `annotations` with `bbox` (left, top, width, height).

    Args
        find: file_name -> picture, None where it is not there; raises Malformed for what is no name
    """
    told = Annotations("COCO")
    try:
        document = json.loads(content, object_pairs_hook=_unique)
        listed = [_list_of(document, key) for key in ("images", "categories", "annotations")]
    except RecursionError:
        told.fault("unreadable", member, "", "brackets within brackets without end; this is no COCO file")
        return told
    except json.JSONDecodeError as error:
        told.fault("unreadable", member, f"line {error.lineno}", f"no JSON ({error.msg})")
        return told
    except ValueError as error:
        told.fault("unreadable", member, "", f"{error}"[:200])
        return told
    pictures: dict[Any, Marks | None] = {}
    taken: dict[str, str] = {}
    for i, entry in enumerate(listed[0]):
        noting(told, member, f"image {i + 1}", _read_image, told, member, entry, pictures, taken, find)
    kinds: dict[Any, str] = {}
    known: set[str] = set()
    for i, entry in enumerate(listed[1]):
        noting(told, member, f"category {i + 1}", _read_category, entry, kinds, known)
    told.names = list(kinds.values())
    for i, entry in enumerate(listed[2]):
        own = entry.get("id") if isinstance(entry, dict) else None
        place = own if isinstance(own, int) else brief(own) if isinstance(own, str) else f"number {i + 1}"
        noting(told, member, f"annotation {place}", _read_annotation, told, entry, place, pictures, kinds)
    return told


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise Malformed(f"'{next(n for n in names if names.count(n) > 1):.60}' is there twice in one object")
    return made


def _list_of(document: object, key: str) -> list[Any]:
    if not isinstance(document, dict) or not isinstance(document.get(key), list):
        raise Malformed(f"no list '{key}'; COCO's files of boxes have images, categories and annotations")
    return document[key]  # type: ignore[no-any-return]


def _is_key(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _entry(entry: object, *keys: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise Malformed(f"{brief(entry)} is no object")
    for key in keys:
        if key not in entry:
            raise Malformed(f"it has no '{key}'")
        if key != "bbox" and not _is_key(entry[key]):
            raise Malformed(f"its {key} is {brief(entry[key])}; give a whole number or a text")
    return entry


def _read_image(
    told: Annotations,
    member: str,
    entry: object,
    pictures: dict[Any, Marks | None],
    taken: dict[str, str],
    find: Callable[[str], str | None],
) -> None:
    picture = _entry(entry, "id", "file_name")
    if picture["id"] in pictures:
        raise Malformed(f"id {brief(picture['id'])} is that of another picture too")
    name = picture["file_name"]
    pictures[picture["id"]] = None
    if not isinstance(name, str):
        raise Malformed(f"its file_name is {brief(name)}; give a text")
    width, height = (_read_side(picture.get(side)) for side in ("width", "height"))
    path = find(name)
    if path is None:
        told.missing.append(name)
    elif path in taken:
        raise Malformed(
            f"file_name {brief(name, 200)} is the picture of {brief(taken[path], 200)} too; list every picture once"
        )
    else:
        taken[path] = name
        pictures[picture["id"]] = told.marks[path] = Marks(member, "annotation", (width, height))


def _read_side(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 and value == int(value):
        return int(value)
    raise Malformed(f"its width or height is {brief(value)}; give whole numbers of pixels")


def _read_category(entry: object, kinds: dict[Any, str], known: set[str]) -> None:
    category = _entry(entry, "id", "name")
    name = check_name(category["name"])
    if category["id"] in kinds:
        raise Malformed(f"id {brief(category['id'])} is that of '{kinds[category['id']]}' too")
    if name in known:
        raise Malformed(f"'{name}' is the name of another category too; give each a name of its own", "names")
    kinds[category["id"]] = name
    known.add(name)


def _read_annotation(
    told: Annotations, entry: object, place: int | str, pictures: Mapping[Any, Marks | None], kinds: Mapping[Any, str]
) -> None:
    box = _entry(entry, "image_id", "category_id", "bbox")
    if box["image_id"] not in pictures:
        raise Malformed(
            f"it is of picture {_key(box['image_id'], pictures)}, which is not listed in images", "no picture"
        )
    if box["category_id"] not in kinds:
        raise Malformed(f"its class {_key(box['category_id'], kinds)} is not in categories", "unknown class")
    bbox, crowd = box["bbox"], box.get("iscrowd", 0)
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_is_finite(v) for v in bbox):
        raise Malformed(f"its bbox is {brief(bbox, 100)}; give four finite numbers: left, top, width, height")
    if crowd not in (0, 1):
        raise Malformed(f"its iscrowd is {brief(crowd)}; give 0 or 1")
    left, top, width, height = map(float, bbox)
    marks = pictures[box["image_id"]]
    if marks is None:
        return
    if crowd:
        told.crowds += 1
        return
    if width <= 0 or height <= 0:
        raise Malformed(f"its bbox is {bbox}: {width:g} wide and {height:g} high", "no area")
    marks.add(kinds[box["category_id"]], (left, top, left + width, top + height), place)


def _key(value: object, known: Mapping[Any, Any]) -> str:
    """A key that is not known, and whether the same digits are, as a number or as a text."""
    text = str(value) if isinstance(value, int) else ""
    digits = isinstance(value, str) and value.isdecimal() and len(value) < MOST_DIGITS
    other = text or (int(str(value)) if digits else None)
    return f"{brief(value)}{f' ({brief(other)} is there)' if other in known else ''}"


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
