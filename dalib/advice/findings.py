"""What the facts say about setting, labels, distance, proportions and sizes; each finding with what it rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dalib.advice.facts import Facts, TaskFacts
from dalib.advice.thresholds import (
    CENTRED,
    FEW_ROWS,
    FEW_TARGET_LABELS,
    LARGE_DISTANCE,
    LARGE_GAIN,
    MANY_ROWS,
    REJECT,
    UNSURE,
    has_label_shift,
    is_alike,
    is_few,
    is_small,
)


@dataclass(frozen=True)
class Finding:
    """What a rule concludes: the topic, the conclusion, and why."""

    rule: str
    text: str
    reason: str


def describe_setting(t: TaskFacts) -> Finding:
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


def judge_labels(tasks: tuple[TaskFacts, ...]) -> list[Finding]:
    findings = []
    if tasks[0].setting == "unlabelled":
        text = "sort about 10 rows per class into classes to test on; a model can be trained before that"
        return [Finding("test", text, "nothing can be scored without target labels")]
    smallest, middle = min(t.target_smallest for t in tasks), min(t.target_median for t in tasks)
    if "open" not in tasks[0].setting and middle < FEW_TARGET_LABELS:
        if smallest > 1:
            text = "the few target labels help more in training: also run semi_supervised (few_labels) and supervised"
        else:
            text = "label a second row of every class, then the semi_supervised and supervised protocols can be run"
        findings.append(
            Finding("few labels", text, f"{middle:.0f} target rows per class (median; < {FEW_TARGET_LABELS})")
        )
    best = max(tasks, key=lambda t: t.gain if not math.isnan(t.gain) else -1.0)
    if "open" not in tasks[0].setting and best.gain >= LARGE_GAIN:
        text = f"labels are worth up to {100 * best.gain:.0f} points: compare adaptation with labelling some rows"
        findings.append(Finding("labels pay", text, f"{best.name}: {_accuracies(best)}"))
    small = min(tasks, key=lambda t: t.target_measured)
    if small.target_measured < UNSURE:
        error = math.sqrt(0.8 * 0.2 / max(small.target_measured, 1))
        text = f"differences below {200 * error:.0f} points mean nothing: use several seeds and more test rows"
        findings.append(Finding("test noise", text, f"'{small.target}' has {small.target_measured} rows to test on"))
    return findings


def _accuracies(t: TaskFacts) -> str:
    return f"source-only {100 * t.source_only:.0f} %, with target labels {100 * t.ceiling:.0f} %"


def judge_distance(tasks: tuple[TaskFacts, ...]) -> list[Finding]:
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
        findings = [Finding("small distance", text, reason)]
    elif all(is_alike(t) for t in tasks):
        findings = [Finding("alike", "the domains look alike: there is little for an alignment to remove", reason)]
    elif far.a_distance < CENTRED:
        text = "the domain classifier is wrong on rows left out, so distances say nothing; judge by the accuracies"
        findings = [Finding("centred", f"{text} (were the domains centred one by one?)", reason)]
    else:
        size = "far apart" if far.a_distance >= LARGE_DISTANCE else "apart"
        findings = [Finding("large distance", f"the domains look {size}: adaptation is worth trying", reason)]
    alike = [t for t in tasks if is_alike(t) and t.gain >= LARGE_GAIN]
    if alike:
        text = "the domains look alike and yet the source's classifier fails: check labels, or label target rows"
        findings.append(Finding("labels differ", text, f"{alike[0].name}: {_accuracies(alike[0])}"))
    return findings


def judge_proportions(tasks: tuple[TaskFacts, ...]) -> list[Finding]:
    known = [t for t in tasks if not math.isnan(t.shift)]
    if not known:
        return []
    worst = max(known, key=lambda t: t.shift)
    reason = f"{worst.name}: class proportions differ by {worst.shift:.2f}, by chance {worst.shift_chance:.2f}"
    if any(has_label_shift(t) for t in known):
        text = (
            "label shift: methods that do not match the marginals (mcc, jumbot) or find the proportions (label_shift), "
            "not balanced transport or alignment"
        )
        return [Finding("label shift", text, reason)]
    safe = ": transport and alignment are safe" if tasks[0].setting == "closed-set" else " among the shared classes"
    return [Finding("balanced", f"class proportions agree{safe}", reason)]


def judge_rows(facts: Facts, tasks: tuple[TaskFacts, ...], gpu: bool) -> list[Finding]:
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


def name_sources(t: TaskFacts) -> Finding:
    text = f"tasks of several sources ({t.name}), with the methods made for them: mdan, m3sda"
    return Finding("several sources", text, f"{len(t.sources)} labelled domains beside '{t.target}'")
