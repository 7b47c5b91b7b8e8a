"""`dalib.evaluate`: how good a trained model is on labelled rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dalib.core.backbone import Preprocess
from dalib.core.errors import DalibError
from dalib.core.objective import says_nothing
from dalib.core.types import Domain, Outputs, name_unknown
from dalib.data.catalog import load_data
from dalib.data.given_rows import check_domain
from dalib.data.loaded import LoadedData
from dalib.data.recognise import guess_dataset
from dalib.prediction import normalise_as_trained
from dalib.scoring.expected import ExpectedAccuracy, expected_accuracy
from dalib.scoring.metrics import class_metrics, dense_metrics, measure, output_metrics
from dalib.scoring.outside import answer_rows, read_logits, write_record
from dalib.train.fitted import Fitted
from dalib.train.model_file import load_model

LABELS_ONLY = 8
"""Side in pixels at which images are opened whose labels alone are wanted."""

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` returns.

    metrics: name -> value, every registered metric that applies to the model's kind of answer (`dalib list metrics`)
    per_class: of classes that occur, class -> `precision`, `recall`, `f1`, `n`; of masks they count pixels, and `iou`
        is there too; of boxes `ap`, `ap50`, `n`; empty where answers are no classes
    per_output: of answers that are no classes, output -> every metric of it alone, and `n`
    rows: how many were measured
    remarks: what the data were read as, and what was left out and why
    expected: the accuracy that would have been expected without the labels; None where the model's file cannot say
    """

    metrics: dict[str, float]
    per_class: dict[str, dict[str, float]]
    rows: int
    remarks: tuple[str, ...] = ()
    expected: ExpectedAccuracy | None = None
    about: dict[str, Any] = field(default_factory=dict, repr=False)
    per_output: dict[str, dict[str, float]] = field(default_factory=dict)

    def write_record(self, path: str | Path, label: str, task: str, *, seed: int = 0) -> Path:
        """An archive of this one run, as `dalib export` writes them: `dalib table suite.jsonl mine.jsonl` joins it.

        Args
            path: of the file; `.jsonl` is added
            label: what its row is called
            task: `amazon->webcam`; the second must be the domain that was measured
            seed: of its training

        Raises
            DalibError: rows that were no domain of a data set by name, another target
        """
        if not self.about.get("dataset"):
            raise DalibError(
                "a record needs to know its data: evaluate on a data set by name and one of its domains, not on rows"
            )
        return write_record(path, label, task, seed, self.about, self.metrics)

    def frame(self) -> pd.DataFrame:
        """One row per class: `class`, `n`, `precision`, `recall`, `f1`; of masks `iou` too; of boxes `ap`, `ap50`."""
        import pandas as pd

        boxes = any("ap50" in values for values in self.per_class.values())
        columns = ["n", "ap", "ap50"] if boxes else ["n", "precision", "recall", "f1"]
        columns += ["iou"] if any("iou" in values for values in self.per_class.values()) else []
        return (
            pd.DataFrame.from_dict(self.per_class, orient="index", columns=columns).rename_axis("class").reset_index()
        )


def evaluate(
    model: Fitted | str | Path | nn.Module | np.ndarray | Tensor,
    data: Domain | str | Path,
    domain: str = "",
    *,
    root: str | Path | None = None,
    classes: Sequence[str] = (),
    preprocess: Preprocess | None = None,
    device: str = "auto",
    skip_unreadable: bool = False,
) -> Evaluation:
    """Every metric of a model on rows whose labels are known: what `dalib evaluate` does.

    Labels are matched by the classes' names. Rows of classes that the model was not trained on count as unknown where
    it can answer that (an open-set algorithm, or `protocol.reject`), and are refused otherwise.

    Rows are taken for rows of the target: what a model learnt of that domain (moments of z-scoring, a mapping) is used.

    Args
        model: what `Trainer.fit` or `load_model` returned, a model file, any module that gives logits (n, K), or the
            logits themselves, a row for each of the domain's, in its order
        data: a data set as in `load_data`, a feature file (.npz), or a `Domain` as the model's backbone takes it
            (`task.test`; its rows are not normalised again)
        domain: which of the data set's
        root: where the data lie; None = DALIB_DATA
        classes: names of a module's outputs or of the logits' columns; the data set's own unless given
        preprocess: how a module wants images
        device: `auto`, `cpu`, `cuda`, `cuda:N`, for a model file
        skip_unreadable: leave out image files that cannot be decoded; `remarks` say how many

    Raises
        DalibError: rows without labels, of another kind of answer, or of classes that the model does not know; numbers
            that are none (NaN), or labels that are no places among a Domain's classes
    """
    if not isinstance(data, (Domain, str, Path)):
        raise DalibError(
            f"data is a {type(data).__name__}; give a data set's name, a path, or a Domain, which has the labels"
        )
    if isinstance(model, (nn.Module, np.ndarray, Tensor)):
        names = tuple(map(str, classes))
        return _evaluate_outside(model, data, domain, root, names, preprocess, device, skip_unreadable)
    if classes or preprocess is not None:
        raise DalibError("classes and preprocess belong to a module or to logits; a dalib model knows both")
    fitted = model if isinstance(model, Fitted) else load_model(model, device)
    remarks: tuple[str, ...] = ()
    if isinstance(data, Domain):
        if domain or root:
            raise DalibError("domain and root belong to a data set given by name; a Domain is one already")
        rows = check_domain(data)
    else:
        rows, remarks = load_domain(fitted, str(data), domain, root, skip_unreadable)
    if rows.y is None:
        raise DalibError(f"domain '{rows.name}' has no labels to compare with; dalib.predict answers without them")
    if says_nothing(rows.objective, rows.labels):
        boxes = rows.objective == "detection"
        bare = "no picture of '{}' has a box" if boxes else "every answer of '{}' says that nobody said"
        raise DalibError(
            f"{bare.format(rows.name)}, so there is nothing to compare with; dalib.predict answers without labels"
        )
    rows = label_as_trained(fitted, rows)
    outputs, known = fitted.outputs(rows), len(fitted.classes)
    kind = fitted.algorithm.network.objective.name
    told_limits = fitted.extra.get("thresholds")
    limits = None if told_limits is None else np.asarray(told_limits, float)
    reject = _protocol(fitted).get("reject", 1.0) if kind == "classification" else 1.0
    metrics = {name.lstrip("_"): value for name, value in measure(outputs, "", known, kind, reject, limits).items()}
    per_class: dict[str, dict[str, float]] = {}
    if kind == "classification":
        for name, values in class_metrics(
            outputs, (*fitted.classes, name_unknown(fitted.classes)), known, reject
        ).items():
            per_class[name] = {key.removeprefix("target_"): value for key, value in values.items()}
    if fitted.algorithm.objective.dense:
        for name, values in dense_metrics(outputs, fitted.classes, kind).items():
            per_class[name] = {key.removeprefix("target_"): value for key, value in values.items()}
    plain = kind == "classification" and reject == 1 and not fitted.algorithm.rejects and fitted.algorithm.probabilistic
    expected = expected_accuracy(fitted.held_out, outputs) if plain and fitted.held_out is not None else None
    told = output_metrics(outputs, fitted.classes, kind, "", limits)
    per_output = {name: {k.lstrip("_"): v for k, v in values.items()} for name, values in told.items()}
    return Evaluation(metrics, per_class, len(rows), remarks, expected, per_output=per_output)


def _evaluate_outside(
    model: nn.Module | np.ndarray | Tensor,
    data: Domain | str | Path,
    domain: str,
    root: str | Path | None,
    classes: tuple[str, ...],
    preprocess: Preprocess | None,
    device: str,
    skips: bool,
) -> Evaluation:
    """Of what was trained elsewhere: labels are matched by the classes' names."""
    about: dict[str, Any] = {}
    remarks: tuple[str, ...] = ()
    if isinstance(data, Domain):
        if domain or root:
            raise DalibError("domain and root belong to a data set given by name; a Domain is one already")
        rows = check_domain(data)
    else:
        loaded, name = _open_data(str(data), domain, root, skips, "")
        rows = loaded.domain(
            name, (preprocess.resize if preprocess else LABELS_ONLY) if loaded.kind == "images" else None
        )
        remarks = (*loaded.remarks, *((f"partial: {loaded.note}",) if loaded.note else ()))
        about = {"dataset": loaded.name, "fingerprint": loaded.fingerprint, "partial": loaded.partial, "domain": name}
        about["counts"] = dict(loaded.counts)
    if rows.y is None:
        raise DalibError(f"domain '{rows.name}' has no labels to compare with")
    if rows.objective != "classification":
        raise DalibError(
            f"the labels of '{rows.name}' are for {rows.objective}; only answers in classes are taken here"
        )
    if isinstance(model, nn.Module):
        logits = answer_rows(model, rows, preprocess, device)
    else:
        logits = read_logits(model)
    names = classes or rows.classes
    if logits.ndim != 2 or logits.shape != (len(rows), len(names)):
        raise DalibError(
            f"answers are {tuple(logits.shape)}, and '{rows.name}' has {len(rows)} rows and {len(names)} classes are "
            "named; give a row of logits for each row and a name for each column (classes)"
        )
    if not bool(torch.isfinite(logits).all()):
        raise DalibError(f"answers hold nan or infinity, so they say nothing about {len(rows)} rows; mend them")
    column, known = {name: k for k, name in enumerate(names)}, (*rows.classes, name_unknown(rows.classes))
    strange = [known[k] for k in np.unique(rows.labels) if known[k] not in column]
    if strange or len(column) < len(names):
        what = f"no column is called {', '.join(strange[:4])}" if strange else "two columns have one name"
        raise DalibError(
            f"{what}; '{rows.name}' has {', '.join(rows.classes[:4])} …: columns are matched by name (classes)"
        )
    y = torch.tensor([column.get(name, -1) for name in known])[torch.as_tensor(rows.labels)]
    outputs = Outputs(logits[:, :0], logits, y)
    metrics = {name.lstrip("_"): value for name, value in measure(outputs, "", len(names)).items()}
    kept = class_metrics(outputs, (*names, name_unknown(names)), len(names))
    per_class = {c: {key.removeprefix("target_"): v for key, v in values.items()} for c, values in kept.items()}
    if about:
        about |= {"answers": logits.numpy(), "per_class": kept}
    return Evaluation(metrics, per_class, len(rows), remarks, None, about)


def _protocol(fitted: Fitted) -> Mapping[str, float]:
    return fitted.extra.get("protocol", {})


def load_domain(
    fitted: Fitted, data: str, domain: str, root: str | Path | None, skips: bool
) -> tuple[Domain, tuple[str, ...]]:
    """A domain prepared as the model takes it, and what there is to say of its data set."""
    loaded, domain = _open_data(data, domain, root, skips, fitted.algorithm.network.objective.name)
    prepare = fitted.backbone.preprocess
    if loaded.kind == "images" and prepare is None:
        raise DalibError(f"{data} holds images; the model takes feature rows of width {fitted.backbone.dim}")
    steps, scaled = fitted.extra.get("normalise", ()), tuple[str, ...]()
    if loaded.kind == "features" and steps:
        stored = loaded.stored(domain)
        rows = replace(stored, x=normalise_as_trained(fitted, stored.x))
        if "zscore" in steps:
            scaled = (f"rows of '{domain}' are z-scored by the moments of the target in training, as target rows are",)
    else:
        rows = loaded.domain(domain, prepare.resize if prepare else None)
    note = (f"partial: {loaded.note}",) if loaded.note else ()
    return rows, (*loaded.remarks, *note, *scaled)


def _open_data(data: str, domain: str, root: str | Path | None, skips: bool, kind: str) -> tuple[LoadedData, str]:
    """A data set by name or path, and which of its domains is meant; kind: what the model answers."""
    name = data
    if root is None and ":" not in data and Path(data).expanduser().exists():
        name, root = (f"features:{data}", None) if data.endswith(".npz") else (guess_dataset(data, kind), data)
    loaded = load_data(name, root, partial=True, skip_unreadable=skips)
    if not domain and len(loaded.domains) > 1:
        raise DalibError(f"{data} has the domains {', '.join(loaded.domains)}; say which one to evaluate on")
    return loaded, domain or loaded.domains[0]


def label_as_trained(fitted: Fitted, rows: Domain) -> Domain:
    """The rows with the model's numbers for their classes; `len(fitted.classes)` for those that it does not know.

    Raises
        DalibError: another kind of answer, other outputs, or classes that the model cannot answer
    """
    kind = fitted.algorithm.network.objective.name
    if rows.objective != kind:
        raise DalibError(f"the labels of '{rows.name}' are for {rows.objective}; the model was trained for {kind}")
    if kind != "classification":
        if rows.classes != fitted.classes:
            mine, theirs = ", ".join(fitted.classes), ", ".join(rows.classes)
            raise DalibError(f"the model's outputs are {mine}; the labels of '{rows.name}' are {theirs}")
        if len(rows):
            where = f"the labels of '{rows.name}'"
            fitted.algorithm.network.objective.check_labels(rows.labels, len(rows.classes), where)
        return rows
    known, labels = {name: k for k, name in enumerate(fitted.classes)}, rows.labels
    present = [rows.classes[k] for k in np.unique(labels) if k < len(rows.classes)]
    strange = [name for name in present if name not in known]
    if strange and not fitted.algorithm.rejects and _protocol(fitted).get("reject", 1.0) == 1:
        if len(strange) == len(present):
            raise DalibError(
                f"'{rows.name}' has none of the model's classes ({', '.join(fitted.classes[:4])} …) but "
                f"{', '.join(strange[:4])} …; labels are matched by name"
            )
        raise DalibError(
            f"{int(np.isin(labels, [rows.classes.index(s) for s in strange]).sum())} of {len(rows)} rows of "
            f"'{rows.name}' are of classes that the model was not trained on ({', '.join(strange[:4])}); take them "
            "out, or train a model that can answer unknown (protocol.reject, or an open-set algorithm)"
        )
    to_mine = np.array([known.get(name, len(known)) for name in rows.classes] + [len(known)], np.int64)
    return replace(rows, y=to_mine[np.minimum(labels, len(rows.classes))], classes=fitted.classes)
