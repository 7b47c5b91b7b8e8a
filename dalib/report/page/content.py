"""What the page holds: rows, tasks, runs, what every rule selects, and the studies that Python makes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from dalib.core.errors import DalibError
from dalib.core.protocol import uses_target_labels
from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.report.page.maps import Arrays, count_confusions, draw_maps
from dalib.report.page.packing import digits, pack_record, pack_setting, spell
from dalib.report.page.pictures import PICTURES, gather_pictures
from dalib.report.scale import Scale, scale_of
from dalib.report.select import describe_rule, rules, select
from dalib.report.source import RecordSource
from dalib.report.statistics import nemenyi_critical_difference
from dalib.report.summary import RULES
from dalib.report.table import build_table, short_columns
from dalib.report.validators import build_study

MISSING, FAILED, UNAVAILABLE = -1, -2, -3
"""What stands for a selected point where there is none."""
DRAW = 1000
"""A point is DRAW * (number of the draw) + (number of the candidate)."""
CURVE_NUMBERS = 100_000
"""Of all loss curves together; more are thinned, so that 2 000 runs stay below 5 MB."""

PAGE_BYTES, PICTURE_BYTES = 4_700_000, 1_000_000
"""Pictures take what the rest leaves of the first, and no more than the second."""


def build_content(
    source: RecordSource,
    suite: str,
    select_by: str = "",
    metric: str = "",
    *,
    data_root: str | Path | None = None,
    pictures: int = PICTURES,
) -> dict[str, Any]:
    """Everything as plain data. Whatever the page computes of it, tables compute alike.

    Args
        select_by, metric: what is shown first; empty = `last`, and the suite's metric
        data_root: where the pictures lie; None = `DALIB_DATA`
        pictures: most of them; 0 = none, and no data are opened

    Raises
        DalibError: an unknown suite, rule or metric
    """
    manifest = source.manifest(suite)
    records = {run.key: source.get(run.key) for run in manifest.runs if run.key in source}
    first = build_table(source, suite, select_by or "last", metric)
    good = [r for r in records.values() if r.status == "ok"]
    scales = _scales(good) or [scale_of(first.metric)]
    known, scores = rules(records.values()), sorted({s for r in good for c in r.candidates for s in c.scores})
    classes = list(dict.fromkeys(name for r in records.values() for name in r.per_class))
    every = list(records)
    number = {key: n for n, key in enumerate(every)}
    terms = sum(len(r.curve) for r in records.values())
    points = int(np.clip(CURVE_NUMBERS // max(terms, 1), 8, 50))
    groups, names = _group(manifest), [scale.metric for scale in scales]
    settings: dict[str, int] = {}
    packed = [pack_record(records[key], names, scores, classes, points) for key in every]
    for key, one in zip(every, packed, strict=True):
        one["setting"] = settings.setdefault(json.dumps(pack_setting(records[key])), len(settings))
    content: dict[str, Any] = {
        "suite": manifest.name, "title": manifest.title or manifest.name, "dataset": manifest.dataset,
        "baseline": first.baseline, "metric": first.metric, "select": first.select, "caption": first.caption,
        "created": manifest.created, "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "metrics": [_describe_scale(scale) for scale in scales],
        "rules": [{"name": rule, "words": describe_rule(rule)} for rule in known],
        "guide": next((rule for rule in RULES if rule in known), "last"),
        "tasks": [
            {"name": c.name, "short": c.short, "source": quote(c.source), "target": quote(c.target)}
            for c in short_columns(manifest.tasks)
        ],
        "scores": scores, "classes": classes,
        "rows": [_describe_row(label, manifest, records) for label in manifest.labels],
        "runs": [[manifest.labels.index(label), manifest.tasks.index(task), seed, [number.get(k, -1) for k in keys]]
                 for (label, task, seed), keys in groups.items()],
        "records": packed, "settings": [json.loads(text) for text in settings],
        "picks": _picks(groups, records, known, scales),
        "q": _quantiles(len(manifest.labels)),
        "validators": _validators(source, suite, names),
    }  # fmt: skip
    arrays = Arrays(source)
    content["confusions"] = count_confusions(manifest, records, arrays)
    content["maps"] = draw_maps(first, manifest, records, arrays)
    left = PAGE_BYTES - len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
    content["pictures"] = gather_pictures(
        manifest, first.baseline, records, arrays, data_root, pictures, min(PICTURE_BYTES, left)
    )
    told: dict[str, Any] = spell(content)
    return told


def _scales(records: Iterable[Record]) -> list[Scale]:
    """Of every metric that is registered; the others have no unit and direction here."""
    found = []
    for name in dict.fromkeys(m for r in records for c in r.candidates for m in c.metrics):
        try:
            found.append(scale_of(name))
        except DalibError:
            continue
    return sorted(found, key=lambda scale: (not scale.metric.startswith("target_"), scale.metric))


def _describe_scale(scale: Scale) -> dict[str, Any]:
    return {"name": scale.metric, "unit": scale.unit, "sign": scale.sign, "words": scale.name, "steps": scale.steps}


def _group(manifest: Manifest) -> dict[tuple[str, str, int], list[str]]:
    """(label, task, seed) -> keys of its draws, in order."""
    groups: dict[tuple[str, str, int], list[str]] = {}
    for run in sorted(manifest.runs, key=lambda run: run.draw):
        groups.setdefault((run.label, run.task, run.seed), []).append(run.key)
    return groups


def _picks(
    groups: dict[tuple[str, str, int], list[str]],
    records: dict[str, Record],
    known: tuple[str, ...],
    scales: Sequence[Scale],
) -> dict[str, list[int]]:
    """Rule -> the point that it selects in every group; the oracle's by metric as `oracle <metric>`."""
    wanted = [(rule, rule, Scale()) for rule in known if rule != "oracle"]
    wanted += [(f"oracle {scale.metric}", "oracle", scale) for scale in scales]
    picks: dict[str, list[int]] = {name: [] for name, _, _ in wanted}
    for keys in groups.values():
        draws = [records.get(key) for key in keys]
        for name, rule, scale in wanted:
            picks[name].append(_pick(draws, rule, known, scale))
    return picks


def _pick(draws: list[Record | None], rule: str, known: tuple[str, ...], scale: Scale) -> int:
    """As `dalib.report.table` takes it: all draws must be there, but for `last`, which reads the first only."""
    wanted = draws[:1] if rule == "last" else draws
    there = [record for record in wanted if record]
    if len(there) < len(wanted):
        return MISSING
    if all(record.status != "ok" for record in there):
        return FAILED
    chosen = select(there, rule, known, scale)
    for n, record in enumerate(there):
        for m, candidate in enumerate(record.candidates):
            if candidate is chosen:
                return DRAW * n + m
    return UNAVAILABLE


def _describe_row(label: str, manifest: Manifest, records: dict[str, Record]) -> dict[str, Any]:
    """Its settings: what all its runs share; `varies`: the rest, which tasks or a search change."""
    specs = [records[run.key].spec for run in manifest.runs if run.label == label and run.key in records]
    if not specs:
        return {"label": label, "algorithm": label, "reference": False, "settings": {}, "varies": []}
    flat = [_flatten(spec.model_dump(mode="json", exclude={"source", "target", "seed"})) for spec in specs]
    for settings, spec in zip(flat, specs, strict=True):
        settings["backbone.pretraining"] = list(spec.backbone.seen)
    shared = {k: v for k, v in flat[0].items() if all(other.get(k) == v for other in flat)}
    varies = sorted({k for settings in flat for k in settings} - set(shared))
    default = {f"train.{k}" for k in specs[0].train.model_dump()} - {
        f"train.{k}" for k in specs[0].train.model_dump(exclude_defaults=True)
    }
    return {
        "label": label, "algorithm": specs[0].algorithm, "protocol": specs[0].protocol.name,
        "backbone": specs[0].backbone.name, "reference": uses_target_labels(specs[0].protocol.name),
        "settings": shared, "varies": varies, "defaults": sorted(default & set(shared)),
    }  # fmt: skip


def _flatten(value: dict[str, Any], start: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, part in value.items():
        flat |= _flatten(part, f"{start}{key}.") if isinstance(part, dict) else {f"{start}{key}": part}
    return flat


def _quantiles(rows: int) -> list[float]:
    """By number of methods: Nemenyi's critical difference on one task; on n it is this over sqrt(n)."""
    return [0.0, 0.0, *(round(nemenyi_critical_difference(k, 1), 6) for k in range(2, rows + 1))]


def _validators(source: RecordSource, suite: str, metrics: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Metric -> lines of the study of validators, where there are runs with several points."""
    found = {}
    for metric in metrics:
        if metric.startswith("target_"):
            try:
                rows = build_study(source, suite, metric).rows
            except (DalibError, KeyError, IndexError):
                continue
            found[metric] = [{k: v if isinstance(v, str) else digits(v, 5) for k, v in row.items()} for row in rows]
            break  # of the first, for each takes seconds
    return found
