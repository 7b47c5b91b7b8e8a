"""`dalib status`: how far a suite is, from another terminal or machine."""

from __future__ import annotations

from pathlib import Path

from dalib.cli._common import StoreRoot, SuiteName
from dalib.core.text import say


def show_status(suite: SuiteName, store: StoreRoot = Path("results/runs")) -> None:
    """Say what of a suite is done, running (where, since when), queued, failed and missing, and when it may end."""
    from dalib.bench.status import suite_status
    from dalib.report.reports import open_records

    _, name = open_records(suite, store)
    for line in suite_status(name, store).lines():
        say(" ".join(line.split("\n")))
