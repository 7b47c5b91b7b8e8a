"""The contract of every method; those that solve instead of descending have more of it in `core.feature_algorithm`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import dataclass_transform

from dalib.core.contracts import Minimise, Terms, TrainerLike
from dalib.core.declared import Declared
from dalib.core.errors import DalibError, TakesLong
from dalib.core.hyper import choice, flag, number, positive, state, text, whole
from dalib.core.memory import require_memory
from dalib.core.needs import LONG, ROUGHLY, Needs, Size, spell_seconds
from dalib.core.network import Network
from dalib.core.objective import Objective, find_objective
from dalib.core.registry import ALGORITHMS, OBJECTIVES
from dalib.core.types import Domain, Source, Target

if TYPE_CHECKING:
    from dalib.core.feature_algorithm import FeatureAlgorithm as FeatureAlgorithm


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
        recipe_on_features: the same where what is trained stands on features, as on a frozen backbone's
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
    recipe_on_features: ClassVar[dict[str, Any]] = {}
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


def __getattr__(name: str) -> Any:
    """`FeatureAlgorithm` is found here too, where plug-ins that are older than its own file look for it."""
    if name != "FeatureAlgorithm":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dalib.core.feature_algorithm import FeatureAlgorithm

    return FeatureAlgorithm
