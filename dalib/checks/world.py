"""The small world in which algorithms are checked: three blobs in 16 dimensions, some sixty rows, twenty steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from dalib.checks.words import WordTower
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone, identity
from dalib.core.network import Network
from dalib.core.objective import find_objective
from dalib.core.types import Domain, Source, Target, Task
from dalib.train.config import TrainConfig
from dalib.train.fitted import Fitted
from dalib.train.trainer import Trainer

DIM, K = 16, 3
CLASSES = ("a", "b", "c")
CONFIG = TrainConfig(steps=20, batch_size=16, bottleneck=DIM, lr=0.02, evaluations=2)
_REFERENCE: dict[type[Algorithm], Fitted] = {}
KINDS = ("classification", "multilabel", "regression")
"""Kinds of answers that this world can ask for, the first that an algorithm knows."""


def centres() -> np.ndarray:
    """Where the blobs lie (K, DIM)."""
    return np.asarray(3 * np.random.default_rng(7).standard_normal((K, DIM)) / 2)


def make_domain(name: str, n: int, seed: int, shift: float) -> Domain:
    """Three unit Gaussians around fixed centres, moved by `shift` in every coordinate."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    rng.shuffle(y)
    x = centres()[y] + rng.standard_normal((n, DIM)) + shift
    return Domain(name, x.astype(np.float32), y, CLASSES, f"blobs-{name}-{n}-{seed}-{shift}")


def make_task(n: int = 60, shift: float = 1.0, seed: int = 0) -> Task:
    """Source n rows, target n - 8 rows; tested on the target itself."""
    source, target = make_domain("source", n, seed, 0.0), make_domain("target", n - 8, seed + 1, shift)
    held_out = source.take(np.arange(0), "none")
    return Task("source->target", source, target.unlabelled(), held_out, target)


def kind_of(cls: type[Algorithm]) -> str:
    """What an algorithm is asked for here."""
    return next((kind for kind in KINDS if {"any", kind}.intersection(cls.objectives)), KINDS[0])


def spell(y: np.ndarray, kind: str) -> np.ndarray:
    """Classes (n,) as answers of that kind: themselves, or a column each, 1 where a row is of it and 0 elsewhere."""
    if kind == "classification" or y.ndim == 2:
        return y
    return np.eye(K, dtype=np.float32 if kind == "regression" else np.int64)[y]


def _ask(domain: Domain, kind: str) -> Domain:
    return replace(domain, y=None if domain.y is None else spell(domain.y, kind), objective=kind)


def fit(
    cls: type[Algorithm],
    task: Task | None = None,
    *,
    seed: int = 0,
    hparams: dict[str, Any] | None = None,
    **changes: Any,
) -> Fitted:
    """cls(**hparams) fitted in the small world; `changes` go to the trainer, or as fields of it to its recipe."""
    task, kind = task or make_task(), kind_of(cls)
    if kind != task.objective:
        labelled, target, validation, test = (
            _ask(part, kind) for part in (task.labelled, task.target, task.validation, task.test)
        )
        task = replace(task, labelled=labelled, target=target, validation=validation, test=test)
    recipe = {k: changes.pop(k) for k in list(changes) if k in TrainConfig.model_fields}
    config = CONFIG.model_copy(update={**plain_features(cls), **recipe})

    def evaluate(fitted: Fitted, step: int) -> dict[str, Any]:
        return {"target_accuracy": accuracy(fitted, task.test)}

    trainer = Trainer(config, seed=seed, device="cpu", **{"evaluate": evaluate, **changes})
    return trainer.fit(cls(**{**cls.trial, **(hparams or {})}), task, features_of(cls))


def plain_features(cls: type[Algorithm]) -> dict[str, Any]:
    """Of the recipe: no bottleneck where features are compared with texts."""
    return {"bottleneck": 0} if cls.needs_texts else {}


def features_of(cls: type[Algorithm]) -> Backbone:
    """Features as they are; with a pretrained classifier of five classes for algorithms that need one.

    Its first three are the world's own, told apart by their centres and called as they are. With a text tower for those
    that read texts.
    """
    if cls.needs_texts:
        return replace(identity(DIM), text_tower=WordTower(torch.as_tensor(centres())))
    if not cls.needs_head:
        return identity(DIM)
    with seeded(11):
        head = nn.Linear(DIM, 5)
    own = torch.as_tensor(centres(), dtype=torch.float32)
    with torch.no_grad():
        head.weight[:K], head.bias[:K] = own, -own.square().sum(1) / 2
    return replace(identity(DIM), head=head, head_classes=(*CLASSES, "dog", "elk"))


def reference_fit(cls: type[Algorithm]) -> Fitted:
    """The undisturbed fit of seed 0, computed once per class; read it, do not change it."""
    if cls not in _REFERENCE:
        _REFERENCE.clear()
        _REFERENCE[cls] = fit(cls)
    return _REFERENCE[cls]


def accuracy(fitted: Fitted, domain: Domain) -> float:
    y = domain.labels if domain.labels.ndim == 1 else domain.labels.argmax(1)
    return float((fitted.outputs(domain).logits[:, :K].argmax(1).numpy() == y).mean())


def attached(cls: type[Algorithm], **hparams: Any) -> Algorithm:
    """cls(**hparams) on a fresh network of width 16 in training mode, with a head whose logits are not all alike."""
    with seeded(0):
        algorithm = cls(**{**cls.trial, **hparams})
        algorithm.attach(Network(features_of(cls), K, bottleneck=0, objective=find_objective(kind_of(cls))))
        algorithm.read_names(CLASSES, "source", "target")
        nn.init.normal_(next(algorithm.network.head.parameters()), 0.0, 0.3)
        return algorithm.train()


def batches(
    algorithm: Algorithm, *, sizes: tuple[int, int] = (18, 18), shift: float = 1.0, classes: int = K
) -> tuple[Source, Target]:
    """Source and target batches whose z are leaves that require gradients; labels cover the first `classes`."""
    source, target = make_domain("source", sizes[0], 3, 0.0), make_domain("target", sizes[1], 4, shift)
    y = torch.as_tensor(source.labels) % classes
    return wrap(algorithm, torch.as_tensor(source.x), torch.as_tensor(target.x), y)


def wrap(algorithm: Algorithm, z_s: Tensor, z_t: Tensor, y: Tensor) -> tuple[Source, Target]:
    z_s, z_t = z_s.clone().requires_grad_(), z_t.clone().requires_grad_()
    head, kind = algorithm.network.head, algorithm.network.objective.name
    if kind != "classification" and y.ndim == 1:
        y = one_hot(y, K).float() if kind == "regression" else one_hot(y, K)
    return Source.of(z_s, head(z_s), y), Target.of(z_t, head(z_t))


def with_logits(target: Target, logits: Tensor) -> Target:
    return replace(target, logits=logits)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's global generator at `seed` inside, as it was outside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def equal_states(a: Algorithm, b: Algorithm) -> str:
    """The first entry in which two state dicts differ (bit for bit), or an empty string."""
    first, second = a.state_dict(), b.state_dict()
    for key in {**first, **second}:
        if key not in first or key not in second or not same_bits(first[key], second[key]):
            return key
    return ""


def same_bits(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.nan_to_num(nan=1e30), b.nan_to_num(nan=1e30))


def checkpoint_file(folder: str) -> Path:
    return Path(folder) / "checkpoint.pt"
