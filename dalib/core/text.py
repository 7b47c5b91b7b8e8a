"""Text for terminals and files: names come from folders, files and archives of others, and may hold anything."""

from __future__ import annotations

import json
import re
import sys
from typing import Any, TextIO

_HIDDEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_CONTROL = re.compile(f"[{_HIDDEN}]")
_COMPUTED = re.compile("(^|[;\t\r\n])(?=[=+\\-@\t\r\n＝＋－＠])")


class Styled(str):
    """Text that is fit for a terminal and may hold styles of dalib's own."""

    __slots__ = ()


def show_control(text: str) -> str:
    """The text with control characters (escape sequences, turns of direction, marks without width) spelled out.

    Line ends and tabs stay.
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def say(*parts: object, end: str = "\n", file: TextIO | None = None) -> None:
    """Print parts without a blank between them, control characters spelled out: the one way to a person's terminal.

    Args
        file: default: standard output
    """
    text = "".join(part if isinstance(part, Styled) else show_control(str(part)) for part in parts)
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
