"""New validators and metrics on old records: scores from the outputs that lie beside them, without a run.

Arrays of a record: for every candidate `step_<n>_target` and `step_<n>_source` (held-out rows), logits (n, K) float16,
and, where the suite keeps features, `step_<n>_target_z`, `step_<n>_source_z`; `target_y`, `source_y` int16. Where
labels are no classes: predictions float32, labels as they are; validators do not apply to them.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, VALIDATORS
from dalib.core.types import Outputs
from dalib.records.formulas import PLACE, find_stale, formulas_now
from dalib.records.manifest import Manifest
from dalib.records.record import Candidate, Record
from dalib.records.store import Store
from dalib.scoring.diagnose import OF_CANDIDATES, warn
from dalib.scoring.expected import FEWEST, brief_expectation
from dalib.scoring.metrics import measure, metrics_for, scores
from dalib.scoring.thresholds import thresholds_for


@dataclass(frozen=True)
class Rescored:
    """records: changed; complete: had everything; bare: without stored outputs; failed: of failed runs."""

    records: int = 0
    complete: int = 0
    bare: int = 0
    failed: int = 0


def outputs_to_arrays(
    target: Outputs, held_out: Outputs, features: bool, objective: str = "classification"
) -> dict[str, Tensor]:
    """What is kept of one candidate."""
    kept = {"target": target.prediction, "source": held_out.prediction}
    if objective == "classification":
        kept = {name: logits.half() for name, logits in kept.items()}
    return kept | ({"target_z": target.z.half(), "source_z": held_out.z.half()} if features else {})


def rescore(store: Store, manifest: Manifest) -> Rescored:
    """Add every score, metric and expected accuracy that is missing; those that are there stay, but for scores of
    another version of their validator.

    Metrics of the target and of held-out source rows come from the stored labels and outputs. What needs the model
    itself cannot be added: `train_…` (the training rows' outputs are not stored) and `domain_accuracy`.
    Scores come from float16 outputs: most differ from those of a run in the fourth digit, agreements with k-means may
    differ by more, since another rounding may end in another clustering.
    """
    counts = dict.fromkeys(("records", "complete", "bare", "failed"), 0)
    for record in store.records(manifest.keys):
        kind = "failed" if record.status != "ok" else "complete" if not _lacks(record) else ""
        if not kind:
            kind = _rescore_one(store, record)
        counts[kind] += 1
    return Rescored(**counts)


def _rescore_one(store: Store, record: Record) -> str:
    """Complete a record and keep it; which count it belongs to. Arrays that are not what they must be are as none."""
    try:
        arrays = store.predictions(record.key)
        stale = _stale_scores(record)
        changed = [_complete(candidate, record, arrays, stale) for candidate in record.candidates]
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        if not isinstance(error, KeyError) or error.args != (record.key,):
            reason = " ".join(str(error).split())[:120]
            text = f"arrays of record {record.key[:12]}… do not fit its candidates ({reason}) and count as missing"
            warnings.warn(text, RuntimeWarning, stacklevel=3)
        return "bare"
    of_data = [sentence for sentence in record.warnings if not sentence.startswith(OF_CANDIDATES)]
    record.warnings = warn(record.candidates, record.spec.protocol.is_partial, _gives_probabilities(record)) + of_data
    if any(changed):
        kept = {name: v for name, v in record.provenance.get(PLACE, {}).items() if not name.startswith("validator ")}
        now = {name: v for name, v in formulas_now().items() if name.startswith("validator ")}
        record.provenance.pop(PLACE, None)
        record.provenance |= {PLACE: kept | now} if kept | now else {}
        store.update(record)
    return "records" if any(changed) else "complete"


def _gives_probabilities(record: Record) -> bool:
    """Its algorithm's scores are log-probabilities; so it is taken for where the algorithm is not known here."""
    try:
        return ALGORITHMS.get(record.spec.algorithm).create(record.spec.algorithm, record.spec.hparams).probabilistic
    except DalibError:
        return True


def _stale_scores(record: Record) -> set[str]:
    """Validators that have another version than when they scored the record."""
    found = find_stale(record, formulas_now(), [f"validator {name}" for name in VALIDATORS.names()])
    return {name.removeprefix("validator ") for name in found}


def _lacks(record: Record) -> bool:
    """Whether a registered validator or a metric that may apply is missing from a candidate."""
    sides = ("target", "source") if record.counts.get("validation") else ("target",)
    names = {side: metrics_for(record.objective, side == "target" and is_open(record)) for side in sides}
    wanted = {f"{side}_{name}" for side in sides for name in names[side]}
    validators = set(VALIDATORS.names()) if record.objective == "classification" else set()
    expects, stale = _may_expect(record), _stale_scores(record)
    return any(
        (validators - set(c.scores)) | (stale & set(c.scores))
        or wanted - set(c.metrics)
        or (expects and c.expected is None)
        for c in record.candidates
    )


def _may_expect(record: Record) -> bool:
    """An accuracy may be expected of its outputs: closed classes, probabilities, enough rows."""
    if record.objective != "classification" or record.spec.protocol.reject < 1 or is_open(record):
        return False
    if record.spec.algorithm not in ALGORITHMS or ALGORITHMS.get(record.spec.algorithm).rejects:
        return False
    enough = min(record.counts.get("validation", 0), record.counts.get("test", 0)) >= FEWEST
    return enough and _gives_probabilities(record)


def is_open(record: Record) -> bool:
    """Test rows of no known class were there; a known class may be called `unknown` too."""
    measured = any("target_unknown_accuracy" in c.metrics or "target_h_score" in c.metrics for c in record.candidates)
    return measured and any(name.strip("()") == "unknown" for name in record.per_class)


def count_known(record: Record, outputs: int) -> int:
    """Classes of which there are labelled rows, of a record with so many outputs."""
    answers_unknown = record.spec.protocol.reject < 1 or is_open(record)
    return outputs - int(answers_unknown and ALGORITHMS.get(record.spec.algorithm).rejects)


def _complete(candidate: Candidate, record: Record, arrays: dict[str, np.ndarray], stale: Collection[str]) -> bool:
    """Fill in what is missing, or a score that is stale; whether anything was."""
    start = f"step_{candidate.step}"
    features = f"{start}_target_z" in arrays
    target, source = (
        read_outputs(arrays, f"{start}_{side}", arrays[f"{side}_y"], features) for side in ("target", "source")
    )
    before = len(candidate.scores), len(candidate.metrics), candidate.expected
    gone = set(stale) & set(candidate.scores)
    candidate.scores = {name: value for name, value in candidate.scores.items() if name not in gone}
    if record.objective == "classification":
        candidate.scores = scores(source, target, without=candidate.scores, features=features) | candidate.scores
        if _may_expect(record) and candidate.expected is None:
            candidate.expected = brief_expectation(source, target)
        reject, known = record.spec.protocol.reject, count_known(record, target.logits.shape[1])
        added = measure(target, "target", known, "classification", reject) | measure(source, "source", known)
    else:
        limits = thresholds_for(record.spec.protocol, record.objective, source)
        added = measure(target, "target", 0, record.objective, thresholds=limits)
        added |= measure(source, "source", 0, record.objective, thresholds=limits)
    candidate.metrics |= {name: value for name, value in added.items() if name not in candidate.metrics}
    return bool(gone) or before != (len(candidate.scores), len(candidate.metrics), candidate.expected)


def read_outputs(arrays: dict[str, np.ndarray], name: str, y: np.ndarray, features: bool) -> Outputs:
    """Logits, labels and, if kept, features of one side of a candidate from a record's arrays."""
    logits = torch.from_numpy(arrays[name].astype(np.float32))
    if len(y) != len(logits):
        raise ValueError(f"{len(y)} labels for {len(logits)} rows")
    z = torch.from_numpy(arrays[f"{name}_z"].astype(np.float32)) if features else logits[:, :0]
    return Outputs(z, logits, torch.from_numpy(y if y.dtype.kind == "f" else y.astype(np.int64)))
