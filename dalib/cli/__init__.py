"""The command `dalib`. A mistake is one line on stderr.

Exit status: 0 done, 1 done but something failed or was found, 2 a mistake of the user, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence

from dalib.core.errors import TakesLong
from dalib.core.text import say


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; `DALIB_DEBUG=1` shows tracebacks.

    Args
        argv: arguments without the program's name; None = sys.argv
    """
    from dalib.cli._app import run_command
    from dalib.cli._common import drop_empty_folders
    from dalib.cli._errors import explain, one_line

    args = list(sys.argv[1:] if argv is None else argv)
    _spare_encodings()
    try:
        heard: dict[str, None] = {}

        def hear(message: Warning | str, category: type[Warning], *where: object) -> None:
            text = one_line(str(message))
            if issubclass(category, TakesLong):  # said before it is waited for
                say(f"dalib: {text}", file=sys.stderr)
            else:
                heard[text] = None

        with warnings.catch_warnings():
            warnings.showwarning = hear  # type: ignore[assignment]
            status = run_command(args or ["--help"])
        sys.stdout.flush()
        for text in heard:
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
        drop_empty_folders()
        if line:
            say(f"dalib: {line}", file=sys.stderr)
        return status


def _spare_encodings() -> None:
    """What a terminal's encoding lacks is spelled out (`\\u2212`), so that no work ends in an error of printing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
