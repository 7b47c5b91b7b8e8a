"""`dalib advise`: what the data look like, what to try first and why, and a suite that does it."""

from __future__ import annotations

import math
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dalib.cli._columns import print_columns
from dalib.cli._common import (
    DataRoot,
    Device,
    Plugins,
    SkipUnreadable,
    bold,
    choose,
    load_plugins,
    open_folder,
    progress_bar,
    split_names,
)
from dalib.core.text import hand_out, say, to_json

if TYPE_CHECKING:
    from dalib.advice.facts import Facts, TaskFacts
    from dalib.advice.rules import Advice


def advise_user(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A folder or zip of images, a feature file, or a data set's name.")
    ],
    source: Annotated[str, typer.Option(metavar="S", help="The labelled domain, or several as S1+S2.")] = "",
    target: Annotated[str, typer.Option(metavar="T", help="The domain to adapt to.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="SUITE.toml", help="Write a suite with the advice.")] = None,
    backbone: Annotated[
        str, typer.Option(metavar="B", help="Measure with it; default: tiny for drawn data, else resnet50 or resnet18.")
    ] = "",
    weights: Annotated[str, typer.Option(metavar="W", help="imagenet, pretrained, none or a file.")] = "",
    normalise: Annotated[
        list[str] | None, typer.Option(help="For features: row_sum, l2 or zscore; repeat for several, in order.")
    ] = None,
    rows: Annotated[int, typer.Option(metavar="N", help="Most rows of a domain that are measured.")] = 1000,
    skip_unreadable: SkipUnreadable = False,
    format: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    device: Device = "auto",
    data_root: DataRoot = None,
    plugin: Plugins = None,
) -> None:
    """Look at data, say which protocol, backbone and algorithms to try first and why, and write a suite for it."""
    choose("format", format, ("text", "json"))
    if out is not None:
        open_folder(out.parent, "--out in")
    load_plugins(plugin)
    from dalib.advice.advise import advise

    steps = split_names(normalise)
    measured_with: dict[str, Any] = {"backbone": backbone, "weights": weights, "normalise": steps, "root": data_root}
    measured_with["skip_unreadable"] = skip_unreadable
    with progress_bar(f"measuring {path}") as progress:
        advice = advise(path, source, target, rows=rows, device=device, out=out, progress=progress, **measured_with)
    if format == "json":
        hand_out(to_json(advice.to_dict()) + "\n")
        return
    print_facts(advice.facts)
    print_advice(advice)
    options = {"--backbone": backbone, "--weights": weights, "--normalise": ",".join(steps)}
    print_next(path, advice, out, {**options, "--data-root": str(data_root or "")})


def print_facts(facts: Facts) -> None:
    """Domains, classes, distances and accuracies as tables."""
    material, images = facts.material, facts.material.kind == "images"
    name, weights = material.backbone
    what = f"features of a frozen {name} ({weights})" if material.embedded else "features as they are"
    if material.normalise:
        what = f"features, normalised by {', '.join(material.normalise)}"
    say(bold(str(material.root or material.dataset)), f"  {material.kind}, {len(material.classes)} classes; {what}")
    for remark in material.remarks:
        say(f"note: {remark}")
    say("\n", bold("Domains"))
    domains = []
    for d in facts.domains:
        low, middle, high = d.rows_per_class
        per_class = f"{low} to {high}, median {middle:g}" if d.labelled else "unlabelled"
        balance = f"{d.balance:.1f}" if d.labelled else "–"
        row = [d.name, d.rows, d.classes or "–", per_class, balance]
        domains.append((*row, f"{d.side[0]} x {d.side[1]} px") if images else tuple(row))
    header = ("domain", "rows", "classes", "rows per class", "largest / smallest")
    print_columns(domains, (*header, "median size") if images else header)
    say("\n", bold("Classes"), "  label shift: total variation of class proportions")
    columns = ("task", "setting", "shared", "source only", "target only", "label shift", "by chance")
    print_columns([_class_row(t) for t in facts.tasks], columns)
    before = "; before zscore" if "zscore" in material.normalise else ""
    say("\n", bold("Distance"), f"  0 = the same, A-distance at most 2; within: random halves of one domain{before}")
    print_columns([_distance_row(t) for t in facts.tasks], ("task", "A-distance", "within", "MMD² x 1000", "within"))
    say("\n", bold("Accuracy"), "  of a linear probe in %; the last column: about the most that adapting can gain")
    tested = ("source, held-out", "target, source-only", "target, with target labels", "to gain")
    print_columns([_accuracy_row(t) for t in facts.tasks], ("task", *tested))


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def _class_row(t: TaskFacts) -> tuple[str, ...]:
    if t.setting == "unlabelled":
        return (t.name, t.setting, "?", f"{len(t.shared)} in all", "?", "–", "–")
    counts = (len(t.shared), len(t.source_extra), len(t.target_extra))
    return (t.name, t.setting, *map(str, counts), _number(t.shift, 2), _number(t.shift_chance, 2))


def _distance_row(t: TaskFacts) -> tuple[str, ...]:
    kernel = (_number(1000 * t.mmd2, 2), _number(1000 * t.mmd2_within, 2))
    return (t.name, _number(t.a_distance, 2), _number(t.a_within, 2), *kernel)


def _accuracy_row(t: TaskFacts) -> tuple[str, ...]:
    return (t.name, *(_number(100 * v, 1) for v in (t.source_held_out, t.source_only, t.ceiling, t.gain)))


def print_advice(advice: Advice) -> None:
    """Findings with their reasons, rows in the order of trying, what to leave out."""
    from dalib.advice.evidence import BASELINES

    say("\n", bold("Advice"), f"  for {', '.join(t.name for t in advice.tasks)}" if advice.others else "")
    for finding in advice.findings:
        say(f"- {finding.text}\n    why: {finding.reason}")
    kind = "committed tables" if advice.setting == "closed-set" else "committed tables, which are closed-set"
    say("\n", bold("Try first"), f"  measured: points over {BASELINES[0]} (else {BASELINES[1]}) in the {kind}")
    for number, row in enumerate(advice.rows, 1):
        say(f"{number:2}. {row.label}: {row.reason}")
        if row.label not in (BASELINES[0], "few_labels", "target_labels"):
            say(f"    measured: {advice.measured(row.label)}")
    if advice.avoid:
        say("\n", bold("Leave out for now"))
        for names, reason in advice.avoid:
            say(f"- {names}: {reason}")
    if advice.others:
        say(f"\nnot in the suite, for their classes differ: {', '.join(t.name for t in advice.others)};")
        say("ask for them with --source and --target")


def print_next(path: str, advice: Advice, out: Path | None, typed: dict[str, str]) -> None:
    """The commands to type next; typed: options that the call had."""
    say("\n", bold("Next"))
    suite, facts = quote(str(out)), advice.facts
    if facts.material.kind == "images" and Path(path).exists():
        say(f"dalib data verify {quote(path)}")
    if out is not None:
        say(f"dalib run {suite} --dry-run\ndalib run {suite}\ndalib table {suite} --summary")
    elif advice.setting == "unlabelled":
        print_training(path, facts, advice.tasks[0])
    else:
        options = {**_one_task(advice), **typed, "--out": "suite.toml"}
        words = " ".join(f"{k} {quote(v)}" for k, v in options.items() if v)
        say(f"dalib advise {quote(path)} {words}   # writes what is advised as a suite")


def print_training(path: str, facts: Facts, t: TaskFacts) -> None:
    """A model for a target without labels; path: not quoted yet."""
    material, (backbone, weights) = facts.material, facts.material.backbone
    images = material.kind == "images"
    first = "sort some images into class folders" if images else f"label some rows of '{t.target}'"
    say(f"no suite yet: the target has no labels to test on; {first} and ask again.")
    say("To train before that, type")
    data = f"--dataset image_folder --data-root {quote(path)}" if images else f"--dataset {quote(material.dataset)}"
    options = (" --partial" if material.partial else "") + (" --skip-unreadable" if material.skips else "")
    options += f" --normalise {','.join(material.normalise)}" if material.normalise else ""
    network = f" --backbone {backbone} --weights {quote(weights)} --backbone.frozen" if material.embedded else ""
    place = quote(f"{path}/{t.target}") if images else f"{quote(path)} --domain {quote(t.target)}"
    say(f"dalib train {data}{options} --source {quote('+'.join(t.sources))} \\")
    say(f"  --target {quote(t.target)} --algorithm mcc{network} --out model")
    say(f"dalib predict model.safetensors {place}")


def _one_task(advice: Advice) -> dict[str, str]:
    """Source and target where one task was measured."""
    t = advice.tasks[0]
    return {"--source": "+".join(t.sources), "--target": t.target} if len(advice.facts.tasks) == 1 else {}
