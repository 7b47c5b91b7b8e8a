"""The nouns of domain adaptation. Symbols: x input, z features, y label; B batch, n rows, d width, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dalib.core.errors import DalibError, unknown
from dalib.core.registry import DEFAULT_PROTOCOL, PROTOCOLS
from dalib.core.rows import Input, RowView, take_rows


@dataclass(frozen=True)
class Rows:
    """A batch of one domain: x (B, *S), or {modality: (B, *S)}; index (B,) int64 = row numbers in the domain."""

    x: Input
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class LabelledRows(Rows):
    """Rows with labels y, as the objective says: (B,) int64 in [0, K) in classification."""

    y: Tensor


@dataclass(frozen=True)
class Source(LabelledRows):
    """A labelled batch after the network: z (B, d), logits (B, K), origin (B,) int64 = which source domain.

    `prediction` is what the head says, whatever the objective; `logits` is its name in classification.
    """

    z: Tensor
    logits: Tensor
    origin: Tensor

    @property
    def prediction(self) -> Tensor:
        return self.logits

    @classmethod
    def of(cls, z: Tensor, logits: Tensor, y: Tensor, origin: Tensor | None = None) -> Source:
        """From a loop of your own: features (B, d), logits (B, K) and labels (B,); origin: zeros unless given."""
        index = torch.arange(len(z), device=z.device)
        return cls(z.detach(), index, y, z, logits, torch.zeros_like(index) if origin is None else origin)


@dataclass(frozen=True)
class Target(Rows):
    """An unlabelled batch after the network: z (B, d), logits (B, K). It has no y: labels cannot be read by mistake.

    others: the same rows in further, more strongly distorted views, for algorithms that ask for `views` > 1
    """

    z: Tensor
    logits: Tensor
    others: tuple[Target, ...] = ()

    @property
    def prediction(self) -> Tensor:
        """What the head says (B, outputs), whatever the objective."""
        return self.logits

    @classmethod
    def of(cls, z: Tensor, logits: Tensor, *others: Target) -> Target:
        """From a loop of your own: features (B, d) and logits (B, K)."""
        return cls(z.detach(), torch.arange(len(z), device=z.device), z, logits, others)

    @property
    def strong(self) -> Target:
        """The second view; the batch itself where there is none."""
        return self.others[0] if self.others else self


@dataclass(frozen=True)
class Outputs:
    """One whole domain after fitting: z (n, d) float32, logits (n, K) float32, y (n,) int64 or None; on the CPU.

    Of another objective than classification, y and `logits` (also called `prediction`) are what that says.
    """

    z: Tensor
    logits: Tensor
    y: Tensor | None

    @property
    def prediction(self) -> Tensor:
        """What the head says (n, outputs), whatever the objective."""
        return self.logits

    @property
    def p(self) -> Tensor:
        """Class probabilities (n, K)."""
        return self.logits.softmax(1)


@dataclass(frozen=True)
class Domain:
    """One data set of one domain.

    Args
        name: `amazon`
        x: images (n, 3, R, R) uint8, features (n, d) float32, time series (n, C, T), token ids (n, L), or a structured
            array (n,) with one field per modality (`core.rows.combine`); may be a memory map, and images a view of rows
            of one (`core.rows.RowView`; np.asarray copies them)
        y: labels, or None: (n,) int64 in classification, else as the objective says (`dalib.objectives`)
        classes: class names; the position is the label, the same for every domain of a data set. In other objectives
            the names of the outputs
        fingerprint: sha256 of the content
        files: one name per row (path inside the root), or empty
        objective: what a label is: `classification`, `multilabel`, `regression` …
        origin: (n,) int64, which of the domains that were joined into this one a row is from; zeros for a plain domain
        weight: (n,) float64 >= 0, what each row counts in the supervised loss; None = all alike
    """

    name: str
    x: np.ndarray | RowView
    y: np.ndarray | None
    classes: tuple[str, ...]
    fingerprint: str
    files: tuple[str, ...] = ()
    origin: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    objective: str = "classification"
    weight: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.origin):
            object.__setattr__(self, "origin", np.zeros(len(self.x), np.int64))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def is_images(self) -> bool:
        return self.x.ndim == 4

    @property
    def labels(self) -> np.ndarray:
        """y, for code that needs it to be there."""
        if self.y is None:
            raise DalibError(f"domain '{self.name}' has no labels here; the protocol grants none")
        return self.y

    def unlabelled(self) -> Domain:
        return replace(self, y=None)

    def take(self, index: np.ndarray, note: str) -> Domain:
        """The rows of `index`, numbers (m,) or a mask (n,) bool, in that order; no image is copied.

        Args
            note: enters the fingerprint (`split(seed=0)`)
        """
        return replace(
            self,
            x=take_rows(self.x, index),
            y=None if self.y is None else self.y[index],
            files=tuple(self.files[i] for i in np.arange(len(self))[index]) if self.files else (),
            origin=self.origin[index],
            weight=None if self.weight is None else self.weight[index],
            fingerprint=f"{self.fingerprint}:{note}",
        )

    def with_x(self, x: np.ndarray, note: str) -> Domain:
        """The same rows in another representation (their embedding)."""
        return replace(self, x=x, fingerprint=f"{self.fingerprint}:{note}")


@dataclass(frozen=True)
class Task:
    """What one run may see.

    Args
        name: `amazon->webcam`; `dslr+webcam->amazon` for several sources
        labelled: rows whose labels the protocol grants; their classes are the known ones
        target: unlabelled rows of the target
        validation: labelled rows kept out of training, from the labelled domain; empty when validation = 0
        test: labelled rows of the target that metrics are computed on; in an open-set task y = K stands for `unknown`
        protocol: the name of the one that divided the rows
    """

    name: str
    labelled: Domain
    target: Domain
    validation: Domain
    test: Domain
    protocol: str = DEFAULT_PROTOCOL

    @property
    def classes(self) -> tuple[str, ...]:
        """The K known classes; in other objectives than classification the names of the outputs."""
        return self.labelled.classes

    @property
    def objective(self) -> str:
        """What a label is."""
        return self.labelled.objective

    @property
    def target_origin(self) -> int:
        """Which `origin` of `labelled` is the target itself; -1 where the protocol labels no target row."""
        return int(PROTOCOLS.get(self.protocol).target_origin(self.labelled))

    @property
    def is_open(self) -> bool:
        """The target holds rows of no known class."""
        return len(self.test.classes) > len(self.classes)


def name_unknown(classes: Sequence[str]) -> str:
    """What rows of none of the classes are called: `unknown`, in brackets where a class has that name already."""
    name = "unknown"
    while name in classes:
        name = f"({name})"
    return name


def pick_domain(domains: dict[str, Any], name: str, dataset: str) -> Any:
    """domains[name], or the error that suggests a near name."""
    if name not in domains:
        raise unknown("domain", name, domains, f"data set {dataset}")
    return domains[name]
