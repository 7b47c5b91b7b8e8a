"""Text for terminals and files: names come from folders, files and archives of others, and may hold anything."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def show_control(text: str) -> str:
    """The text with control characters (escape sequences, turns of direction) spelled out; line ends and tabs stay."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def disarm(value: object) -> object:
    """For CSV: a text that a spreadsheet would compute (after = + - @) gets an apostrophe in front; numbers stay."""
    if not isinstance(value, str) or value[:1] not in ("=", "+", "-", "@", "\t", "\r"):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
