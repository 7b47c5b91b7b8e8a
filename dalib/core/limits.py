"""How large what somebody else has packed may become: amounts that the environment raises."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dalib.core.errors import DalibError

MOST_TIMES = 100
"""What packs into less than this part of itself is no picture and no list of features."""

LARGEST_ANSWER = 1e18
"""Beyond it float32, in which numbers are learnt and measured, holds no squares of them."""


def amount_of(variable: str, default: str) -> int:
    """An amount from the environment: `500M`, `2G`, a plain number.

    Raises
        DalibError: it is none
    """
    text = os.environ.get(variable) or default
    parsed = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if not parsed or float(parsed[1]) <= 0:
        raise DalibError(f"{variable} = '{text}' is no amount; give for example 500M or 2G")
    return int(float(parsed[1]) * 1000 ** " KMGT".index(parsed[2].upper() or " "))


def largest_file() -> int:
    """Bytes of one file read out of an archive: `DALIB_MAX_FILE` (500M)."""
    return amount_of("DALIB_MAX_FILE", "500M")


def may_unpack(packed: int) -> int:
    """Bytes that a file of so many may unpack to: 100 times as many, `DALIB_MAX_FILE` at the least."""
    return max(MOST_TIMES * packed, largest_file())


def refuse_bomb(path: Path, unpacked: int, packed: int = 0) -> None:
    """DalibError where a file would unpack to more than `may_unpack`.

    Args
        packed: its bytes, where the path is a URL
    """
    packed = packed or path.stat().st_size
    if unpacked > may_unpack(packed):
        raise DalibError(
            f"{path} has {packed / 1e6:.1f} MB and would unpack to more than {may_unpack(packed) / 1e6:.0f} MB; if you "
            f"trust it, set DALIB_MAX_FILE={unpacked // 1_000_000 + 1}M or more"
        )
