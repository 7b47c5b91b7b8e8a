"""Boxes in YOLO's lines, one file for a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dalib.data.box_marks import Annotations, Malformed, Marks, brief, noting, read_number, refuse_empty


def read_yolo(files: Iterable[tuple[str, str, bytes]], names: Sequence[str]) -> Annotations:
    """The boxes of YOLO's files, one for each picture: lines `class x y width height`, the middle and the sides in
    parts of the picture's.

    Args
        files: (file, picture, content)
        names: of the classes, whose position is the number in the files
    """
    told = Annotations("YOLO", names=list(names))
    for member, picture, content in files:
        marks = told.marks[picture] = Marks(member, "line", relative=True)
        try:
            lines = content.decode("utf-8-sig").split("\n")
        except UnicodeDecodeError:
            told.fault("unreadable", member, "", "no text in UTF-8")
            continue
        for number, line in enumerate(lines, 1):
            if line.strip():
                noting(told, member, f"line {number}", _read_line, line.split(), number, marks, names)
        refuse_empty(told, marks)
    return told


def _read_line(words: Sequence[str], number: int, marks: Marks, names: Sequence[str]) -> None:
    if len(words) != 5:
        raise Malformed(
            f"it has {len(words)} columns; a box has 5: class x y width height (outlines and turned boxes have more)"
        )
    kind, x, y, width, height = map(read_number, words)
    if kind != int(kind) or kind < 0:
        raise Malformed(f"class {brief(words[0])}; give a whole number from 0")
    if kind >= len(names):
        raise Malformed(
            f"class {int(kind)}, but {len(names)} classes have names (0 to {len(names) - 1})", "unknown class"
        )
    if max(abs(x), abs(y), width, height) > 2:
        raise Malformed(
            f"{brief(' '.join(words[1:]), 100)}; x, y, width and height are parts of the picture's sides, 0 to 1"
        )
    marks.add(names[int(kind)], (x - width / 2, y - height / 2, x + width / 2, y + height / 2), number)
