"""The contract of every method, deep (`Algorithm`) or solved (`FeatureAlgorithm`)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import dataclass_transform

from dalib.core.contracts import Minimise, Terms, TrainerLike
from dalib.core.declared import Declared
from dalib.core.errors import DalibError, TakesLong
from dalib.core.hyper import choice, flag, number, positive, state, text, whole
from dalib.core.memory import require_memory
from dalib.core.needs import LONG, ROUGHLY, Needs, Size, need_classifier, spell_seconds
from dalib.core.network import Network
from dalib.core.objective import Objective, find_objective
from dalib.core.registry import ALGORITHMS, OBJECTIVES
from dalib.core.types import Domain, Source, Target
from dalib.nn.classifiers import CLASSIFIERS, find_nearest, fit_classifier, score_classifier, warn_of_unit


@dataclass_transform(field_specifiers=(number, positive, whole, choice, flag, text, state))
class Algorithm(Declared, nn.Module):
    """One idea for using unlabelled target rows. Only `adapt` is required, and not even that of a strategy of training.

    Hyper-parameters are declared in the body, `weight: float = positive(default=1.0, search=(0.3, 1.0), doc="…")`; the
    constructor, the range check, the search space, `dalib show` and the docs come from these lines.

    Class variables
        family: heading in the catalogue (`adversarial`, `discrepancy`, `optimal transport` …)
        setting: what it is for: `closed-set`, `partial`, `open-set`, `multi-source`, `source-free` or `test-time`
        paper: BibTeX key in docs/references.bib, or an empty string
        version: raise it when the algorithm's numbers change; it is part of every record's key
        objectives: kinds of answers on which its mathematics works, by name; `any`
        rows_only: it works on features of whole rows, not where every pixel has an answer (`Objective.dense`)
        uses_target: False lets the trainer skip the target's forward pass
        views: how many views of each target batch the loss needs; those after the first are `target.others`
        probabilistic: False if the scores are no log-probabilities (distances, regressions): only their order counts
        rejects: True if there are K + 1 logits, the last of them for rows of no known class
        recipe: fields of TrainConfig that its paper asks for; they stand where a run leaves them open
        needs_head: the network keeps the classifier that its backbone was pretrained with (`network.pretrained_head`)
        needs_texts: the same of the tower that reads class names (`network.text_tower`); such a class sets both
        source_free: it can begin with a trained network and unlabelled rows alone, by `go_on` (`dalib adapt`)
        of_the_source: hyper-parameters that mean nothing then
        alone: why it cannot be summed with others (`DANN() + MCC()`), for the message; empty if it can. What has a
            `step` or a `loss` of its own cannot either
        undivided: why several processes cannot share its steps (`torchrun`), for the message; empty if they can. What
            differentiates the loss itself cannot: a rank has the gradient of its own rows alone before they are summed
        trial: hyper-parameters for the small world of the checks, where a default needs what may not be installed, or
            is for networks that have learnt something
        lives_on: what it needs (a name of `core.lacking.REMEDIES`) -> what it is without, for the line that says so
        instead: what to take where a fit does not fit in memory, or takes minutes, for the message
    """

    family: ClassVar[str] = "other"
    setting: ClassVar[str] = "closed-set"
    paper: ClassVar[str] = ""
    version: ClassVar[int] = 1
    objectives: ClassVar[tuple[str, ...]] = ("any",)
    rows_only: ClassVar[bool] = False
    uses_target: ClassVar[bool] = True
    views: ClassVar[int] = 1
    probabilistic: bool = True
    rejects: ClassVar[bool] = False
    recipe: ClassVar[dict[str, Any]] = {}
    needs_head: ClassVar[bool] = False
    needs_texts: ClassVar[bool] = False
    source_free: ClassVar[bool] = False
    of_the_source: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[str] = ""
    undivided: ClassVar[str] = ""
    trial: ClassVar[dict[str, Any]] = {}
    lives_on: ClassVar[dict[str, str]] = {}
    instead: ClassVar[str] = "a part of the rows, or coral, subspace_alignment or easy_tl, which need none"
    network: Network

    @classmethod
    def reads_recipe(cls) -> frozenset[str] | None:
        """Fields of TrainConfig that may change its numbers; None = all of them."""
        return None

    @classmethod
    def check_objective(cls, kind: str) -> None:
        """Raise DalibError, which names algorithms that can, for answers of a kind that it does not know."""
        if not cls.can_answer(kind):
            raise DalibError(
                f"{cls.name_for_people()} needs {cls._needs()}, but the labels are for {kind}; "
                f"{ALGORITHMS.suggest_for(kind)}"
            )

    @classmethod
    def can_answer(cls, kind: str) -> bool:
        """Its mathematics works on answers of this kind."""
        known = bool({"any", kind}.intersection(cls.objectives))
        return known and not (cls.rows_only and kind in OBJECTIVES and OBJECTIVES.get(kind).dense)

    @classmethod
    def _needs(cls) -> str:
        return "an answer per row" if cls.objectives == ("any",) else " or ".join(cls.objectives)

    @property
    def objective(self) -> Objective:
        """The network's; classification before there is a network."""
        network = self.__dict__.get("network") or self._modules.get("network")
        return network.objective if isinstance(network, Network) else find_objective()

    def pairs(self, n_s: int, n_t: int) -> float:
        """Pairs of rows that are in memory at once, as float64, for methods that descend; 0: it does not grow so."""
        return 0.0

    def needs(self, size: Size) -> Needs:
        """What a fit takes in memory and time beside the rows themselves, from its hyper-parameters."""
        pairs = self.pairs(size.n_s, size.n_t)
        return Needs(pairs, "matrices over pairs of rows," if pairs else "")

    def check_memory(self, n_s: int, n_t: int) -> None:
        """Raise DalibError, before anything is allocated, if a fit on n_s + n_t rows does not fit in memory.

        A fit that takes minutes says so first, in one line.
        """
        size = Size(n_s, n_t, self.network.dim, self.network.outputs)
        needs, name = self.needs(size), self.name_for_people()
        require_memory(name, needs.bytes, f"{needs.formula} numbers of 8 bytes for {size}", f"take {self.instead}")
        if needs.seconds > LONG:
            warnings.warn(
                f"{name} takes about {spell_seconds(needs.seconds)} (mostly within a factor of {ROUGHLY}) for {size}; "
                f"sooner: {self.instead}",
                TakesLong,
                stacklevel=3,
            )

    def need_probabilities(self, what: str) -> None:
        """Raise DalibError if the scores are no log-probabilities.

        what: asks for them
        """
        if not self.probabilistic:
            way = "classifier = 'logistic', or " if "classifier" in self.hypers else ""
            raise DalibError(
                f"{what} needs probabilities, but the scores of {self.name_for_people()} are distances or regressions, "
                f"of which only the order counts; take {way}a method that gives them (linear_probe, coral, dann)"
            )

    def attach(self, network: Network) -> None:
        """Take the shared network and build the algorithm's own modules for its width.

        Raises
            DalibError: a hyper-parameter out of range, or answers of a kind that its mathematics does not know
        """
        self.check()
        self.check_objective(network.objective.name)
        self.network = network
        self.build(network.dim, network.outputs)

    def build(self, dim: int, outputs: int) -> None:
        """Make own modules (a discriminator, a second head) for z of width `dim` and `outputs` numbers per row (K)."""

    def read_names(self, classes: Sequence[str], source: str, target: str) -> None:
        """Told, after `attach` and before training, what the classes and both domains are called."""

    def attach_part(self, name: str, part: Algorithm) -> None:
        """For `build`: an algorithm inside this one, as the submodule `name`; it shares this one's network."""
        part.check()
        part.check_objective(self.network.objective.name)
        object.__setattr__(part, "network", self.network)  # shared, so not a submodule of the part
        part.build(self.network.dim, self.network.outputs)
        self.add_module(name, part)

    def __add__(self, other: Algorithm) -> Algorithm:
        """Several ideas at once: `DANN() + MCC()`; the supervised term counts once."""
        summed: Algorithm = ALGORITHMS.add_up(self, other)
        return summed

    @property
    def episode(self) -> tuple[int, int]:
        """(classes, rows of each) in every labelled batch of a descent, all of one `origin`; (0, 0): the recipe's."""
        return 0, 0

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        """(module, learning-rate factor) pairs; later ones win, 0 freezes. Default: backbone × rate, the rest × 1."""
        return [(self, 1.0), (self.network.backbone, backbone_rate), *self.own_rates()]

    def own_rates(self) -> list[tuple[nn.Module, float]]:
        """The same of modules that `build` made, where they learn faster or more slowly than the head."""
        return []

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Named, weighted terms that adaptation adds to the supervised loss; pure in inputs, parameters and buffers.

        Shapes
            source.z, target.z (B_s, d), (B_t, d): B_s and B_t may differ; every term is a scalar
            progress in [0, 1]: the part of training that is over
        """
        return {}

    def supervise(self, source: Source) -> Tensor:
        """The supervised loss (); overridden where the paper changes it (label smoothing, weights, episodes)."""
        return self.objective.loss(self.answer(source.z, source.prediction), source.y)

    def penalty(self) -> Terms:
        """Named, weighted terms of the weights alone (L2-SP …)."""
        return {}

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """All terms, whose sum is minimised: supervised, of adaptation, of the weights; for a loop of your own too."""
        supervised = {self.objective.name: self.supervise(source)}
        return {**supervised, **self.adapt(source, target, progress), **self.penalty()}

    def answer(self, z: Tensor, prediction: Tensor) -> Tensor:
        """What is predicted (B, outputs), from z and what the network's head says; for heads of one's own."""
        return prediction

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        """Called before each pass over the target (pseudo-labels, prototypes)."""

    def before_evaluation(self, trainer: TrainerLike, target: Domain) -> None:
        """Called before a candidate is evaluated (statistics of the target); must not change what training does."""

    def end_step(self) -> None:
        """Called after every step, when the weights have moved (averages of weights)."""

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        """One training step; override for alternating games (`minimise(terms, only=[module])`)."""
        minimise(self.loss(source, target, progress))

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        """Train on a labelled and an unlabelled domain; the default descends on `loss`."""
        trainer.descend(self, source, target)

    def go_on(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        """What `source_free` algorithms do with a network trained before; source: no rows. Here: nothing to descend."""

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *S) -> z (B, d), prediction (B, outputs): logits (B, K) in classification."""
        z, prediction = self.network(x)
        return z, self.answer(z, prediction)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Buffers whose shape is known only after fitting (`None` or absent till then) are created when loaded."""
        where = next((p.device for p in self.parameters()), torch.device("cpu"))
        for key, value in state_dict.items():
            name = key.removeprefix(prefix)
            new = name not in self._parameters and self._buffers.get(name) is None
            if key.startswith(prefix) and "." not in name and new:
                self.register_buffer(name, value.clone().to(where))
        super()._load_from_state_dict(state_dict, prefix, *args)


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
