"""The contract of every method, deep (`Algorithm`) or solved (`FeatureAlgorithm`)."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from dalib.core.errors import DalibError, unknown
from dalib.core.network import Network
from dalib.core.types import Domain, Outputs, Source, Target
from dalib.nn.classifiers import CLASSIFIERS, fit_classifier, score_classifier

Terms = dict[str, Tensor]


class Minimise(Protocol):
    """What a step may ask for."""

    def __call__(self, terms: Terms, only: Sequence[nn.Module] | None = None) -> None:
        """One optimiser step on the terms' sum, for the parameters of `only` or all."""

    def forward(self, source: Source, target: Target) -> tuple[Source, Target]:
        """The same rows through the network once more, as the recipe says (precision, joint or separate)."""


class TrainerLike(Protocol):
    """What an algorithm may ask of the trainer that runs it.

    labelled: the labelled rows of the run, as `fit` is given them
    """

    labelled: Domain

    def descend(self, algorithm: Algorithm, source: Domain, target: Domain, until: float = 1.0) -> None:
        """Train from where the last descent stopped to `until` of all steps; a source without rows is withheld."""

    def embed(self, algorithm: Algorithm, domain: Domain) -> Tensor:
        """The backbone's own features (n, d), on the CPU."""

    def outputs(self, algorithm: Algorithm, domain: Domain) -> Outputs:
        """z and logits of every row, in evaluation mode, on the CPU."""

    def reestimate(self, algorithm: Algorithm, domain: Domain) -> int:
        """Give every batch norm of the network this domain's statistics; returns how many there are."""


class Algorithm(nn.Module):
    """One idea for using unlabelled target rows. Only `loss` is required.

    Class variables
        family: heading in the catalogue (`adversarial`, `discrepancy`, `optimal transport` …)
        setting: what it is for: `closed-set`, `partial`, `open-set`, `multi-source`, `source-free` or `test-time`
        paper: BibTeX key in docs/references.bib, or an empty string
        version: raise it when the algorithm's numbers change; it is part of every record's key
        space: search space, name -> candidate values
        uses_target: False lets the trainer skip the target's forward pass
        views: how many views of each target batch the loss needs; those after the first are `target.others`
        rejects: True if there are K + 1 logits, the last of them for rows of no known class
        needs_head: the network keeps the classifier that its backbone was pretrained with (`network.pretrained_head`)
        combines: False keeps it out of sums (`DANN() + MCC()`); so do a step, fit or predict of its own
    """

    family: ClassVar[str] = "other"
    setting: ClassVar[str] = "closed-set"
    paper: ClassVar[str] = ""
    version: ClassVar[int] = 1
    space: ClassVar[dict[str, list[Any]]] = {}
    uses_target: ClassVar[bool] = True
    views: ClassVar[int] = 1
    rejects: ClassVar[bool] = False
    needs_head: ClassVar[bool] = False
    combines: ClassVar[bool] = True
    network: Network

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Hyper-parameters and their default values, in the constructor's order."""
        parameters = list(inspect.signature(cls).parameters.values())
        return {p.name: p.default for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}

    @property
    def hparams(self) -> dict[str, Any]:
        """Hyper-parameters as they were given."""
        return {name: getattr(self, name) for name in self.defaults()}

    @classmethod
    def create(cls, name: str, hparams: dict[str, Any]) -> Algorithm:
        """cls(**hparams), with an error that suggests the right spelling of an unknown hyper-parameter."""
        known = cls.defaults()
        for key, value in hparams.items():
            if key not in known:
                raise unknown(f"hyper-parameter of {name}", key, known, f"dalib show {name}")
            default = known[key]
            numeric = isinstance(default, (int, float)) and not isinstance(default, bool)
            if numeric and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise DalibError(f"{name}.{key} = {value!r} is not a number; its default is {default!r}")
            if isinstance(default, bool) and not isinstance(value, bool):
                raise DalibError(f"{name}.{key} = {value!r} is not true or false; its default is {default!r}")
        return cls(**hparams)

    def check(self) -> None:
        """Raise DalibError for hyper-parameters out of range; called by `attach`, so constructors only store."""

    def attach(self, network: Network) -> None:
        """Take the shared network and build the algorithm's own modules for its width."""
        self.check()
        self.network = network
        self.build(network.dim, network.num_classes)

    def build(self, dim: int, num_classes: int) -> None:
        """Make own modules (a discriminator, a second head) for z of width `dim` and `num_classes` classes."""

    def attach_part(self, name: str, part: Algorithm) -> None:
        """For `build`: an algorithm inside this one, as the submodule `name`; it shares this one's network."""
        part.check()
        object.__setattr__(part, "network", self.network)  # shared, so not a submodule of the part
        part.build(self.network.dim, self.network.num_classes)
        self.add_module(name, part)

    def __add__(self, other: Algorithm) -> Algorithm:
        """Both ideas at once: `DANN() + MCC()`; the classification term counts once."""
        from dalib.core.combination import add

        return add(self, other)

    @property
    def episode(self) -> tuple[int, int]:
        """(classes, rows of each) in every labelled batch of a descent, all of one `origin`; (0, 0): the recipe's."""
        return 0, 0

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        """(module, learning-rate factor) pairs; later ones win, 0 freezes. Default: backbone × rate, the rest × 1."""
        return [(self, 1.0), (self.network.backbone, backbone_rate)]

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        """Named, weighted terms whose sum is minimised; a pure function of its inputs, parameters and buffers.

        Shapes
            source.z, target.z (B_s, d), (B_t, d): B_s and B_t may differ; every term is a scalar
            progress in [0, 1]: the part of training that is over
        """
        raise NotImplementedError

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        """Called before each pass over the target (pseudo-labels, prototypes)."""

    def before_evaluation(self, trainer: TrainerLike, target: Domain) -> None:
        """Called before a candidate is evaluated (statistics of the target); must not change what training does."""

    def step(self, source: Source, target: Target, progress: float | Tensor, minimise: Minimise) -> None:
        """One training step; override for alternating games (`minimise(terms, only=[module])`)."""
        minimise(self.loss(source, target, progress))

    def end_step(self) -> None:
        """Called after every `step` (an averaged copy that follows, a memory)."""

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        """Train on a labelled and an unlabelled domain; the default descends on `loss`."""
        trainer.descend(self, source, target)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *S) -> z (B, d), logits (B, K)."""
        return self.network(x)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Buffers whose shape is known only after fitting (`None` or absent till then) are created when loaded."""
        where = next((p.device for p in self.parameters()), torch.device("cpu"))
        for key, value in state_dict.items():
            name = key.removeprefix(prefix)
            new = name not in self._parameters and self._buffers.get(name) is None
            if key.startswith(prefix) and "." not in name and new:
                self.register_buffer(name, value.clone().to(where))
        super()._load_from_state_dict(state_dict, prefix, *args)


class FeatureAlgorithm(Algorithm):
    """Methods that solve instead of descend: move source features towards the target, then fit a classifier.

    A subclass gives `align` (and `project` when target rows move too); it stores what prediction needs in buffers.
    Everything is computed in float64 on the backbone's own features (no bottleneck).

    Args (shared by every subclass)
        classifier: `logistic` (multinomial), `svm` (linear, one against the rest), `nearest` (1-NN, Euclidean), `lda`
            (linear discriminant analysis, shrunk covariance) or `k_nn` (the vote of the k nearest rows)
        C: inverse regularisation of `logistic` and `svm`, > 0
        k: rows that vote in `k_nn`, >= 1; 5 where it is no hyper-parameter
    """

    classifier: str
    C: float
    k: int = 5

    def check(self) -> None:
        if self.classifier not in CLASSIFIERS:
            raise unknown("classifier", self.classifier, CLASSIFIERS)

    def weigh(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        """Importance of each source row for the classifier (n_s,), >= 0; all alike unless overridden."""
        return torch.ones(len(z_s), dtype=torch.float64)

    def align(self, z_s: Tensor, y_s: Tensor, z_t: Tensor) -> Tensor:
        """z_s (n_s, d), y_s (n_s,), z_t (n_t, d) -> moved source rows (n_s, d'), float64."""
        return z_s

    def project(self, z: Tensor) -> Tensor:
        """Target-like rows (n, d) -> (n, d'), the space in which the classifier was fitted."""
        return z

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        z_s, z_t = trainer.embed(self, source).double(), trainer.embed(self, target).double()
        y_s = torch.as_tensor(source.labels)
        weight, moved = self.weigh(z_s, y_s, z_t), self.align(z_s, y_s, z_t)
        state = fit_classifier(self.classifier, moved, y_s, self.C, self.network.num_classes, weight, self.k)
        for name, value in state.items():
            self.register_buffer(f"classifier_{name}", value)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.project(self.network.embed(x).double())
        state = {k.removeprefix("classifier_"): v for k, v in self.named_buffers() if k.startswith("classifier_")}
        return z, score_classifier(self.classifier, z, state, self.network.num_classes)
