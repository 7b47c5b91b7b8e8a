"""The blocks of docs/beyond-images.md run as they stand, one after the other."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "beyond-images.md"


def test_the_blocks_run_and_what_they_train_is_better_than_chance() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)
    results = names["results"]
    chance = {"time series": 1 / 3, "own module": 1 / 3, "text": 1 / 2, "turned": 1 / 2}
    chance |= {"table": 0.1, "modalities": 0.1, "digit": 0.1}
    assert {name for name, _ in results} == set(chance)
    for name, level in chance.items():
        assert max(score for (of, _), score in results.items() if of == name) > 1.2 * level
    for name, method in (("time series", "MCC"), ("text", "MCC"), ("table", "AdaBN")):
        assert results[name, method] > results[name, "SourceOnly"] + 0.1
