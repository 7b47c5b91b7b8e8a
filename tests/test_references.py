"""Every paper that the code names has its entry in docs/references.bib."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dalib.core.registry import ALGORITHMS, DATASETS, MEASURES, METRICS, VALIDATORS

BIB = Path(__file__).parents[1] / "docs" / "references.bib"
KINDS = (ALGORITHMS, DATASETS, MEASURES, METRICS, VALIDATORS)
NAMED = [(registry, name) for registry in KINDS for name in registry.names()]


@pytest.mark.parametrize(("registry", "name"), NAMED, ids=lambda v: v if isinstance(v, str) else v.kind)
def test_the_paper_of_a_plug_in_is_in_the_bibliography(registry, name) -> None:
    key = registry.get(name).paper
    assert not key or key in re.findall(r"^@\w+\{([^,\s]+),", BIB.read_text(encoding="utf-8"), re.MULTILINE)
