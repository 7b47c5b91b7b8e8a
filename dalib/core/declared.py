"""Objects whose hyper-parameters are declared in the class body; see `core.hyper`."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from dalib.core.errors import suggest, unknown
from dalib.core.hyper import Hyper, bind, collect, document, make_signature
from dalib.core.registry import snake_case

Self = TypeVar("Self", bound="Declared")


class Declared:
    """The constructor, the range check, the search space, scikit-learn's parameters and the docs, from declarations.

    Class variables
        hypers: name -> declaration
        space: name -> candidate values of those that are searched
    """

    hypers: ClassVar[dict[str, Hyper]] = {}
    space: ClassVar[dict[str, list[Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        told = cls.__dict__.get("__doc__")
        cls.hypers = collect(cls, cls.hypers)
        cls.space = {name: list(h.search) for name, h in cls.hypers.items() if h.search}
        cls.__doc__ = document(told, cls.hypers) if told else told
        signature = make_signature(cls.hypers)
        if signature is not None and "__init__" not in cls.__dict__:
            cls.__signature__ = signature  # type: ignore[attr-defined]

    def __init__(self, *args: Any, **hparams: Any) -> None:
        super().__init__()
        for name, value in bind(type(self), self.hypers, args, hparams).items():
            setattr(self, name, value)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Hyper-parameters and their default values, in the constructor's order."""
        return {name: hyper.default for name, hyper in cls.hypers.items()}

    @property
    def hparams(self) -> dict[str, Any]:
        """Hyper-parameters as they were given."""
        return {name: getattr(self, name) for name in self.hypers}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Hyper-parameters, under scikit-learn's name for them."""
        return self.hparams

    def set_params(self: Self, **hparams: Any) -> Self:
        """Change hyper-parameters, as scikit-learn does (`algorithm__weight`); before `attach`.

        Raises
            ValueError: there is none of that name
        """
        for name, value in hparams.items():
            if name not in self.hypers:
                known = suggest(name, self.hypers) or f"; known: {', '.join(self.hypers)}"
                raise ValueError(f"{self.name_for_people()} has no hyper-parameter '{name}'{known}")
            setattr(self, name, self.hypers[name].store(value))
        return self

    def __sklearn_clone__(self: Self) -> Self:
        return type(self)(**self.hparams)

    @classmethod
    def create(cls: type[Self], name: str, hparams: dict[str, Any]) -> Self:
        """cls(**hparams), with an error that suggests the right spelling of an unknown hyper-parameter."""
        for key, value in hparams.items():
            if key not in cls.hypers:
                raise unknown(f"hyper-parameter of {name}", key, cls.hypers, f"dalib show {name}")
            cls.hypers[key].check_type(f"{name}.{key}", value)
        return cls(**hparams)

    @classmethod
    def name_for_people(cls) -> str:
        """The registry name of a built-in algorithm, else the class's name in snake case."""
        package, _, module = cls.__module__.rpartition(".")
        return module if package == "dalib.algorithms" else snake_case(cls.__name__)

    def extra_repr(self) -> str:
        """The hyper-parameters that differ from their defaults."""
        defaults = self.defaults()
        return ", ".join(f"{k}={v!r}" for k, v in self.hparams.items() if v != defaults[k])

    def check(self) -> None:
        """Raise DalibError for hyper-parameters out of range; called by `attach`, so constructors only store.

        Override it, with a call of this one, for what depends on two of them.
        """
        for name, hyper in self.hypers.items():
            hyper.check(f"{self.name_for_people()}.{name}", getattr(self, name))
