"""A few labelled target rows among the source's: told apart, repeated until they weigh as much, or learned last."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dalib.algorithms._phases import SourceFirst
from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.network import Network
from dalib.core.types import Domain, Source, Target


def split_labelled(network: Network, labelled: Domain) -> tuple[Domain, Domain]:
    """(source rows, target rows); where the protocol labels rows of one kind only, both are all of them."""
    own = labelled.origin == network.target_origin
    if own.all() or not own.any():
        return labelled, labelled
    return labelled.take(np.flatnonzero(~own), "source rows"), labelled.take(np.flatnonzero(own), "target rows")


def balance(network: Network, labelled: Domain) -> Domain:
    """Target rows repeated until there are as many as source rows; unchanged where one kind is missing.

    The repetitions of features are copies, those of images are not.
    """
    own = labelled.origin == network.target_origin
    few, many = np.flatnonzero(own), np.flatnonzero(~own)
    if not len(few) or len(few) >= len(many):
        return labelled
    return labelled.take(np.concatenate([many, np.resize(few, len(many))]), "target rows repeated")


def pick_rows(source: Source, rows: Tensor) -> Source:
    """The rows (B,) bool of a batch, with their part of the graph."""
    x = {k: v[rows] for k, v in source.x.items()} if isinstance(source.x, dict) else source.x[rows]
    return Source(x, source.index[rows], source.y[rows], source.z[rows], source.logits[rows], source.origin[rows])


def without_rows(target: Target) -> Target:
    """An empty target batch, for forward passes of the source alone."""
    x = {k: v[:0] for k, v in target.x.items()} if isinstance(target.x, dict) else target.x[:0]
    return replace(target, x=x, index=target.index[:0], z=target.z[:0], logits=target.logits[:0], others=())


class TargetLast(SourceFirst):
    """Two descents: on the source rows for a part of the steps, then on the labelled target rows.

    Where the protocol grants no target label (`uda`), or nothing else (`supervised`), both are on all labelled rows.
    """

    alone = ""
    uses_target = False
    step = Algorithm.step

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        self.register_buffer("begun", None)
        first, last = split_labelled(self.network, source)
        trainer.descend(self, first, target, until=self.pretrain)
        self.train()
        self.begin()
        self.begun = torch.ones((), device=self.network.device)
        trainer.descend(self, last, target)
