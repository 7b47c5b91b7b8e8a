"""The command `dalib`. A mistake is one line on stderr.

Exit status: 0 done, 1 done but something failed or was found, 2 a mistake of the user, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence

from dalib.core.text import say


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; `DALIB_DEBUG=1` shows tracebacks.

    Args
        argv: arguments without the program's name; None = sys.argv
    """
    from dalib.cli._app import run_command
    from dalib.cli._errors import explain, one_line

    args = list(sys.argv[1:] if argv is None else argv)
    _spare_encodings()
    try:
        with warnings.catch_warnings(record=True) as caught:
            status = run_command(args or ["--help"])
        sys.stdout.flush()
        for text in dict.fromkeys(one_line(str(w.message)) for w in caught):
            say(f"dalib: warning: {text}", file=sys.stderr)
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except BaseException as error:
        if os.environ.get("DALIB_DEBUG", "0") not in ("", "0"):
            raise
        explained = explain(error, args)
        if explained is None:
            raise
        line, status = explained
        if line:
            say(f"dalib: {line}", file=sys.stderr)
        return status


def _spare_encodings() -> None:
    """What a terminal's encoding lacks is spelled out (`\\u2212`), so that no work ends in an error of printing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
