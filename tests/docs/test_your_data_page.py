"""Every row of docs/your-data.md on dead data names a test that is there; declared sets are in its table."""

from __future__ import annotations

import re
from pathlib import Path

from dalib.core.registry import DATASETS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "your-data.md").read_text(encoding="utf-8")


def test_every_row_names_a_test_that_is_there() -> None:
    table = PAGE[PAGE.index("| what you meet |") :].split("\n\n")[0].splitlines()[2:]
    named = [re.search(r"`(\S+\.py)::(\w+)` \|$", row) for row in table]
    assert len(table) >= 17 and all(named)
    for found in filter(None, named):
        assert f"def {found[2]}(" in (ROOT / "tests" / found[1]).read_text(encoding="utf-8")


def test_every_declared_set_is_in_the_table() -> None:
    infos = [DATASETS.get(name) for name in DATASETS.names()]
    declared = [info.name for info in infos if (info.domains or info.by_hand) and not info.generator]
    assert len(declared) > 20 and all(f"`{name}`" in PAGE for name in declared)
