"""Small facts about files that take long to find, remembered in the cache; a damaged memo is found again."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from dalib.core.files import read_file, write_atomic


def read_memo(path: Path) -> dict[str, Any] | None:
    """What is remembered; None where there is nothing, or it is damaged or of an earlier dalib."""
    try:
        content = json.loads(read_file(path))
        text = content["files"]
        return dict(json.loads(text)) if content["crc"] == zlib.crc32(text.encode()) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def write_memo(path: Path, facts: dict[str, Any]) -> None:
    text = json.dumps(facts)
    write_atomic(path, json.dumps({"crc": zlib.crc32(text.encode()), "files": text}).encode())
