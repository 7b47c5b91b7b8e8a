"""`dalib check PLUGIN.py`: the contract tests, one line each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dalib.cli._common import bold, colour
from dalib.core.text import say


def check_file(
    plugin: Annotated[Path, typer.Argument(metavar="PLUGIN.py", help="A file with plug-ins of any kind.")],
    slow: Annotated[bool, typer.Option("--slow", help="Also the checks that take seconds.")] = False,
) -> int:
    """Run the contract tests on a plug-in file; status 1 when one fails."""
    from dalib.checks import check_plugin

    results = check_plugin(plugin, slow=slow)
    subject = ""
    for result in results:
        if result.subject != subject:
            subject = result.subject
            say(bold(subject))
        mark = colour("✓", "32") if result.passed else colour("✗", "31")
        say("  ", mark, f" {result.name.replace('_', ' ')}", f": {result.message}" if result.message else "")
    failed = sum(not r.passed for r in results)
    say(f"{len(results) - failed} of {len(results)} checks passed")
    return 1 if failed else 0
