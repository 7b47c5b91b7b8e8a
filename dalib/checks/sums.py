"""Ideas add up: the supervised loss counts once, penalties pull on weights, and the sum with MCC trains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from dalib.checks.result import require
from dalib.checks.world import DIM, K, accuracy, attached, batches, fit, kind_of, make_task, seeded
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.combination import combine, why_alone
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.core.registry import ALGORITHMS, snake_case


def check_supervised_loss_is_said_once(cls: type[Algorithm]) -> None:
    """No term of `adapt` is the supervised loss, which `loss` adds by itself."""
    algorithm = attached(cls)
    source, target = batches(algorithm)
    with seeded(0):
        supervised, terms = algorithm.supervise(source), algorithm.adapt(source, target, 0.5)
    require(supervised.ndim == 0, f"supervise returns shape {tuple(supervised.shape)}; return a scalar")
    for name, term in terms.items():
        same = torch.allclose(term.detach(), supervised.detach(), rtol=1e-6, atol=0)
        require(not same, f"adapt gives the supervised loss again, as '{name}'; leave it out: `supervise` says it")


def check_penalties_pull_on_weights(cls: type[Algorithm]) -> None:
    """Every term of `penalty` is a finite scalar with a gradient for some weight, once the weights have moved."""
    with seeded(0):
        algorithm = cls(**cls.trial)
        body = nn.Sequential(nn.Linear(DIM, DIM), nn.ReLU())
        backbone = Backbone.of(body, np.zeros((2, DIM), np.float32))
        if cls.needs_head:
            backbone.head = nn.Linear(DIM, 5)
        algorithm.attach(Network(backbone, K, bottleneck=0, objective=find_objective(kind_of(cls))))
        for p in algorithm.network.parameters():
            nn.init.normal_(p, 0.0, 0.3)
    weights = [p for p in algorithm.parameters() if p.requires_grad]
    for name, term in algorithm.penalty().items():
        require(isinstance(term, Tensor) and term.ndim == 0, f"penalty '{name}' is no scalar tensor; reduce it")
        require(term.isfinite() and term.requires_grad, f"penalty '{name}' is not finite or has no gradient")
        grads = torch.autograd.grad(term, weights, allow_unused=True, retain_graph=True)
        pulls = any(g is not None and float(g.abs().max()) > 0 for g in grads)
        require(pulls, f"penalty '{name}' has zero gradient on weights that have moved: it changes nothing")


def check_sum_with_mcc(cls: type[Algorithm]) -> None:
    """`cls + MCC`: the supervised loss once, both ideas' terms, a fit that learns; or a reason for no sum."""
    mcc, name = ALGORITHMS.get("mcc"), snake_case(cls.__name__)
    reason = why_alone(cls)
    if reason or cls is mcc or kind_of(cls) not in mcc.objectives:
        require(len(reason) < 200, "alone is a reason in a few words")
        return
    try:
        summed = combine((name, cls), ("mcc", mcc))
    except DalibError as error:
        require(False, f"the sum with MCC is refused ({error}); set `alone` to the reason")
    algorithm = attached(summed)
    source, target = batches(algorithm)
    with seeded(0):
        terms = algorithm.loss(source, target, 0.5)
    supervised = [n for n in terms if n == algorithm.objective.name or n.endswith(f".{algorithm.objective.name}")]
    require(len(supervised) == 1, f"the sum holds the supervised loss as {', '.join(supervised)}; once is right")
    require(any(n.endswith("confusion") for n in terms), "the sum lacks MCC's term; adapt returns a dict of new terms")
    reached = accuracy(fit(summed), make_task().labelled)
    require(reached > 1 / K + 0.1, f"the sum with MCC reaches {reached:.0%} on the source; its terms cancel each other")


SUM_CHECKS = (check_supervised_loss_is_said_once, check_penalties_pull_on_weights, check_sum_with_mcc)
