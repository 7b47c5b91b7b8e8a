"""From facts to advice. Every rule says what fired it; every threshold is a constant here, with its reason."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from dalib.advise.evidence import Gains, load_gains, rank
from dalib.advise.facts import SETTINGS, Facts, TaskFacts

SMALL_DISTANCE = 0.5
"""A-distance at which the domains count as alike: the domain classifier is right on at most 62.5 % of held-out rows."""
CENTRED = -0.3
"""… below which it says nothing: rows left out are told apart wrongly, as when each domain was centred by itself."""
LARGE_DISTANCE = 1.2
"""… as far apart: right on 80 % or more. mini_office: amazon and webcam 1.4, dslr and webcam 0.8; random halves 0.1."""
SMALL_GAIN = 0.02
"""Accuracy below which adapting is not worth a search: two or three points are what another seed moves."""
LARGE_GAIN = 0.10
"""Accuracy above which a few target labels are worth their price, whatever adapts."""
LABEL_SHIFT = 0.2
"""Total variation of class proportions: a fifth of the target's rows would have to change their class. Fires only when
it is also twice what two samples of these sizes show by chance."""
FEW_ROWS = 20
"""Rows per class (median, smaller domain) below which methods that are solved on frozen features come first."""
FEW_TARGET_LABELS = 10
"""Rows per target class (median) below which they serve better as labels than as a test."""
MANY_ROWS = 100
"""Rows per class from which fine-tuning the network is worth its hours."""
UNSURE = 100
"""Target rows below which one standard error of an accuracy near 80 % is four points or more."""
SHOTS = 3
"""Labelled target rows per class of the semi-supervised row, fewer where a class is smaller."""
REJECT = 0.5
"""Part of log K above which an entropy means `unknown`, for methods without an output for it (docs/suites.md)."""
ORDER = (*SETTINGS.values(), "unlabelled")


@dataclass(frozen=True)
class Finding:
    """What a rule concludes: the topic, the conclusion, and why."""

    rule: str
    text: str
    reason: str


@dataclass(frozen=True)
class Row:
    """A row of the suite: its label, what it says, and why it is there."""

    label: str
    settings: dict[str, Any]
    reason: str


@dataclass(frozen=True)
class Advice:
    """findings in the order of reading; rows in the order of trying; avoid: (algorithms, why not)."""

    tasks: tuple[TaskFacts, ...]
    findings: tuple[Finding, ...]
    rows: tuple[Row, ...]
    avoid: tuple[tuple[str, str], ...] = ()
    others: tuple[TaskFacts, ...] = ()
    gains: Gains = field(default_factory=dict, repr=False)

    @property
    def setting(self) -> str:
        return self.tasks[0].setting


BALANCED = {"train": {"sampler": "class_balanced"}}
MCC = Row("mcc", {}, "asks for decided predictions and aligns nothing, so class proportions do not mislead it")
JUMBOT = Row("jumbot", BALANCED, "unbalanced transport: rows without a partner stay out of the plan")
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
    gains = load_gains() if gains is None else gains
    groups: dict[tuple[str, Any, Any], list[TaskFacts]] = defaultdict(list)
    for t in facts.tasks:
        groups[t.setting, frozenset((*t.shared, *t.source_extra)), frozenset((*t.shared, *t.target_extra))].append(t)
    tasks = tuple(groups[min(groups, key=lambda key: (-len(groups[key]), ORDER.index(key[0])))])
    first, others = tasks[0], tuple(t for t in facts.tasks if t not in tasks)
    findings = [_setting(first), *_protocol(tasks), *_distance(tasks), *_proportions(tasks), *_rows(facts, tasks, gpu)]
    pool, avoid = _pool(tasks, gains)
    pool = _baselines(first.setting) + pool + (_several() if len(first.sources) > 1 else []) + _references(tasks)
    findings += [_sources(first)] if len(first.sources) > 1 else []
    return Advice(tasks, tuple(findings), tuple(pool), tuple(avoid), others, gains)


def is_alike(t: TaskFacts) -> bool:
    return CENTRED <= t.a_distance <= SMALL_DISTANCE


def is_small(tasks: tuple[TaskFacts, ...]) -> bool:
    """Every task has next to nothing to gain where labels tell, or domains alike and not much to gain."""
    return all(t.gain <= SMALL_GAIN or (is_alike(t) and not t.gain >= LARGE_GAIN) for t in tasks)


def has_label_shift(t: TaskFacts) -> bool:
    return t.shift >= LABEL_SHIFT and t.shift >= 2 * t.shift_chance


def is_few(tasks: tuple[TaskFacts, ...]) -> bool:
    return min(t.rows_per_class for t in tasks) < FEW_ROWS


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
        return [MCC, JUMBOT], avoid
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


def _setting(t: TaskFacts) -> Finding:
    classes = f"{len(t.shared)} shared classes"
    if t.setting == "partial":
        text = "partial target: PADA's setting; the suite names the classes of both sides"
        return Finding("partial", text, f"{classes}; {len(t.source_extra)} of the source's are not in the target")
    if t.setting == "open-set":
        text = f"open-set target: an algorithm must say `unknown`; read the table by target_h_score, reject = {REJECT}"
        return Finding("open-set", text, f"{classes}; the target has {len(t.target_extra)} that the source lacks")
    if t.setting == "open-partial":
        text = "each side has classes of its own: treated as open-set; no method here is built for both at once"
        return Finding(
            "open-set",
            text,
            f"{classes}; {len(t.source_extra)} in the source only, {len(t.target_extra)} in the target only",
        )
    if t.setting == "unlabelled":
        text = "closed-set is assumed: without target labels its classes cannot be compared"
        return Finding("unlabelled", text, f"'{t.target}' has no class folders or labels")
    return Finding(
        "closed-set", "closed-set: labelled source, unlabelled target (uda)", f"{classes}, none on one side only"
    )


def _protocol(tasks: tuple[TaskFacts, ...]) -> list[Finding]:
    found = []
    if tasks[0].setting == "unlabelled":
        text = "sort about 10 rows per class into classes to test on; a model can be trained before that"
        return [Finding("test", text, "nothing can be scored without target labels")]
    smallest, middle = min(t.target_smallest for t in tasks), min(t.target_median for t in tasks)
    if "open" not in tasks[0].setting and middle < FEW_TARGET_LABELS:
        if smallest > 1:
            text = "the few target labels help more in training: also run semi_supervised (few_labels) and supervised"
        else:
            text = "label a second row of every class, then the semi_supervised and supervised protocols can be run"
        found.append(Finding("few labels", text, f"{middle:.0f} target rows per class (median; < {FEW_TARGET_LABELS})"))
    best = max(tasks, key=lambda t: t.gain if not math.isnan(t.gain) else -1.0)
    if "open" not in tasks[0].setting and best.gain >= LARGE_GAIN:
        text = f"labels are worth up to {100 * best.gain:.0f} points: compare adaptation with labelling some rows"
        found.append(Finding("labels pay", text, f"{best.name}: {_accuracies(best)}"))
    small = min(tasks, key=lambda t: t.target_measured)
    if small.target_measured < UNSURE:
        error = math.sqrt(0.8 * 0.2 / max(small.target_measured, 1))
        text = f"differences below {200 * error:.0f} points mean nothing: use several seeds and more test rows"
        found.append(Finding("test noise", text, f"'{small.target}' has {small.target_measured} rows to test on"))
    return found


def _accuracies(t: TaskFacts) -> str:
    return f"source-only {100 * t.source_only:.0f} %, with target labels {100 * t.ceiling:.0f} %"


def _distance(tasks: tuple[TaskFacts, ...]) -> list[Finding]:
    far = max(tasks, key=lambda t: t.a_distance if not math.isnan(t.a_distance) else -1.0)
    if math.isnan(far.a_distance):
        return []
    right = 100 * (0.5 + far.a_distance / 4)
    told = f"{right:.0f} % of rows told apart"
    reason = f"{far.name}: A-distance {far.a_distance:.2f} ({told}), within a domain {far.a_within:.2f}"
    reason = reason.replace(" -", " −")
    if is_small(tasks):
        known = [t for t in tasks if not is_alike(t)]
        if known:
            worst = max(known, key=lambda t: t.gain)
            reason = f"{worst.name}: {_accuracies(worst)}"
        text = "little to adapt: source-only, a linear probe and fine-tuning on the source first"
        found = [Finding("small distance", text, reason)]
    elif all(is_alike(t) for t in tasks):
        found = [Finding("alike", "the domains look alike: there is little for an alignment to remove", reason)]
    elif far.a_distance < CENTRED:
        text = "the domain classifier is wrong on rows left out, so distances say nothing; judge by the accuracies"
        found = [Finding("centred", f"{text} (were the domains centred one by one?)", reason)]
    else:
        size = "far apart" if far.a_distance >= LARGE_DISTANCE else "apart"
        found = [Finding("large distance", f"the domains look {size}: adaptation is worth trying", reason)]
    alike = [t for t in tasks if is_alike(t) and t.gain >= LARGE_GAIN]
    if alike:
        text = "the domains look alike and yet the source's classifier fails: check labels, or label target rows"
        found.append(Finding("labels differ", text, f"{alike[0].name}: {_accuracies(alike[0])}"))
    return found


def _proportions(tasks: tuple[TaskFacts, ...]) -> list[Finding]:
    known = [t for t in tasks if not math.isnan(t.shift)]
    if not known:
        return []
    worst = max(known, key=lambda t: t.shift)
    reason = f"{worst.name}: class proportions differ by {worst.shift:.2f}, by chance {worst.shift_chance:.2f}"
    if any(has_label_shift(t) for t in known):
        text = "label shift: methods that do not match the marginals (mcc, jumbot), not balanced transport or alignment"
        return [Finding("label shift", text, reason)]
    safe = ": transport and alignment are safe" if tasks[0].setting == "closed-set" else " among the shared classes"
    return [Finding("balanced", f"class proportions agree{safe}", reason)]


def _rows(facts: Facts, tasks: tuple[TaskFacts, ...], gpu: bool) -> list[Finding]:
    least = min(tasks, key=lambda t: t.rows_per_class)
    reason = f"{least.name}: {least.rows_per_class:.0f} rows per class in the smaller domain (median)"
    name, weights = facts.material.backbone
    embedded = facts.material.embedded
    if is_few(tasks):
        what = f"keep {name} ({weights}) frozen" if embedded else "take the features as they are"
        even = tasks[0].setting in ("closed-set", "unlabelled") and not any(has_label_shift(t) for t in tasks)
        what += " and prefer methods in closed form" if even else ""
        return [Finding("few rows", what, f"{reason} (< {FEW_ROWS})")]
    if not embedded:
        return [Finding("features", "trained on the features as they are", reason)]
    if facts.material.kind == "features":
        text = f"features of a frozen {name} ({weights}) first; then train it too: the suite's last line"
        return [Finding("frozen", text, f"{reason}, and such a network is small")]
    if least.rows_per_class < MANY_ROWS or not gpu:
        why = f"{reason}; fine-tuning pays from {MANY_ROWS}" + ("" if gpu else ", and without a GPU it takes hours")
        return [Finding("frozen", f"features of a frozen {name} ({weights}) first", why)]
    text = f"frozen {name} ({weights}) first, in minutes; then remove `frozen` from the suite and fine-tune"
    return [Finding("fine-tune", text, f"{reason} (>= {MANY_ROWS}), and there is a GPU")]


def _sources(t: TaskFacts) -> Finding:
    text = f"tasks of several sources ({t.name}), with the methods made for them: mdan, m3sda"
    return Finding("several sources", text, f"{len(t.sources)} labelled domains beside '{t.target}'")
