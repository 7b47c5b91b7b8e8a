"""New validators and metrics on old records: scores from the outputs that lie beside them, without a run.

Arrays of a record: for every candidate `step_<n>_target` and `step_<n>_source` (held-out rows), logits (n, K) float16,
and, where the suite keeps features, `step_<n>_target_z`, `step_<n>_source_z`; `target_y`, `source_y` int16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dalib.core.registry import ALGORITHMS, VALIDATORS
from dalib.core.types import Outputs
from dalib.evaluate.diagnose import warn
from dalib.evaluate.metrics import decide, scores, spread
from dalib.records.manifest import Manifest
from dalib.records.record import Candidate, Record
from dalib.records.store import Store

_LATEST = "target_effective_classes"
"""The metric that came last; where it is missing, both that `spread` gives may be."""


@dataclass(frozen=True)
class Rescored:
    """records: changed; complete: had everything; bare: without stored outputs; failed: of failed runs."""

    records: int = 0
    complete: int = 0
    bare: int = 0
    failed: int = 0


def outputs_to_arrays(target: Outputs, held_out: Outputs, features: bool) -> dict[str, Tensor]:
    """What is kept of one candidate, float16."""
    kept = {"target": target.logits.half(), "source": held_out.logits.half()}
    return kept | ({"target_z": target.z.half(), "source_z": held_out.z.half()} if features else {})


def rescore(store: Store, manifest: Manifest) -> Rescored:
    """Add every score and metric that is missing; those that are there stay.

    Scores come from float16 outputs: most differ from those of a run in the fourth digit, agreements with k-means may
    differ by more, since another rounding may end in another clustering.
    """
    counts = dict.fromkeys(("records", "complete", "bare", "failed"), 0)
    for record in store.records(manifest.keys):
        kind = "failed" if record.status != "ok" else "complete" if not _lacks(record) else ""
        if not kind:
            try:
                arrays = store.predictions(record.key)
            except KeyError:
                kind = "bare"
            else:
                changed = [_complete(candidate, record, arrays) for candidate in record.candidates]
                record.warnings = warn(record.candidates, record.spec.protocol.is_partial)
                kind = "records" if any(changed) else "complete"
                if any(changed):
                    store.update(record)
        counts[kind] += 1
    return Rescored(**counts)


def _lacks(record: Record) -> bool:
    known = set(VALIDATORS.names())
    return any(known - set(c.scores) or _LATEST not in c.metrics for c in record.candidates)


def _complete(candidate: Candidate, record: Record, arrays: dict[str, np.ndarray]) -> bool:
    """Fill in what is missing; whether anything was."""
    start = f"step_{candidate.step}"
    features = f"{start}_target_z" in arrays
    target, source = (
        _outputs(arrays, f"{start}_{side}", arrays[f"{side}_y"], features) for side in ("target", "source")
    )
    before = len(candidate.scores), len(candidate.metrics)
    candidate.scores = scores(source, target, without=candidate.scores, features=features) | candidate.scores
    if _LATEST not in candidate.metrics:
        reject, known = record.spec.protocol.reject, target.logits.shape[1]
        if reject < 1 and ALGORITHMS.get(record.spec.algorithm).rejects:
            known -= 1
        for side, outputs in (("target", target), ("source", source)):
            if len(outputs.logits):
                guess = decide(outputs.logits.numpy(), known, reject)
                found = spread(guess, outputs.logits.shape[1])
                candidate.metrics |= {f"{side}_{k}": round(v, 6) for k, v in found.items()}
    return before != (len(candidate.scores), len(candidate.metrics))


def _outputs(arrays: dict[str, np.ndarray], name: str, y: np.ndarray, features: bool) -> Outputs:
    logits = torch.from_numpy(arrays[name].astype(np.float32))
    z = torch.from_numpy(arrays[f"{name}_z"].astype(np.float32)) if features else logits[:, :0]
    return Outputs(z, logits, torch.from_numpy(y.astype(np.int64)))
