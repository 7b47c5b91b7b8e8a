"""What methods share that solve instead of descending: features moved, then a classifier in closed form."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from dalib.core.algorithm import Algorithm
from dalib.core.contracts import TrainerLike
from dalib.core.errors import DalibError
from dalib.core.hyper import choice, positive, whole
from dalib.core.needs import Needs, Size, need_classifier
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS
from dalib.core.types import Domain
from dalib.nn.classifiers import CLASSIFIERS, find_nearest, fit_classifier, score_classifier, warn_of_unit

SOLVED = ("classification", "multilabel", "regression")
"""Kinds of answers that have a head in closed form, for solved methods that read no labels."""
EMBEDDING = frozenset({"crop", "resize", "precision", "channels_last"})
"""Fields of TrainConfig that features of a backbone that does not train depend on."""


class FeatureAlgorithm(Algorithm):
    """Methods that solve instead of descend: move source features towards the target, then fit a classifier.

    A subclass gives `align` (and `project` when target rows move too); it stores what prediction needs in buffers.
    Everything is computed in float64 on the backbone's own features (no bottleneck). A subclass that brings its own
    classifier fixes `classifier`, `C` and `k` by plain values. Where labels are no classes the objective solves for the
    head (`Objective.solve`: ridge regression of numbers), and `y_s` is 0 throughout.

    Class variables
        uses_labels: `align` or `weigh` reads y_s, so that it needs classes
        keeps_columns: column j of the moved rows is still column j
    """

    objectives: ClassVar[tuple[str, ...]] = ("classification",)
    uses_labels: ClassVar[bool] = False
    keeps_columns: ClassVar[bool] = False
    alone = "it solves in place of descending"
    classifier: str = choice(
        default="logistic", options=CLASSIFIERS, last=True,
        doc="multinomial logistic regression, a linear machine (one against the rest), 1-NN, linear discriminant "
        "analysis (shrunk covariance), or the vote of the k nearest rows",
    )  # fmt: skip
    C: float = positive(default=1.0, doc="inverse regularisation of `logistic` and `svm`", last=True)
    k: int = whole(default=5, doc="rows that vote in `k_nn`", last=True)

    @classmethod
    def reads_recipe(cls) -> frozenset[str] | None:
        """What decides the features: nothing descends."""
        return EMBEDDING

    @property
    def probabilistic(self) -> bool:  # type: ignore[override]
        """The classifier's scores are log-probabilities up to a constant."""
        return self.classifier not in ("nearest", "svm")

    def check_objective_of(self, kind: str) -> None:
        """Raise DalibError for a setting that means nothing for answers of this kind."""
        hyper = self.hypers.get("classifier")
        if kind != "classification" and self.uses_labels:
            raise DalibError(
                f"{self.name_for_people()} groups source rows by class here, but the labels are for {kind}; "
                f"{ALGORITHMS.suggest_for(kind)}"
            )
        if kind != "classification" and hyper is not None and self.classifier != hyper.default:
            raise DalibError(
                f"{self.name_for_people()}.classifier = {self.classifier!r} tells classes apart, but the labels are "
                f"for {kind}; leave it out"
            )

    def attach(self, network: Network) -> None:
        super().attach(network)
        self.check_objective_of(network.objective.name)

    def needs(self, size: Size) -> Needs:
        """The classifier's, on features as they are; a subclass adds its own to it."""
        return need_classifier(size, self.classifier)

    def weigh(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        """Importance of each source row for the classifier (n_s,), >= 0; all alike unless overridden."""
        return torch.ones(len(z_s), dtype=torch.float64)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        """z_s (n_s, d), y_s (n_s,), z_t (n_t, d) -> moved source rows (n_s, d'), float64."""
        return z_s

    def tell_sources(self, origin: Tensor) -> None:
        """Which domain each labelled row is from (n,), before they are moved or weighed; for methods that care."""

    def weigh_labelled(self, z: Tensor, y: Tensor, z_t: Tensor, own: Tensor) -> Tensor:
        """`weigh` of all labelled rows, for methods that tell the target's own among them, `own` (n,) bool, apart."""
        return self.weigh(z, y, z_t)

    def align_labelled(self, z: Tensor, y: Tensor, z_t: Tensor, own: Tensor) -> Tensor:
        """The same of `align`."""
        return self.align(z, y, z_t)

    def project(self, z: Tensor) -> Tensor:
        """Target-like rows (n, d) -> (n, d'), the space in which the classifier was fitted."""
        return z

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        """Source rows that `fit` has not seen, (n, d) -> (n, d'); by default where the nearest row of z_s went.

        z_s, z_t, moved: rows of the fit, and what `align` made of z_s
        """
        return moved[find_nearest(z, z_s)]

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        z_s, z_t = trainer.embed(self, source).double(), trainer.embed(self, target).double()
        classes, C = self.objective.name == "classification", self.C
        answers = torch.as_tensor(source.labels)
        y_s = answers if classes else torch.zeros(len(answers), dtype=torch.int64)
        own = torch.as_tensor(source.origin == self.network.target_origin)
        self.tell_sources(torch.as_tensor(source.origin))
        weight, moved = self.weigh_labelled(z_s, y_s, z_t, own), self.align_labelled(z_s, y_s, z_t, own)
        if source.weight is not None:
            given = torch.as_tensor(source.weight).to(weight)
            weight, C = weight * given, C * float(given.mean())
        warn_of_unit(self.name_for_people(), self.classifier, moved, C)
        if classes:
            state = fit_classifier(self.classifier, moved, y_s, C, self.network.outputs, weight, self.k)
        else:
            W, b = self.objective.solve(moved, answers, C, weight / weight.mean())
            state = {"weight": W, "bias": b}
        for name, value in state.items():
            self.register_buffer(f"classifier_{name}", value)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.project(self.network.embed(x).double())
        state = {k.removeprefix("classifier_"): v for k, v in self.named_buffers() if k.startswith("classifier_")}
        kind = self.classifier if self.objective.name == "classification" else "logistic"
        return z, score_classifier(kind, z, state, self.network.outputs)
