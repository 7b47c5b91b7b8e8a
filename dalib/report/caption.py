"""The sentences under a table: what was measured, on what, chosen how, and what is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from dalib.core.protocol import uses_target_labels
from dalib.core.registry import DATASETS, PROTOCOLS
from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.records.spec import BackboneSpec, RunSpec
from dalib.report.scale import Scale
from dalib.report.select import describe_rule, is_collapsed

UNSURE = "no probabilities"
KINDS = (
    UNSURE,
    "dead adversary",
    "beaten features",
    "collapsed predictions",
    "source accuracy falls",
    "lone validator",
    "unlearnt classes",
)
CHOSEN_ON = ("mini_office", "office_caltech10", "digits", "office_caltech10_surf", "jda_mnist_usps")
"""The pool on which the recipe's defaults were chosen (docs/recipe.md): data sets, and files of features."""
PARTIAL = "A PARTIAL COPY of the data set: not comparable with published numbers."


def write_caption(
    manifest: Manifest, records: Sequence[Record], expected: int, rule: str, scale: Scale, baseline: str
) -> str:
    """Title, data, protocol, network, seeds, selection, spread, and the runs that failed or are missing."""
    specs = [record.spec for record in records]
    sizes = ", ".join(f"{domain} {count}" for domain, count in manifest.counts.items())
    parts = [
        f"{manifest.title or manifest.name}.",
        f"{scale.name} on {manifest.dataset}{f' ({sizes})' if sizes else ''}.",
        PARTIAL if manifest.partial or any(spec.data.partial for spec in specs) else "",
        f"{manifest.note.rstrip('.')}." if manifest.note else "",
        word_rows(_setting(specs), manifest.dataset),
        _sight(specs, manifest.dataset),
        f"Selection, {describe_rule(rule, scale)}.",
        _spread(manifest),
        word_rows(_marks(specs, baseline, scale), manifest.dataset),
        _guarded(records, rule),
        _completeness(records, expected),
        _warnings(records, rule),
    ]
    return " ".join(part for part in parts if part)


def describe_data(manifest: Manifest, records: Sequence[Record], scale: Scale) -> str:
    """Metric, data with their sizes, whether they are a part, and the network."""
    specs = [record.spec for record in records]
    sizes = ", ".join(f"{domain} {count}" for domain, count in manifest.counts.items())
    backbones = dict.fromkeys(describe_backbone(spec.backbone) for spec in specs)
    parts = [
        f"{scale.name} on {manifest.dataset}{f' ({sizes})' if sizes else ''}.",
        PARTIAL if manifest.partial or any(spec.data.partial for spec in specs) else "",
        f"{manifest.note.rstrip('.')}." if manifest.note else "",
        f"Backbone {' / '.join(backbones)}." if backbones else "",
    ]
    return " ".join(part for part in parts if part)


def _sight(specs: Sequence[RunSpec], dataset: str) -> str:
    """Whether today's defaults were chosen with a known data set in sight; of runs of the recipe before, nothing."""
    if all(spec.train.initialisation != "torch" for spec in specs):
        return ""
    names = {PurePath(spec.data.dataset.partition(":")[2]).stem for spec in specs if ":" in spec.data.dataset}
    if {dataset, *names} & {*CHOSEN_ON}:
        return "The recipe's defaults were chosen with this data set in sight."
    declared = dataset in DATASETS and DATASETS.get(dataset).domains
    return "The recipe's defaults were chosen without this data set." if declared else ""


def word_rows(text: str, dataset: str) -> str:
    """A sentence about images as it is said of a data set whose rows are none."""
    name = dataset.partition(":")[0]
    return text.replace("images", DATASETS.get(name).rows if name in DATASETS else "rows")


def describe_backbone(spec: BackboneSpec) -> str:
    """`mobilenet_v2 (imagenet weights), frozen, pretrained on imagenet-1k`; a path is cut to its file name."""
    seen = f", pretrained on {' + '.join(spec.seen)}" if spec.seen else ""
    if spec.name == "identity":
        return f"features as given{seen}"
    weights = "random weights" if spec.weights == "none" else f"{PurePath(spec.weights).name} weights"
    return f"{spec.name} ({weights}), {'frozen' if spec.frozen else 'fine-tuned'}{seen}"


def _setting(specs: Sequence[RunSpec]) -> str:
    if not specs:
        return ""
    names = dict.fromkeys(spec.protocol.name for spec in specs if not uses_target_labels(spec.protocol.name))
    backbones = dict.fromkeys(describe_backbone(spec.backbone) for spec in specs)
    crops = sorted({spec.train.crop for spec in specs if spec.backbone.name != "identity"} - {0})
    inductive = sorted({spec.protocol.holdout for spec in specs} - {0.0})
    protocols = [f"Protocol {PROTOCOLS.get(name).describe(inductive)}" for name in names]
    clauses = [*protocols, f"backbone {' / '.join(backbones)}"]
    if crops:
        clauses.append(f"input {' / '.join(str(crop) for crop in crops)} px")
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _spread(manifest: Manifest) -> str:
    seeds = sorted({run.seed for run in manifest.runs})
    if len(seeds) == 1:
        return f"One seed ({seeds[0]}), hence no spread."
    return f"Mean ± standard deviation (n − 1) over {len(seeds)} seeds; Average: the same over per-seed task averages."


def _marks(specs: Sequence[RunSpec], baseline: str, scale: Scale) -> str:
    sentences = [f"▼: average {'below' if scale.higher_is_better else 'above'} {baseline}."] if baseline else []
    granting = sorted({spec.protocol.name for spec in specs if uses_target_labels(spec.protocol.name)})
    used = [PROTOCOLS.get(name).words if name in PROTOCOLS else name for name in granting]
    if used:
        sentences.append(f"Below the rule, for reference only, rows that use target labels ({'; '.join(used)}).")
    return " ".join(sentences)


def _guarded(records: Sequence[Record], rule: str) -> str:
    """How many candidates the diversity guard put last; empty where the rule knows no guard or it had nothing to do."""
    guarded = [r for r in records if r.status == "ok" and not r.spec.protocol.is_partial]
    candidates = [c for record in guarded for c in record.candidates]
    collapsed = sum(map(is_collapsed, candidates))
    if not collapsed or rule in ("last", "oracle"):
        return ""
    return f"Diversity guard: {collapsed} of {len(candidates)} points had collapsed and came last."


def _completeness(records: Sequence[Record], expected: int) -> str:
    failed = sum(record.status == "failed" for record in records)
    missing = expected - len(records)
    if not failed and not missing:
        return f"All {expected} runs succeeded."
    return (
        f"Of {expected} runs {failed} failed and {missing} are missing; an incomplete row is marked *, "
        "its average is over what there is, and it is neither ranked nor bold."
    )


def _warnings(records: Sequence[Record], rule: str) -> str:
    """`Warnings: dead adversary in 3 runs (dann 2, cdan 1).`: what the runs themselves found suspicious.

    That scores are no probabilities matters only where a validator chooses.
    """
    kinds: dict[str, Counter[str]] = {}
    for record in records:
        for sentence in record.warnings:
            kind = next((words for words in KINDS if sentence.startswith(words)), sentence)
            if kind == UNSURE and rule in ("last", "oracle"):
                continue
            kinds.setdefault(kind, Counter())[record.spec.algorithm] += 1
    parts = [
        f"{kind} in {sum(counts.values())} runs ({', '.join(f'{name} {n}' for name, n in counts.most_common(6))}"
        f"{', …' if len(counts) > 6 else ''})"
        for kind, counts in sorted(kinds.items())
    ]
    return f"Warnings: {'; '.join(parts)}." if parts else ""
