"""From facts to advice: which tasks, which findings, which rows to try in which order, and what to leave out."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from dalib.advice.evidence import Gains, describe, load_gains, rank, suit
from dalib.advice.facts import SETTINGS, Facts, TaskFacts
from dalib.advice.findings import (
    Finding,
    describe_setting,
    judge_distance,
    judge_labels,
    judge_proportions,
    judge_rows,
    name_sources,
)
from dalib.advice.thresholds import (
    FEW_ROWS,
    FEW_TARGET_LABELS,
    LARGE_GAIN,
    REJECT,
    SHOTS,
    has_label_shift,
    is_alike,
    is_few,
    is_small,
)

ORDER = (*SETTINGS.values(), "unlabelled")


@dataclass(frozen=True)
class Row:
    """A row of the suite: its label, what it says, and why it is there."""

    label: str
    settings: dict[str, Any]
    reason: str


@dataclass(frozen=True)
class Advice:
    """What to try first and why.

    facts: what was measured
    tasks: those that the advice is for; others: those whose classes differ from theirs
    findings: in the order of reading; rows: in the order of trying; avoid: (algorithms, why not)
    gains: what committed tables of this setting say, suite -> row -> points over the baseline
    """

    facts: Facts = field(repr=False)
    tasks: tuple[TaskFacts, ...]
    findings: tuple[Finding, ...]
    rows: tuple[Row, ...]
    avoid: tuple[tuple[str, str], ...] = ()
    others: tuple[TaskFacts, ...] = ()
    gains: Gains = field(default_factory=dict, repr=False)

    @property
    def setting(self) -> str:
        return self.tasks[0].setting

    def measured(self, label: str) -> str:
        """What the committed tables say about a row."""
        return describe(label, self.gains)

    def to_dict(self) -> dict[str, Any]:
        """Facts and advice as JSON knows them; numbers that cannot be measured are None."""
        facts = self.facts
        content = {
            "domains": [asdict(d) for d in facts.domains],
            "tasks": [asdict(t) | {"name": t.name, "gain": t.gain} for t in facts.tasks],
            "backbone": facts.material.backbone,
            "remarks": facts.material.remarks,
            "setting": self.setting,
            "findings": [asdict(f) for f in self.findings],
            "rows": [asdict(r) | {"measured": self.measured(r.label)} for r in self.rows],
            "avoid": [{"algorithms": names, "reason": reason} for names, reason in self.avoid],
            "covered": [t.name for t in self.tasks],
        }
        return {key: _without_nan(value) for key, value in content.items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


BALANCED = {"train": {"sampler": "class_balanced"}}
MCC = Row("mcc", {}, "asks for decided predictions and aligns nothing, so class proportions do not mislead it")
JUMBOT = Row("jumbot", BALANCED, "unbalanced transport: rows without a partner stay out of the plan")
LABEL_SHIFT = Row(
    "label_shift", {}, "closed form: finds the target's class proportions and puts them in place of the source's"
)
OT_CLASS = Row(
    "ot_map_class",
    {"algorithm": "ot_map", "method": "class_regularised"},
    "closed form: carries source rows onto the target, rows of one class together",
)
OT_SINKHORN = Row(
    "ot_map_sinkhorn", {"algorithm": "ot_map", "method": "sinkhorn"}, "closed form: the same without source labels"
)
DANN = Row("dann", {"hidden": 256}, "adversarial alignment; both domains have the same classes in similar proportions")
DANN_MCC = Row(
    "dann_mcc",
    {"algorithm": ["dann", "mcc"], "dann": {"hidden": 256}},
    "both at once: alignment and decided predictions",
)
MEDA = Row("meda", {}, "closed form: a kernel classifier, smooth over neighbours, whose class means agree")
JDA = Row("jda", {}, "closed form: aligns class by class in a subspace")
EASY_TL = Row("easy_tl", {}, "closed form, nothing to tune")
PADA = Row("pada", {"hidden": 256}, "weights down the source classes that the target does not show")
OSBP = Row("osbp", {}, "learns an output of its own for what is none of the known classes")
MDAN = Row("mdan", {"hidden": 256}, "one discriminator per source; the hardest source counts most")
M3SDA = Row("m3sda", {}, "matches the moments of every source with the target's and with each other's")


def decide(facts: Facts, gains: Gains | None = None, gpu: bool = False) -> Advice:
    """Advice for tasks that share their classes: the largest such group; of equal ones closed-set before partial ….

    Args
        gains: what was measured elsewhere; None = the committed tables
        gpu: fine-tuning takes minutes rather than hours
    """
    groups: dict[tuple[str, Any, Any], list[TaskFacts]] = defaultdict(list)
    for t in facts.tasks:
        groups[t.setting, frozenset((*t.shared, *t.source_extra)), frozenset((*t.shared, *t.target_extra))].append(t)
    tasks = tuple(groups[min(groups, key=lambda key: (-len(groups[key]), ORDER.index(key[0])))])
    first, others = tasks[0], tuple(t for t in facts.tasks if t not in tasks)
    gains = suit(load_gains() if gains is None else gains, first.setting, len(first.sources) > 1)
    findings = [
        describe_setting(first),
        *judge_labels(tasks),
        *judge_distance(tasks),
        *judge_proportions(tasks),
        *judge_rows(facts, tasks, gpu),
    ]
    pool, avoid = _pool(tasks, gains)
    pool = _baselines(first.setting) + pool + (_several() if len(first.sources) > 1 else []) + _references(tasks)
    findings += [name_sources(first)] if len(first.sources) > 1 else []
    return Advice(facts, tasks, tuple(findings), tuple(pool), tuple(avoid), others, gains)


def _pool(tasks: tuple[TaskFacts, ...], gains: Gains) -> tuple[list[Row], list[tuple[str, str]]]:
    """(what to try after the baselines, what to leave out and why)."""
    setting = tasks[0].setting
    if "open" in setting:
        why = "they pull every target row towards the source, those of foreign classes too"
        return [OSBP], [("dann, mmd, mcc, ot_map", why)]
    if setting == "partial":
        why = "they spread the source's surplus classes over the target"
        return [PADA, MCC], [("dann, mmd, coral, ot_map, deep_jdot, jumbot", why)]
    if is_small(tasks):
        return [], [("adaptation", "nothing to remove: it can only cost accuracy here")]
    few = is_few(tasks)
    if any(has_label_shift(t) for t in tasks):
        avoid = [
            ("ot_map, deep_jdot", "a balanced plan moves rows into other classes when proportions differ"),
            ("dann, mmd, coral", "equal marginals force unequal classes on top of each other"),
        ]
        return [MCC, LABEL_SHIFT, JUMBOT], avoid
    rows, avoid = [MCC, OT_CLASS], []
    if all(is_alike(t) for t in tasks):
        avoid = [("dann, mmd, coral", "there is nothing for them to align")]
    elif few:
        rows += [OT_SINKHORN, MEDA, EASY_TL, JDA]
        avoid = [("dann, cdan, mcd", f"fewer than {FEW_ROWS} rows per class are little for an adversary")]
    else:
        rows += [OT_SINKHORN, DANN, DANN_MCC]
    order = rank([r.label for r in rows], gains)
    return sorted(rows, key=lambda r: order.index(r.label)), avoid


def _baselines(setting: str) -> list[Row]:
    reject = {"protocol": {"reject": REJECT}} if "open" in setting else {}
    more = f"; rows of entropy above {REJECT} log K count as unknown" if reject else ""
    return [
        Row("source_only", reject, f"no adaptation: what everything else has to beat{more}"),
        Row("linear_probe", reject, f"the same, solved instead of descended{more}"),
    ]


def _several() -> list[Row]:
    return [MDAN, M3SDA]


def _references(tasks: tuple[TaskFacts, ...]) -> list[Row]:
    """Rows that use target labels; not in an open-set task, where protocols grant none."""
    smallest = min(t.target_smallest for t in tasks)
    if smallest < 2 or "open" in tasks[0].setting:
        return []
    rows = []
    scarce = min(t.target_median for t in tasks) < FEW_TARGET_LABELS
    if scarce or any(t.gain >= LARGE_GAIN for t in tasks):
        shots = min(SHOTS, smallest - 1)
        few = {"algorithm": "linear_probe", "protocol": {"name": "semi_supervised", "shots": shots}}
        rows.append(
            Row("few_labels", few, f"source and {shots} labelled target rows per class: what labels would bring")
        )
    half = {"algorithm": "linear_probe", "protocol": {"name": "supervised"}}
    rows.append(Row("target_labels", half, "half of the target labelled: a reference, not a competitor"))
    return rows
