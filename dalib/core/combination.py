"""Several algorithms at once: `DANN() + MCC()`, or `algorithm = ["dann", "mcc"]` in a suite. Their terms add."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from torch import Tensor, nn

from dalib.core.algorithm import Algorithm, Terms, TrainerLike
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, OBJECTIVES, snake_case
from dalib.core.types import Domain, Source, Target

ONCE = {
    "fit": ("fit",),
    "predict": ("predict", "answer"),
    "weigh the supervised loss": ("supervise",),
}
"""What at most one part may do in a way of its own, and the methods by which it does: two answers would contradict."""


class Combination(Algorithm):
    """The sum of several algorithms on one network; made by `combine` or `+`.

    loss = supervised loss + every part's terms of adaptation + every part's penalties

    Hyper-parameters are the parts', as `dann.weight`; parts are in alphabetical order, so that the order of writing
    changes nothing. A term that two parts name alike is kept twice, as `adversarial` and `mcc.adversarial`. One part
    may train in phases, one may predict by a head of its own (the others then see what it predicts), one may change the
    supervised loss.
    """

    family = "combination"
    names: ClassVar[tuple[str, ...]] = ()
    classes: ClassVar[tuple[type[Algorithm], ...]] = ()

    @property
    def parts(self) -> dict[str, Algorithm]:
        """The attached parts by name."""
        return {name: self.get_submodule(name) for name in self.names}  # type: ignore[misc]

    def check(self) -> None:
        for part in self.make_parts():
            part.check()

    def build(self, dim: int, outputs: int) -> None:
        for name, part in zip(self.names, self.make_parts(), strict=True):
            self.attach_part(name, part)

    def rates(self, backbone_rate: float) -> list[tuple[nn.Module, float]]:
        own = [part for part in self.parts.values() if type(part).rates is not Algorithm.rates]
        return [
            *super().rates(backbone_rate),
            *(pair for part in own for pair in part.rates(backbone_rate)),
            *self.own_rates(),
        ]

    def own_rates(self) -> list[tuple[nn.Module, float]]:
        return [pair for part in self.parts.values() for pair in part.own_rates()]

    def supervise(self, source: Source) -> Tensor:
        part = self._part_with("supervise")
        return part.supervise(self._answered(source, part)) if part else super().supervise(source)

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        terms: Terms = {}
        for name, part in self.parts.items():
            pair = self._answered(source, part), self._answered(target, part)
            _add_terms(terms, name, part.adapt(*pair, progress))
        return terms

    def penalty(self) -> Terms:
        terms: Terms = {}
        for name, part in self.parts.items():
            _add_terms(terms, name, part.penalty())
        return terms

    def answer(self, z: Tensor, prediction: Tensor) -> Tensor:
        part = self._part_with("answer")
        return part.answer(z, prediction) if part else prediction

    def begin_epoch(self, trainer: TrainerLike, target: Domain) -> None:
        for part in self.parts.values():
            part.begin_epoch(trainer, target)

    def before_evaluation(self, trainer: TrainerLike, target: Domain) -> None:
        for part in self.parts.values():
            part.before_evaluation(trainer, target)

    def end_step(self) -> None:
        for part in self.parts.values():
            part.end_step()

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        part = self._part_with("fit")
        part.fit(trainer, source, target) if part else super().fit(trainer, source, target)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        part = self._part_with("predict")
        return part.predict(x) if part else super().predict(x)

    def make_parts(self) -> list[Algorithm]:
        """Fresh parts with the hyper-parameters that this combination was given."""
        given = self.hparams
        pairs = zip(self.names, self.classes, strict=True)
        return [cls(**{k: given[f"{name}.{k}"] for k in cls.hypers}) for name, cls in pairs]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickled and copied by its parts: the class itself is made when it is asked for."""
        return _restore, (tuple(zip(self.names, self.classes, strict=True)),), self.__dict__

    def _part_with(self, method: str) -> Algorithm | None:
        """The part that has a method of its own."""
        return next((part for part in self.parts.values() if overrides(type(part), method)), None)

    def _answered(self, rows: Any, part: Algorithm) -> Any:
        """The rows as this part sees them: with what is predicted, where another part has a head of its own."""
        other = self._part_with("answer")
        if other is None or other is part or not len(rows):
            return rows
        seen = replace(rows, logits=other.answer(rows.z, rows.prediction))
        return (
            replace(seen, others=tuple(self._answered(o, part) for o in rows.others))
            if len(getattr(rows, "others", ()))
            else seen
        )


def _add_terms(terms: Terms, name: str, more: Terms) -> None:
    for term, value in more.items():
        terms[f"{name}.{term}" if term in terms else term] = value


def overrides(cls: type[Algorithm], method: str) -> bool:
    """The class has a method of its own."""
    return getattr(cls, method) is not getattr(Algorithm, method)


def why_alone(cls: type[Algorithm]) -> str:
    """Why a class cannot be summed with others; an empty string if it can."""
    if cls.alone:
        return cls.alone
    if overrides(cls, "step"):
        return "a step of it is more than one descent on a sum of terms"
    if overrides(cls, "loss"):
        return "its `loss` says everything at once; give in `adapt` what it adds to the supervised loss"
    return ""


def combine(*parts: tuple[str, type[Algorithm]]) -> type[Combination]:
    """The class of `("dann", DANN), ("mcc", MCC)`; the same parts in any order give the same class.

    Raises
        DalibError: one part, a part twice, one that cannot be summed, or two that contradict each other
    """
    return _combine(tuple(sorted(parts, key=lambda part: part[0])))


@cache
def _combine(parts: tuple[tuple[str, type[Algorithm]], ...]) -> type[Combination]:
    names = tuple(name for name, _ in parts)
    if len(set(names)) < max(2, len(names)):
        raise DalibError(f"'{'+'.join(names)}' is no combination; name at least two different algorithms")
    for name, cls in parts:
        if reason := why_alone(cls):
            raise DalibError(f"{name} cannot be combined: {reason}; take it alone")
    for what, methods in ONCE.items():
        owners = [name for name, cls in parts if any(overrides(cls, method) for method in methods)]
        if len(owners) > 1:
            raise DalibError(f"{' and '.join(owners)} cannot be combined: each wants to {what} in a way of its own")
    classes = tuple(cls for _, cls in parts)
    kinds = [set(cls.objectives) - {"any"} for cls in classes if "any" not in cls.objectives]
    if kinds and not set.intersection(*kinds):
        picky = ((name, cls.objectives) for name, cls in parts if "any" not in cls.objectives)
        told = ", ".join(f"{name} for {' or '.join(wanted)}" for name, wanted in picky)
        raise DalibError(f"{' and '.join(names)} cannot be combined: they are for different answers ({told})")
    common = set.intersection(*kinds) if kinds else {"any"}
    narrow = [name for name, cls in parts if cls.rows_only]
    if narrow and all(kind in OBJECTIVES and OBJECTIVES.get(kind).dense for kind in common):
        wide = [name for name, cls in parts if "any" not in cls.objectives]
        raise DalibError(
            f"{' and '.join(names)} cannot be combined: {narrow[0]} needs an answer per row, {wide[0]} is for "
            f"{' and '.join(sorted(common))}"
        )
    version = 0
    for cls in classes:
        version = 1000 * version + cls.version
    content = {
        "names": names,
        "classes": classes,
        "version": version,
        "paper": ", ".join(cls.paper for cls in classes if cls.paper),
        "objectives": tuple(sorted(common)),
        "undivided": next((cls.undivided for cls in classes if cls.undivided), ""),
        "rows_only": any(cls.rows_only for cls in classes),
        "uses_target": any(cls.uses_target for cls in classes),
        "recipe": _agree([cls.recipe for cls in classes]),
        "recipe_on_features": _agree([cls.recipe_on_features for cls in classes]),
        "needs_head": any(cls.needs_head for cls in classes),
        "needs_texts": any(cls.needs_texts for cls in classes),
        "trial": {f"{name}.{k}": value for name, cls in parts for k, value in cls.trial.items()},
        "views": max(cls.views for cls in classes),
        "__doc__": Combination.__doc__,
        "__module__": __name__,
    }
    made: type[Combination] = type("".join(cls.__name__ for cls in classes), (Combination,), content)
    made.hypers = {f"{name}.{k}": hyper for name, cls in parts for k, hyper in cls.hypers.items()}
    made.space = {k: list(hyper.search) for k, hyper in made.hypers.items() if hyper.search}
    return made


def _agree(recipes: list[dict[str, Any]]) -> dict[str, Any]:
    """What some ask for and none asks otherwise."""
    merged = {name: value for recipe in recipes for name, value in recipe.items()}
    return {k: v for k, v in merged.items() if all(recipe.get(k, v) == v for recipe in recipes)}


def _restore(parts: tuple[tuple[str, type[Algorithm]], ...]) -> Combination:
    cls = _combine(parts)
    return cls.__new__(cls)


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
