"""Text for terminals and files: names come from folders, files and archives of others, and may hold anything."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, TextIO

_HIDDEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_CONTROL = re.compile(f"[{_HIDDEN}]")
_STYLE = re.compile("\x1b\\[[0-9;]*m")
_COMMAND_LAST = re.compile("(?P<before>.*[:;] )(?P<command>dalib [^;]*)")
_COMPUTED = re.compile("(^|[;\t\r\n])(?=[=+\\-@\t\r\n＝＋－＠])")


class Styled(str):
    """Text that is fit for a terminal and may hold styles of dalib's own."""

    __slots__ = ()


def show_control(text: str) -> str:
    """The text with control characters (escape sequences, turns of direction, marks without width) spelled out.

    Line ends and tabs stay.
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def terminal_width(stream: TextIO) -> int | None:
    """Columns of the terminal behind a stream, or what COLUMNS says; None where there is none."""
    if not stream.isatty():
        return None
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def count_columns(text: str) -> int:
    """Columns of a terminal that a line takes: none for styles and combining marks, two for wide characters."""
    text = _STYLE.sub("", text)
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def fold(text: str, width: int) -> str:
    """Lines of at most `width` columns, divided between words; what follows hangs below the text of a list's item.

    A command to type stays in one piece, on a line of its own where it ends the text; so does a word that is longer,
    but for alternatives (`a|b|c`).
    """
    return "\n".join(part for line in text.split("\n") for part in _fold_line(line, width))


def _fold_line(line: str, width: int) -> Iterator[str]:
    start = re.match(r" *(- |\d+\. )?", line)
    hang = " " * (start.end() if start and start[1] else (start.end() if start else 0) + 2)
    if count_columns(line) <= width or line.lstrip().startswith("dalib "):
        yield line
        return
    ending = _COMMAND_LAST.fullmatch(line)
    if ending:
        yield from _fold_line(ending["before"].rstrip(), width)
        yield hang + ending["command"]
        return
    full = ""
    for word in _words(line, width - len(hang)):
        if full.strip() and count_columns(full + word) > width:
            yield full
            full = hang + word.lstrip()
        else:
            full += word
    yield full


def _words(line: str, room: int) -> Iterator[str]:
    """Words with the blanks before them; a choice (`one|another`) longer than `room` ends at any of its bars."""
    for word in re.findall(" *[^ ]+", line):
        yield from re.findall(r"[^|]+\|*|\|+", word) if count_columns(word) > room else [word]


def say(*parts: object, end: str = "\n", file: TextIO | None = None) -> None:
    """Print parts without a blank between them, control characters spelled out: the one way to a person's terminal.

    On a terminal, lines that are longer than it is wide are divided between words.

    Args
        file: default: standard output
    """
    text = "".join(part if isinstance(part, Styled) else show_control(str(part)) for part in parts)
    width = terminal_width(file or sys.stdout)
    text = text if width is None else fold(text, width)
    print(text, end=end, file=file, flush=file is not None)


def hand_out(text: str) -> int:
    """Data to standard output: as they are into a file or a pipe, control characters spelled out on a terminal."""
    return sys.stdout.write(show_control(text) if sys.stdout.isatty() else text)


def to_json(value: Any) -> str:
    """Indented JSON that can be looked at: of what is not ASCII only control characters and half ones are escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return re.sub(f"[{_HIDDEN}\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def disarm(value: object) -> object:
    """For CSV: a text that a spreadsheet would compute (after = + - @) gets an apostrophe in front; numbers stay.

    So does what follows a semicolon or a line end, where spreadsheets of some languages begin another cell.
    """
    if not isinstance(value, str) or not _COMPUTED.search(value):
        return value
    try:
        float(value)
    except ValueError:
        return _COMPUTED.sub(r"\1'", value)
    return value
