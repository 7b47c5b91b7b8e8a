"""What may have gone wrong in a run that ended well; every finding is one sentence in the record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dalib.core.registry import VALIDATORS
from dalib.core.types import Domain, Source, Target, Task
from dalib.feed.placement import as_tensor
from dalib.nn.adversarial import DomainDiscriminator
from dalib.records.record import Candidate
from dalib.train.fitted import Fitted

ROWS = 128
"""Rows of each domain that the domain accuracy is measured on."""
CHANCE, SURE = 0.02, 0.995
FALL = 0.05


def domain_accuracy(fitted: Fitted, task: Task) -> float:
    """How often the algorithm's discriminators tell the domains apart, in [0, 1]; nan without a `DomainDiscriminator`.

    Measured on up to 128 rows per domain spread over both, in evaluation mode, without drawing from the run's random
    numbers. Each domain counts half; several discriminators are averaged.
    """
    algorithm = fitted.algorithm
    judges = [m for m in algorithm.modules() if isinstance(m, DomainDiscriminator)]
    if not judges:
        return float("nan")
    said: list[Tensor] = []

    def listen(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        said.append(output.detach())

    algorithm.eval()
    hooks = [judge.register_forward_hook(listen) for judge in judges]
    kept = {k: v.clone() for k, v in algorithm.named_buffers()}
    devices = [fitted.device] if fitted.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            source, target = _batch(fitted, task)
            algorithm.loss(source, target, 1.0)
    finally:
        for hook in hooks:
            hook.remove()
        for name, buffer in algorithm.named_buffers():
            buffer.copy_(kept[name])
    n = len(source)
    told = [d for d in said if len(d) == n + len(target)]
    halves = [((d[:n] > 0).float().mean() + (d[n:] < 0).float().mean()) / 2 for d in told]
    return float(torch.stack(halves).mean()) if halves else float("nan")


def _batch(fitted: Fitted, task: Task) -> tuple[Source, Target]:
    def rows(domain: Domain) -> Target:
        index = torch.from_numpy(np.linspace(0, len(domain) - 1, min(ROWS, len(domain))).round().astype(np.int64))
        x = fitted.store(fitted.represent(domain)).batch(index)
        with torch.no_grad():
            z, logits = fitted.algorithm.network(x)
        return Target(x, index.to(fitted.device), z.float().requires_grad_(), logits.float())

    s, target = rows(task.labelled), rows(task.target)
    y, origin = (as_tensor(v).to(s.index.device)[s.index] for v in (task.labelled.labels, task.labelled.origin))
    y = y.long() if fitted.algorithm.objective.dense and not y.is_floating_point() else y
    return Source(s.x, s.index, y, s.z, s.logits, origin), target


OF_CANDIDATES = (
    "no probabilities",
    "dead adversary",
    "beaten features",
    "collapsed predictions",
    "source accuracy falls",
    "lone validator",
)
"""How the sentences of `warn` begin; a record's others are about its data and method."""


def warn(candidates: Sequence[Candidate], partial: bool = False, probabilistic: bool = True) -> list[str]:
    """Sentences about a run's candidates, in order of step; empty when nothing is suspicious.

    Args
        partial: the target lacks classes of the source, so that few predicted classes are no collapse
        probabilistic: scores are log-probabilities
    """
    sentences = []
    blind = [] if probabilistic else [n for n in VALIDATORS.names() if VALIDATORS.get(n).uses_probabilities]
    if any(name in c.scores for name in blind for c in candidates):
        sentences.append(
            f"no probabilities: what {', '.join(blind)} say of these scores is of their size, not of doubt"
        )
    told = [c.metrics["domain_accuracy"] for c in candidates if "domain_accuracy" in c.metrics]
    if len(told) > 1 and max(abs(v - 0.5) for v in told) <= CHANCE:
        sentences.append(f"dead adversary: domain accuracy stays at chance ({told[-1]:.2f})")
    if len(told) > 1 and min(told) >= SURE:
        sentences.append(f"beaten features: the adversary tells the domains apart throughout ({told[-1]:.2f})")
    end = candidates[-1].metrics
    share = end.get("target_effective_classes", 1.0)
    if share <= 0.5 and not partial:
        sentences.append(f"collapsed predictions: they spread over an effective {share:.0%} of the classes")
    held = [c.metrics["source_accuracy"] for c in candidates if "source_accuracy" in c.metrics]
    if held and max(held) - held[-1] > FALL:
        sentences.append(f"source accuracy falls from {max(held):.1%} to {held[-1]:.1%} while adaptation runs")
    sentences += [
        f"lone validator: {name} orders the points against every other validator" for name in lone(candidates)
    ]
    return sentences


def lone(candidates: Sequence[Candidate]) -> list[str]:
    """Validators whose order of the points has a negative rank correlation with that of each of the others.

    Needs four points and four validators that tell them apart; the oracle is not asked.
    """
    from scipy.stats import rankdata

    shared = set.intersection(*(set(c.scores) for c in candidates)) - {"oracle"}
    series = {name: [c.scores[name] for c in candidates] for name in sorted(shared)}
    moving = [name for name, values in series.items() if max(values) > min(values)]
    if len(candidates) < 4 or len(moving) < 4:
        return []
    agreement = np.corrcoef(rankdata([series[name] for name in moving], axis=1))
    np.fill_diagonal(agreement, -1)
    return [name for name, best in zip(moving, agreement.max(1), strict=True) if best < 0]
