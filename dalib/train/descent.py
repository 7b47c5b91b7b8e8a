"""One descent on an algorithm's loss: batches, forward passes and an optimiser, resumable at any step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.rows import Input, concatenate, join, pick
from dalib.core.types import Domain, LabelledRows, Rows, Source, Target
from dalib.feed.augment import Views
from dalib.feed.batches import DomainStore
from dalib.feed.fourier import take_style
from dalib.feed.placement import as_tensor, send
from dalib.feed.rare_classes import RareClassStream
from dalib.feed.stores import FieldStore
from dalib.feed.streams import EpisodeStream, IndexStream, WeightedStream
from dalib.nn.batch_norms import BATCH_NORMS
from dalib.train.batch_norm import reestimate
from dalib.train.device import arrange, autocast, rng_state, set_rng_state
from dalib.train.fitted import Fitted
from dalib.train.optimiser import freeze_and_group, make_optimiser, set_rate
from dalib.train.ranks import Ranks


class Descent:
    """Steps `first` to `last` of a run: their batches, the network's outputs for them, the optimiser, the position.

    Args
        source: labelled rows as the network takes them; without rows it is withheld and batches of it are empty
        target: unlabelled rows
        seed: decides batches and augmentation
        ranks: this process among several that share every step; None: alone
    """

    def __init__(
        self,
        fitted: Fitted,
        source: Domain,
        target: Domain,
        *,
        seed: int,
        first: int,
        last: int,
        ranks: Ranks | None = None,
    ) -> None:
        algorithm, config = fitted.algorithm, fitted.config
        self.fitted = fitted
        self.algorithm = algorithm
        self.config = config
        self.target = target
        self.seed, self.ranks, self.calls = seed, ranks, 0
        self.first, self.last = first, last
        self.step = first
        self.passes = -1
        self.stores = fitted.store(source), fitted.store(target)
        if config.batch_norm == "reestimate" and source.is_images and len(source):
            reestimate(algorithm.network.backbone, fitted.batches(self.stores[0]))
        groups, self.frozen = freeze_and_group(algorithm, config, fitted.fixed)
        self.optimiser = make_optimiser(groups, config)
        if config.batch_norm == "eval":
            self.frozen += [m for m in algorithm.network.backbone.modules() if isinstance(m, BATCH_NORMS)]
        self.parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.dense = algorithm.objective.dense
        labels, origin = as_tensor(source.labels), torch.as_tensor(source.origin)
        self._refuse_samplers(source)
        groups_of = {"class_balanced": labels, "domain_balanced": origin}
        balanced = groups_of.get(config.sampler) if len(source) else None
        ways, each = algorithm.episode
        labelled: IndexStream
        if ways:
            labelled = EpisodeStream(labels, origin, ways, each, seed=3 * seed)
        elif config.sampler == "rare_classes" and len(source):
            labelled = RareClassStream(labels, algorithm.network.outputs, config.batch_size, seed=3 * seed)
        elif source.weight is not None and len(source) and np.ptp(source.weight):
            labelled = WeightedStream(config.batch_size, 3 * seed, torch.as_tensor(source.weight))
        else:
            size = config.batch_size if len(source) else 0
            labelled = IndexStream(len(source) or 1, size, seed=3 * seed, labels=balanced)
        self.streams = labelled, IndexStream(len(target), config.batch_size, seed=3 * seed + 1)
        self.origin = origin.to(fitted.device)
        self.draws = torch.Generator().manual_seed(3 * seed + 2)
        self.nothing: Target | None = None
        self.network = torch.compile(algorithm.network) if config.compile else algorithm.network

    @property
    def part(self) -> float:
        """How much of the descent is over, in [0, 1)."""
        return (self.step - self.first) / (self.last - self.first)

    def prepare(self, trainer: TrainerLike) -> bool:
        """What is due before a step: a new pass over the target, training mode, learning rates; True at a new pass."""
        algorithm, begins = self.algorithm, self.streams[1].passes > self.passes
        self.calls = 0
        if begins:
            self.passes = self.streams[1].passes
            algorithm.begin_epoch(trainer, self.target)
        if not algorithm.training:
            set_training(algorithm, self.frozen)
        set_rate(self.optimiser, self.config, self.part)
        return begins

    def draw(self) -> tuple[LabelledRows, list[Rows]]:
        """The next batch: source rows, and views of target rows (none where the algorithm uses none)."""
        labelled, unlabelled = self.stores
        rows = self._rows(labelled, self.streams[0].next())
        assert isinstance(rows, LabelledRows)
        views: list[Rows] = []
        uses_target, style = self.algorithm.uses_target, self.config.fourier
        if uses_target or style:
            index = self.streams[1].next()
            cuts = self._cuts(unlabelled, index)  # pixels of several views must be those of one another
            for i in range(self.algorithm.views if uses_target else 1):
                views.append(self._rows(unlabelled, index, "strong" if i else self.config.augment, cuts))
        else:
            self.streams[1].skip()
        if style and len(rows):
            rows = replace(rows, x=take_style(rows.x, views[0].x, unlabelled.preprocess, style))
        return rows, views if uses_target else []

    def _cuts(self, store: DomainStore | FieldStore, index: Tensor) -> Views | None:
        """Where every pixel has an answer: what is cut out of each image, for all that is made of it."""
        if not self.dense or not len(index):
            return None
        return store.draw(self.config.augment, len(index), self.config.scale_min, self.draws)

    def _refuse_samplers(self, source: Domain) -> None:
        """DalibError for settings that mean nothing for these rows."""
        config, kind = self.config, self.algorithm.objective.name
        if config.fourier and not source.is_images:
            raise DalibError(f"train.fourier = {config.fourier:g} is for images; leave it out")
        masks = self.dense and source.labels.ndim == 3 and source.labels.dtype.kind in "iu"
        if config.sampler == "rare_classes" and not masks:
            raise DalibError(
                f"train.sampler = rare_classes is for masks, not for {kind}; use class_balanced or shuffle"
            )
        if config.sampler == "class_balanced" and self.dense:
            rather = "of masks use rare_classes" if masks else "of boxes use shuffle"
            raise DalibError(f"train.sampler = class_balanced needs one class per picture; {rather}")

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the steps still to come."""
        state = {name: part.state_dict() for name, part in self._state().items()}
        state |= {"draws": self.draws.get_state(), "rng": rng_state(self.fitted.device)}
        return state | {"step": self.step, "passes": self.passes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was called."""
        for name, part in self._state().items():
            part.load_state_dict(state[name])
        self.draws.set_state(state["draws"])
        set_rng_state(state["rng"], self.fitted.device)
        self.step, self.passes = state["step"], state["passes"]

    def _state(self) -> dict[str, Any]:
        return {
            "algorithm": self.algorithm,
            "optimiser": self.optimiser,
            "source": self.streams[0],
            "target": self.streams[1],
        }

    def _rows(
        self, store: DomainStore | FieldStore, index: Tensor, augment: str = "", cuts: Views | None = None
    ) -> Rows:
        config = self.config
        cuts = cuts or self._cuts(store, index)
        how: dict[str, Any] = {"views": cuts} if cuts else {}
        x = store.batch(
            index,
            augment=augment or config.augment,
            scale_min=config.scale_min,
            generator=self.draws,
            jitter=config.colour_jitter,
            **how,
        )
        x = arrange(x, config.channels_last)
        index = send(index, self.fitted.device)
        return Rows(x, index) if store.y is None else LabelledRows(x, index, store.labels(index, cuts))

    def forward(
        self, source: LabelledRows, views: Sequence[Rows], origin: Tensor | None = None
    ) -> tuple[Source, Target]:
        """All rows through the network, in one pass or one per batch; z and logits come back in fp32.

        origin: of the source's rows (B_s,); looked up by their index unless given
        """
        rows = [r for r in (source, *views) if len(r)]
        with autocast(self.fitted.device, self.config.precision):
            if self.config.forward == "joint" or len(rows) == 1:
                z, logits = self._through(join([r.x for r in rows]) if len(rows) > 1 else rows[0].x)
            else:
                z, logits = (concatenate(p) for p in zip(*(self._through(r.x) for r in rows), strict=True))
        z, logits = z.float(), logits.float()
        origin = self.origin.index_select(0, source.index) if origin is None else origin
        if not views:
            if self.nothing is None:
                self.nothing = Target(pick(source.x, slice(0)), source.index[:0], z.detach()[:0], logits.detach()[:0])
            return Source(source.x, source.index, source.y, z, logits, origin), self.nothing
        sizes = [len(r) for r in (source, *views)]
        zs, logits_ = z.split_with_sizes(sizes), logits.split_with_sizes(sizes)
        others = tuple(Target(r.x, r.index, a, b) for r, a, b in zip(views[1:], zs[2:], logits_[2:], strict=True))
        target = Target(views[0].x, views[0].index, zs[1], logits_[1], others)
        return Source(source.x, source.index, source.y, zs[0], logits_[0], origin), target

    def _through(self, x: Input) -> tuple[Tensor, Tensor]:
        """x through the network, alone or with the other ranks."""
        if self.ranks is not None:
            self.calls += 1
            return self.ranks.through(self.algorithm.network, x, seed=1000 * (3 * self.seed + self.step) + self.calls)
        z, logits = self.network(x)
        return z, logits


def set_training(algorithm: Algorithm, frozen: list[nn.Module]) -> None:
    """Training mode, except for frozen modules: their batch norms and dropout stay as in evaluation."""
    algorithm.train()
    for module in frozen:
        module.training = False
