"""Several algorithms at once: `DANN() + MCC()`, or `algorithm = ["dann", "mcc"]` in a suite. Their loss terms add."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, FeatureAlgorithm, Terms, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, snake_case
from dalib.core.types import Domain, Source, Target

OWN = ("step", "fit", "predict")
"""What a part may not override: two answers would contradict each other."""


class Combination(Algorithm):
    """The sum of several algorithms' losses on one network; made by `combine` or `+`.

    loss = CE(logits_s, y_s) + every part's other terms

    Hyper-parameters are the parts', as `dann.weight`; parts are in alphabetical order, so that the order of writing
    changes nothing. A term that two parts name alike is kept twice, as `adversarial` and `mcc.adversarial`.
    """

    family = "combination"
    names: ClassVar[tuple[str, ...]] = ()
    classes: ClassVar[tuple[type[Algorithm], ...]] = ()

    def __init__(self, **hparams: Any) -> None:
        super().__init__()
        for name, value in {**self.defaults(), **hparams}.items():
            setattr(self, name, value)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        return {f"{n}.{k}": v for n, c in zip(cls.names, cls.classes, strict=True) for k, v in c.defaults().items()}

    @property
    def parts(self) -> list[Algorithm]:
        """The attached parts."""
        return [self.get_submodule(name) for name in self.names]  # type: ignore[misc]

    def check(self) -> None:
        for part in self._make():
            part.check()

    def build(self, dim: int, num_classes: int) -> None:
        for name, part in zip(self.names, self._make(), strict=True):
            self.attach_part(name, part)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        return super().rates(backbone_rate) + [
            pair for part in self.parts if type(part).rates is not Algorithm.rates for pair in part.rates(backbone_rate)
        ]

    def loss(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        terms: Terms = {}
        for name, part in zip(self.names, self.parts, strict=True):
            for term, value in part.loss(source, target, progress).items():
                if term == "classification":
                    terms.setdefault(term, value)
                else:
                    terms[f"{name}.{term}" if term in terms else term] = value
        return terms

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        for part in self.parts:
            part.begin_epoch(trainer, target)

    def before_evaluation(self, trainer: TrainerLike, target: Domain) -> None:
        for part in self.parts:
            part.before_evaluation(trainer, target)

    def _make(self) -> list[Algorithm]:
        given = self.hparams
        return [
            c(**{k: given[f"{n}.{k}"] for k in c.defaults()}) for n, c in zip(self.names, self.classes, strict=True)
        ]


def can_combine(cls: type[Algorithm]) -> bool:
    """Its whole idea is its loss."""
    return (
        cls.combines
        and not issubclass(cls, FeatureAlgorithm)
        and all(getattr(cls, name) is getattr(Algorithm, name) for name in OWN)
    )


def combine(*parts: tuple[str, type[Algorithm]]) -> type[Combination]:
    """The class of `("dann", DANN), ("mcc", MCC)`; the same parts in any order give the same class.

    Raises
        DalibError: one part, a part twice, or one that trains or predicts in a way of its own
    """
    return _combine(tuple(sorted(parts, key=lambda part: part[0])))


@cache
def _combine(parts: tuple[tuple[str, type[Algorithm]], ...]) -> type[Combination]:
    names = tuple(name for name, _ in parts)
    if len(set(names)) < max(2, len(names)):
        raise DalibError(f"'{'+'.join(names)}' is no combination; name at least two different algorithms")
    for name, cls in parts:
        if not can_combine(cls):
            raise DalibError(f"{name} cannot be combined: it trains or predicts in a way of its own; take it alone")
    classes = tuple(cls for _, cls in parts)
    version = 0
    for cls in classes:
        version = 1000 * version + cls.version
    content = {
        "names": names,
        "classes": classes,
        "version": version,
        "paper": ", ".join(cls.paper for cls in classes if cls.paper),
        "space": {f"{n}.{k}": v for n, c in parts for k, v in c.space.items()},
        "uses_target": any(cls.uses_target for cls in classes),
        "views": max(cls.views for cls in classes),
        "__doc__": Combination.__doc__,
        "__module__": __name__,
    }
    return type("".join(cls.__name__ for cls in classes), (Combination,), content)


def add(first: Algorithm, second: Algorithm) -> Combination:
    """`first + second`, with the hyper-parameters they were given."""
    parts: list[tuple[str, type[Algorithm]]] = []
    hparams: dict[str, Any] = {}
    for one in (first, second):
        if isinstance(one, Combination):
            parts += zip(one.names, one.classes, strict=True)
            hparams |= one.hparams
        else:
            name = ALGORITHMS.name_of(type(one)) or snake_case(type(one).__name__)
            parts.append((name, type(one)))
            hparams |= {f"{name}.{k}": v for k, v in one.hparams.items()}
    return combine(*parts)(**hparams)
