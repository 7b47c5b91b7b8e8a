"""The command `dalib`, started from outside the package, so that it can say which `dalib` Python finds."""

from __future__ import annotations

import sys


def find_fault() -> str:
    """Why `import dalib` does not give this package; empty where it does."""
    try:
        import dalib
    except ImportError as error:
        return str(error)
    if getattr(dalib, "__distribution__", "") == "dalib-toolkit":
        return ""
    place = getattr(dalib, "__file__", None) or "a folder without __init__.py"
    return (
        f"`import dalib` finds {place}, which is not dalib-toolkit but another package of that name, or what was left "
        "of one: pip uninstall -y dalib dalib-toolkit, then install dalib-toolkit again"
    )


def main() -> int:
    """Run the command line; a mixture with another `dalib` is one line and status 2."""
    fault = find_fault()
    if fault:
        print(f"dalib: {fault}", file=sys.stderr)
        return 2
    from dalib.cli import main as run

    return run()
