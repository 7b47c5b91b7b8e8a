"""A model's card: what its file says of itself, in words that a reader who never saw it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dalib.core.registry import ALGORITHMS, DATASETS, METRICS
from dalib.train.model_facts import read_facts

SEEN = {
    "imagenet": "ImageNet-1k, labels included",
    "pretrained": "drawn pictures of objects, which ship with dalib as weights",
    "none": "nothing: its weights were drawn at random before this training",
}
"""What a backbone has learnt from, by the name of its weights."""


def model_card(path: str | Path) -> str:
    """The card of a model file as Markdown with the front matter that Hugging Face reads.

    It says the data and their licence, the numbers and how many seeds they rest on, how the model was selected, what
    the backbone has seen before, and how to use the file. The licence of the model itself is its owner's to state.

    Raises
        DalibError: no model file
    """
    path = Path(path)
    facts = read_facts(path)
    extra, made = facts["extra"], facts["backbone"]
    name, dataset = facts["algorithm"], str(extra.get("dataset", ""))
    classes = [str(c) for c in facts["classes"]]
    front = {"library_name": "dalib", "tags": ["dalib", "domain-adaptation", "transfer-learning", name]}
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", ""]
    title = f"{name}, {extra['task']} of {dataset}" if "task" in extra else name
    lines += [f"# {_plain(title)}", "", _first_line(name), ""]
    lines += ["## Data", "", *_data(dataset, extra), ""]
    lines += ["## Numbers", "", *_numbers(extra), ""]
    lines += [f"## The network\n\n- backbone `{_plain(made['name'])}`, {'frozen' if made['frozen'] else 'trained'}"]
    seen = SEEN.get(str(made["weights"]), f"what the weights file `{_plain(str(made['weights']))}` was trained on")
    lines += [f"- it had seen before: {seen}"]
    if made["weights"] == "imagenet":
        lines += ["- classes that are among ImageNet's, or look like them, are easier for it than numbers suggest"]
    answers = "classes" if facts.get("objective", "classification") == "classification" else "answers"
    lines += [f"- {len(classes)} {answers}: {', '.join(map(_plain, classes[:50]))}{' …' if len(classes) > 50 else ''}"]
    lines += [f"- hyper-parameters: `{_plain(json.dumps(facts['hparams']))}`", ""]
    lines += ["## Use", "", "```", f"pip install dalib-toolkit\ndalib predict {path.name} PICTURES", "```", ""]
    lines += ["Licence of this model: not stated; its owner adds it here.", ""]
    return "\n".join(lines)


def _first_line(name: str) -> str:
    return _plain(ALGORITHMS.summary(name)) if name in ALGORITHMS else "An algorithm of a plug-in."


def _data(dataset: str, extra: Mapping[str, Any]) -> list[str]:
    kind = dataset.partition(":")[0]
    if not dataset:
        return ["Not stated in the file."]
    if kind not in DATASETS or ":" in dataset or kind == "image_folder":
        lines = [f"- `{_plain(Path(dataset).name)}`: data of the owner's; its licence is not known to dalib"]
    else:
        info = DATASETS.get(kind)
        lines = [f"- {_plain(info.title or kind)}", f"- licence: {_plain(info.licence) or 'not stated by its makers'}"]
        lines += [f"- from: {_plain(info.source)}"] if info.source else []
    protocol = extra.get("protocol", {}).get("name", "")
    lines += [f"- task {_plain(str(extra.get('task', '')))}, protocol {_plain(str(protocol))}"]
    lines += [f"- incomplete: {_plain(str(extra['partial']))}"] if extra.get("partial") else []
    return lines


def _numbers(extra: Mapping[str, Any]) -> list[str]:
    values, metric = extra.get("values") or {}, str(extra.get("metric", ""))
    if not values:
        return ["None are in the file: the rows it was made for had no labels."]
    unit = METRICS.get(metric).unit if metric in METRICS else ""
    rows = [f"| {_plain(str(k))} | {_show(float(v), unit)} |" for k, v in values.items()]
    return [
        f"| rows | {_plain(metric.replace('_', ' '))} |", "|---|---:|", *rows, "",
        f"One run, seed {extra.get('seed', '?')}: seeds differ, so one number is no comparison of methods. The model "
        "is the last one of its training; nothing was selected, by target labels or otherwise.",
    ]  # fmt: skip


def _show(value: float, unit: str) -> str:
    return f"{value:.2%}" if unit == "%" else f"{value:.4g}"


def _plain(text: str) -> str:
    """Shown as it is: no markup, no line of its own."""
    return " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|").replace("`", "'")
