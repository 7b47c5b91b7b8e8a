"""The advice as a suite file that `dalib run` takes as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dalib.advice.rules import Advice
from dalib.bench.suite import Suite, tomllib, validate
from dalib.core.errors import DalibError
from dalib.core.files import write_text
from dalib.core.text import show_control, to_json


def write_suite(advice: Advice, out: Path) -> None:
    """Write the suite; paths in it are relative to `out` where the data lie below its folder.

    Raises
        DalibError: the runner cannot take these data, or a target has no labels to test on
    """
    material = advice.facts.material
    if advice.setting == "unlabelled":
        bare = ", ".join(f"'{t.target}'" for t in advice.tasks if t.setting == "unlabelled")
        way = "sort some into class folders" if material.kind == "images" else "label some rows"
        raise DalibError(f"no suite {out}: {bare} has no labels to test on; {way} first")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", out.stem) or "suite"
    lines = [f"# Written by `dalib advise`: {advice.setting}, to be edited freely (docs/suites.md)."]
    lines += [line for f in advice.findings for line in (_comment(f"- {f.text}"), _comment(f"    why: {f.reason}"))]
    lines += [_pair("name", name), _pair("title", _title(advice))]
    lines += [_pair("dataset", _locate_dataset(material.dataset, out))]
    lines += [_pair("root", _locate(material.root, out))] if material.root else []
    lines += [_pair("partial", True)] if material.partial else []
    lines += [_pair("skip_unreadable", True)] if material.skips else []
    lines += [_pair("normalise", list(material.normalise))] if material.normalise else []
    lines += [_pair("tasks", [t.name for t in advice.tasks]), _pair("seeds", [0, 1, 2])]
    lines += [_pair("metric", "target_h_score")] if "open" in advice.setting else []
    protocol = _choose_classes(advice)
    if protocol:
        lines += ["", "[protocol]", *(_pair(k, v) for k, v in protocol.items())]
    backbone, weights = material.backbone
    if material.embedded:
        kept = {"name": backbone, "weights": _locate_weights(weights, out), "frozen": True}
        lines += ["", "[backbone]", *(_pair(k, v) for k, v in kept.items())]
    lines += ["", "[algorithms]"]
    for row in advice.rows:
        lines += [_comment(row.reason), f"{row.label} = {_value(row.settings)}"]
    if material.kind == "images" and any(f.rule in ("small distance", "fine-tune") for f in advice.findings):
        settings: dict[str, Any] = {"backbone": {"frozen": False}}
        lines += ["# the network trained end to end, which is much slower", f"# fine_tune = {_value(settings)}"]
    if material.kind == "features" and material.embedded:
        trains = {"backbone_rate": 1.0, "lr": 0.02}
        settings = {"algorithm": "source_only", "backbone": {"frozen": False}, "train": trains}
        lines += ["# the network trained too, from where it starts", f"# trained = {_value(settings)}"]
    text = "\n".join(lines) + "\n"
    validate(Suite, tomllib.loads(text), f"suite {out.name}")
    write_text(out, text)


def _title(advice: Advice) -> str:
    material = advice.facts.material
    name = Path(material.root or material.dataset.partition(":")[2] or material.dataset).stem
    return f"{name}, {', '.join(t.name for t in advice.tasks)}"


def _choose_classes(advice: Advice) -> dict[str, Any]:
    """source_classes and target_classes where the two differ or other domains have more."""
    t, order = advice.tasks[0], list(advice.facts.material.classes)
    source, target = (sorted((*t.shared, *extra), key=order.index) for extra in (t.source_extra, t.target_extra))
    if source == order and target == order:
        return {}
    return {"source_classes": source, "target_classes": target}


def _locate(path: Path | str, out: Path) -> str:
    here, there = out.parent.resolve(), Path(path).expanduser().resolve()
    return there.relative_to(here).as_posix() if there.is_relative_to(here) and there != here else str(there)


def _locate_dataset(dataset: str, out: Path) -> str:
    kind, colon, path = dataset.partition(":")
    return f"{kind}:{_locate(path, out)}" if colon else dataset


def _locate_weights(weights: str, out: Path) -> str:
    return _locate(weights, out) if Path(weights).suffix and Path(weights).is_file() else weights


def _comment(text: str) -> str:
    """One line; a line break in the name of a class or a folder begins no setting."""
    return f"# {show_control(text)}".replace("\n", "\\n").replace("\r", "\\r")


def _pair(key: str, value: Any) -> str:
    return f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    """A TOML value on one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{k} = {_value(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return to_json(value)
