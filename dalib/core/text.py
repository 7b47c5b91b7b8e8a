"""Text for terminals and files: names come from folders, files and archives of others, and may hold anything."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def show_control(text: str) -> str:
    """The text with control characters (escape sequences, reversals of direction) spelled out; line ends and tabs stay."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
