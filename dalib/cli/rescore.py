"""`dalib rescore`: new validators and metrics on old records."""

from __future__ import annotations

from pathlib import Path

from dalib.cli._common import Plugins, StoreRoot, SuiteName, load_plugins
from dalib.core.text import say


def rescore_records(suite: SuiteName, store: StoreRoot = Path("results/runs"), plugin: Plugins = None) -> None:
    """Score a suite's stored outputs by validators and metrics that its records lack; nothing is trained."""
    from dalib.bench.suite import find_suite_name
    from dalib.records.store import Store
    from dalib.scoring.rescore import rescore

    load_plugins(plugin)
    kept = Store(store)
    rescored = rescore(kept, kept.manifest(find_suite_name(suite)))
    left = {"complete already": rescored.complete, "without stored outputs": rescored.bare, "failed": rescored.failed}
    say(", ".join([f"{rescored.records} records rescored", *(f"{n} {what}" for what, n in left.items() if n)]))
