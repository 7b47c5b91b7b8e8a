"""From a suite to its runs: data opened, names and hyper-parameters checked, keys known before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dalib.assemble import identify_weights
from dalib.bench.search import Draw, Values, check_space, draw_random, row_space
from dalib.bench.suite import SECTIONS, Suite
from dalib.core.errors import DalibError, unknown
from dalib.records.manifest import Cell, Manifest
from dalib.records.spec import BackboneSpec, DataSpec, RunSpec
from dalib.train.config import TrainConfig

if TYPE_CHECKING:
    from dalib.data.loaded import LoadedData


Weights = dict[str, BackboneSpec]
"""What a suite asks for -> the same with the hash of its weights."""


@dataclass(frozen=True)
class PlannedRun:
    """A cell of the table before it ran."""

    label: str
    spec: RunSpec
    key: str
    draw: int = 0


@dataclass(frozen=True)
class Plan:
    """runs: by seed, then task, then row, so that early tables are complete; note: how partial data differ;
    metric: what tables show, of the data's objective unless the suite names one; objective: what a label is;
    remarks: what the data were read as, and what was left out and why."""

    suite: Suite
    runs: list[PlannedRun]
    note: str
    counts: dict[str, int]
    metric: str = "target_accuracy"
    remarks: tuple[str, ...] = ()
    objective: str = "classification"

    def manifest(self) -> Manifest:
        """What `dalib table` needs, rows and tasks in the suite's order."""
        rows = list(self.suite.algorithms)
        tasks = list(dict.fromkeys(r.spec.task for r in self.runs))
        ordered = sorted(self.runs, key=lambda r: (rows.index(r.label), tasks.index(r.spec.task)))
        return Manifest(
            name=self.suite.name,
            title=self.suite.title,
            baseline=find_baseline(self.suite),
            metric=self.metric,
            note=self.note,
            partial=bool(self.note),
            dataset=self.suite.dataset.partition(":")[0],
            counts=self.counts,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            sha256=self.suite.sha256,
            sweep=self.suite.sweep.name,
            runs=[self._cell(r) for r in ordered],
        )

    def _cell(self, run: PlannedRun) -> Cell:
        sweep, row = self.suite.sweep.name, self.suite.algorithms[run.label].swept
        at = float(getattr(run.spec.protocol, sweep)) if row else 0.0
        return Cell(label=run.label, task=run.spec.task, seed=run.spec.seed, key=run.key, draw=run.draw, row=row, at=at)


def find_baseline(suite: Suite) -> str:
    """The label that tables compare with: as given, else the first `source_only` row, else an empty string.

    Of a swept row it is the copy at the first value.
    """
    copies = [label for label, row in suite.algorithms.items() if row.swept and row.swept == suite.baseline]
    if copies:
        return copies[0]
    if suite.baseline and suite.baseline not in suite.algorithms:
        raise unknown("row", suite.baseline, suite.algorithms, f"baseline of suite {suite.name}")
    first = (label for label, row in suite.algorithms.items() if row.algorithm == "source_only")
    return suite.baseline or next(first, "")


def _check_metric(suite: Suite, metric: str, objective: str) -> None:
    """DalibError for a metric that no run of the suite will have, before any is made."""
    from dalib.core.objective import find_objective
    from dalib.scoring.metrics import metrics_for

    side, _, name = metric.partition("_")
    names = metrics_for(objective)
    known = {"target": names, "source": names, "train": find_objective(objective).metrics[:1]}
    if metric != "domain_accuracy" and name not in known.get(side, ()):
        what = f"metric of suite {suite.name}; one of a plug-in needs --plugin FILE.py (dalib.load_plugin)"
        raise unknown("metric", metric, [f"target_{name}" for name in names], what)


def plan(suite: Suite, root: str | Path | None = None, draws: dict[str, list[Draw]] | None = None) -> Plan:
    """Open the data and list the runs.

    Args
        root: folder of the data; wins over the suite's own
        draws: label -> settings to run; the suite's own search decides unless given
    Raises
        DalibError: unknown names, bad hyper-parameters, data that are missing or not as declared
    """
    from dalib.core.objective import find_objective
    from dalib.data.catalog import load_data

    find_baseline(suite)
    where = str(root) if root else suite.root
    how: dict[str, Any] = {"normalise": suite.normalise, "skip_unreadable": suite.skip_unreadable}
    data = load_data(suite.dataset, where, partial=suite.partial, **how)
    tasks = _tasks(suite, data)
    if not tasks:
        bare = f"; {_say_unlabelled(data, ', '.join(data.unlabelled))}" if data.unlabelled else ""
        raise DalibError(f"suite {suite.name}: data set {data.name} has one labelled domain, and needs two{bare}")
    content = DataSpec(dataset=suite.dataset, partial=data.partial, fingerprint=data.fingerprint, **how)
    known: Weights = {}
    given = draws or random_draws(suite, data.objective)
    rows = [
        (label, number, _resolve_row(suite, label, draw, data, known))
        for label in suite.algorithms
        for number, draw in enumerate(given[label])
    ]
    runs = []
    for seed in suite.seeds:
        for source, target in tasks:
            for label, number, row in rows:
                spec = RunSpec(data=content, source=source, target=target, seed=seed, **row)
                runs.append(PlannedRun(label, spec, spec.key, number))
    metric = suite.metric or f"target_{find_objective(data.objective).metrics[0]}"
    _check_metric(suite, metric, data.objective)
    return Plan(suite, runs, data.note, dict(data.counts), metric, data.remarks, data.objective)


def random_draws(suite: Suite, objective: str = "classification") -> dict[str, list[Draw]]:
    """label -> its draws by random search; one, the row as it stands, without a search."""
    return {label: draw_random(suite.search, label, *searched(suite, label, objective)) for label in suite.algorithms}


def searched(suite: Suite, label: str, objective: str = "classification") -> tuple[dict[str, Values], dict[str, Any]]:
    """(what is searched for a row, the row's own values of it); nothing at a budget of one.

    objective: what a label of the data is, whose recipe the row's own values are of
    """
    from dalib.core.registry import ALGORITHMS

    search = suite.search
    if search.budget == 1:
        return {}, {}
    names = {row: list(ALGORITHMS.get(r.algorithm).defaults()) for row, r in suite.algorithms.items()}
    check_space(search, list(suite.algorithms), names, list(TrainConfig.model_fields))
    cls = ALGORITHMS.get(suite.algorithms[label].algorithm)
    space = row_space(search, label, cls.space)
    recipe = suite.recipe(label, objective=objective).model_dump()
    own = {**cls.defaults(), **suite.algorithms[label].hparams, **{f"train.{k}": v for k, v in recipe.items()}}
    return space, {name: own[name] for name in space}


def _say_unlabelled(data: LoadedData, name: str) -> str:
    way = "label some of its rows" if data.kind == "features" else "sort some of its images into class folders"
    return (
        f"{name} has no labels, so no table can say how good a model is on it: train one with dalib train "
        f"(dalib.fit), or {way}"
    )


def _tasks(suite: Suite, data: LoadedData) -> list[tuple[str, str]]:
    """(source, target) of every task, the sources of one in the data set's order."""
    from dalib.data.settings import pick_classes, split_task

    for label in suite.algorithms:
        protocol = suite.section(label, "protocol")
        for items in (protocol.source_classes, protocol.target_classes):
            pick_classes(data.classes, items)
    if isinstance(suite.tasks, str):
        named = data.tasks() if suite.tasks == "all" else data.multi_source_tasks()
        return [(task.partition("->")[0], task.partition("->")[2]) for task in named] if len(data.domains) > 1 else []
    if len(data.domains) > 1:
        for task in suite.tasks:
            bare = {*map(str.strip, task.split("->"))} & {*data.unlabelled, *data.absent}
            if "+" not in task and task not in data.tasks() and not bare:
                raise unknown("task", task, data.tasks(), f"suite {suite.name}, data set {data.name}")
    absent = {name: _say_unlabelled(data, name) for name in data.unlabelled} | data.absent
    split = [split_task(task, data.domains, absent) for task in suite.tasks]
    return [("+".join(sources), target) for sources, target in split]


def _resolve_row(suite: Suite, label: str, draw: Draw, data: LoadedData, known: Weights) -> dict[str, Any]:
    """The part of a RunSpec that a row and a draw decide, defaults filled in."""
    from dalib.core.objective import find_objective
    from dalib.core.registry import ALGORITHMS

    row = suite.algorithms[label]
    name = ALGORITHMS.canonical(row.algorithm)
    cls = ALGORITHMS.get(name)
    for key in row.hparams:
        if key not in cls.defaults():
            remedy = f"suite {suite.name}, [algorithms.{label}]"
            raise unknown(f"hyper-parameter of {name}", key, [*cls.defaults(), *SECTIONS, "algorithm"], remedy)
    algorithm = cls.create(name, {**row.hparams, **draw.hparams})
    algorithm.check()
    cls.check_objective(data.objective)
    if row.devices > 1 and find_objective(data.objective).structured:
        raise DalibError(
            f"suite {suite.name}: row {label}: devices = {row.devices}: what is predicted for {data.objective} cannot "
            "be shared by processes; leave devices out"
        )
    reject = suite.section(label, "protocol").reject
    if reject != 1:
        algorithm.need_probabilities(f"suite {suite.name}, row {label}: reject = {reject}")
    return {
        "algorithm": name,
        "algorithm_version": cls.version,
        "hparams": algorithm.hparams,
        "protocol": suite.section(label, "protocol"),
        "train": suite.recipe(label, draw.train, data.objective),
        "backbone": _identify(suite, suite.section(label, "backbone"), data, cls.needs_head, known),
    }


def _identify(suite: Suite, spec: BackboneSpec, data: LoadedData, head: bool, known: Weights) -> BackboneSpec:
    """The backbone with the hash of its weights, those of its classifier included where the algorithm uses it."""
    from dalib.backbones import takes_rows
    from dalib.backbones._pretraining import check_pretraining
    from dalib.data.backbone import backbone_for, check_backbone

    if data.kind == "features" and spec.name != "identity" and not takes_rows(spec.name):
        raise DalibError(f"suite {suite.name}: feature data take no backbone, not {spec.name}; remove [backbone]")
    if data.kind != "features" and spec.name == "identity":
        raise DalibError(f'suite {suite.name}: images need a backbone; add [backbone] with name = "resnet50"')
    check_backbone(data, spec.name)
    check_pretraining(spec.pretraining)
    if spec.name == "identity":
        return BackboneSpec(pretraining=spec.pretraining)
    asked = f"{head} {spec.model_dump_json()}"
    if asked not in known:
        how: dict[str, Any] = {"frozen": spec.frozen, "seed": 0, "head": head, "options": spec.options}
        known[asked] = identify_weights(spec, backbone_for(data, spec.name, spec.weights, **how))
    return known[asked]
