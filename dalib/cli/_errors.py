"""What went wrong, in one line, and the exit status that goes with it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence

from dalib.core.errors import DalibError, Diverged
from dalib.core.text import show_control

_OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory|not enough memory|cannot allocate memory", re.I).search
REMEDIES = {
    errno.ENOSPC: "the disk is full: make room or choose another folder",
    errno.EDQUOT: "the quota is used up: make room or choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
    errno.EIO: "the disk or network drive fails: try again or choose another folder",
}
"""What helps against an error of the system, by its number."""
MISTAKE, FAILED, INTERRUPTED = 2, 1, 130


def explain(error: BaseException, args: Sequence[str] = ()) -> tuple[str, int] | None:
    """(line, exit status) for what a user can cause; None for a defect of dalib, whose traceback is wanted."""
    kind = type(error).__name__
    if isinstance(error, DalibError):
        return one_line(str(error)), MISTAKE
    if kind == "NotConverged":
        return one_line(str(error)), MISTAKE
    if isinstance(error, Diverged):
        return one_line(str(error)), FAILED
    if isinstance(error, KeyboardInterrupt) or kind == "Abort":
        return "interrupted", INTERRUPTED
    if isinstance(error, SystemExit):
        return "", error.code if isinstance(error.code, int) else MISTAKE
    if hasattr(error, "format_message"):
        return _usage_line(error, args), MISTAKE
    if kind in ("OutOfMemoryError", "MemoryError") or (isinstance(error, RuntimeError) and _OUT_OF_MEMORY(str(error))):
        return (
            f"out of memory ({one_line(str(error))[:80]}); lower --batch-size or --crop, or use --backbone.frozen",
            MISTAKE,
        )
    if isinstance(error, OSError):
        where = f"{one_line(os.fsdecode(str(error.filename)))}: " if error.filename else ""
        remedy = REMEDIES.get(error.errno or 0, "check the path and its permissions")
        return f"{where}{error.strerror or one_line(str(error))}; {remedy}", MISTAKE
    return None


def one_line(text: str) -> str:
    """The text without line breaks and control characters."""
    return show_control(" ".join(text.split()))


def _usage_line(error: BaseException, args: Sequence[str]) -> str:
    """Typer's own complaint about the command line, with the value given and the help that lists what is right."""
    text = one_line(error.format_message()).rstrip(".")  # type: ignore[attr-defined]
    parsed = getattr(error, "ctx", None)
    command = parsed.command_path if parsed else "dalib"
    option = re.search(r"'(--[\w-]+)'", text)
    if option:
        words = [word for arg in args for word in arg.split("=", 1)]
        value = words[words.index(option[1]) + 1 :][:1] if option[1] in words else []
        text = text.replace(option[0], " ".join([option[1], *(v for v in value if v not in text)]))
    return f"{text[:1].lower()}{text[1:]} (see {command} --help)"
