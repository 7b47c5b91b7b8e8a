"""A default may change only with the version of its part, for keys leave defaults out: two runs would share one key.

`python tests/records/test_defaults.py` writes the snapshot again.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dalib.core.protocol import ProtocolSpec
from dalib.core.registry import ALGORITHMS
from dalib.records.spec import BackboneSpec, DataSpec, RunSpec
from dalib.train.config import TrainConfig

SNAPSHOT = Path(__file__).with_name("defaults.json")
Part = dict[str, Any]


@cache
def parts() -> dict[str, Part]:
    """Name -> version and defaults of every algorithm that is shipped and every model of settings."""
    found: dict[str, Part] = {}
    for model in (RunSpec, DataSpec, ProtocolSpec, BackboneSpec, TrainConfig):
        fields = {k: f for k, f in model.model_fields.items() if not f.is_required()}
        defaults = {k: f.get_default(call_default_factory=True) for k, f in fields.items()}
        nested = {k: type(v).__name__ if hasattr(v, "model_dump") else v for k, v in defaults.items()}
        found[model.__name__] = {"version": model.VERSION, "defaults": nested}
    for name in sorted(ALGORITHMS.files()):
        cls = ALGORITHMS.get(name)
        found[f"algorithm {name}"] = {"version": cls.version, "defaults": cls.defaults()}
    return json.loads(json.dumps(found))


def compare(name: str, then: Part, now: Part) -> str:
    """What is wrong, or an empty string. A setting may be added; one that is there may change with the version only."""
    if now["version"] != then["version"]:
        return ""
    gone = [key for key in then["defaults"] if key not in now["defaults"]]
    changed = [k for k, v in then["defaults"].items() if k in now["defaults"] and now["defaults"][k] != v]
    if gone or changed:
        return f"{name}: {', '.join(gone + changed)} changed while version {now['version']} did not; raise it"
    return ""


@pytest.mark.parametrize("name", parts())
def test_no_default_changed_without_its_version(name: str) -> None:
    """Nor is one missing in the snapshot, which would leave it unguarded: python tests/records/test_defaults.py."""
    then = json.loads(SNAPSHOT.read_text(encoding="utf-8"))[name]
    assert not compare(name, then, parts()[name])
    assert then["version"] != parts()[name]["version"] or set(then["defaults"]) == set(parts()[name]["defaults"])


def test_the_snapshot_holds_nothing_that_is_gone_and_versions_only_rise() -> None:
    then, now = json.loads(SNAPSHOT.read_text(encoding="utf-8")), parts()
    assert len(then) > 80 and set(then) <= set(now)
    assert all(now[name]["version"] >= part["version"] for name, part in then.items())


def test_a_changed_or_missing_default_is_told_and_a_new_one_is_not() -> None:
    then = {"version": 1, "defaults": {"weight": 1.0}}
    assert "weight changed while version 1 did not" in compare("x", then, {"version": 1, "defaults": {"weight": 2.0}})
    assert "weight changed" in compare("x", then, {"version": 1, "defaults": {}})
    assert compare("x", then, {"version": 2, "defaults": {"weight": 2.0}}) == ""
    assert compare("x", then, {"version": 1, "defaults": {"weight": 1.0, "later": 3}}) == ""


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(parts(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"wrote {SNAPSHOT}")
