"""Hyper-parameters, each declared once: constructor, range check, search space, `dalib show` and docs come from it."""

from __future__ import annotations

import inspect
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dalib.core.errors import DalibError, suggest, unknown

Bound = float | None


@dataclass(frozen=True)
class Hyper:
    """One hyper-parameter of an algorithm; made by `number`, `positive`, `whole`, `choice`, `flag` or `text`.

    Args
        default: its value unless given
        kind: `number`, `whole`, `choice`, `flag`, `text`, or `any` (of a constructor of one's own: nothing is checked)
        above, least, below, most: bounds of a number, the first of each pair exclusive
        options: the words that a choice takes; words that a number may be replaced by
        nothing: None is a value too
        search: candidate values, in the order in which a search goes through them
        doc: what it means and in which unit, for people; the range is added
        last: stands behind those that subclasses declare
        settle: makes of a text what is kept: a path with a sum of what lies there, so that a run's key knows it
    """

    default: Any
    kind: Literal["number", "whole", "choice", "flag", "text", "any"] = "any"
    above: Bound = None
    least: Bound = None
    below: Bound = None
    most: Bound = None
    options: tuple[str, ...] = ()
    nothing: bool = False
    search: tuple[Any, ...] = ()
    doc: str = ""
    last: bool = False
    settle: Callable[[str], str] | None = None

    @property
    def bounds(self) -> str:
        """`> 0`, `>= 1`, `in [0, 1)`; an empty string for no bound."""
        low, high = self.above if self.least is None else self.least, self.below if self.most is None else self.most
        if low is not None and high is not None:
            return f"in {'(' if self.least is None else '['}{low:g}, {high:g}{')' if self.most is None else ']'}"
        if low is not None:
            return f"{'>' if self.least is None else '>='} {low:g}"
        return "" if high is None else f"{'<' if self.most is None else '<='} {high:g}"

    @property
    def range(self) -> str:
        """Everything that it may be, for people."""
        words = [f"`{option}`" for option in self.options]
        if self.kind in ("number", "whole"):
            words.append(" ".join(filter(None, ("whole" if self.kind == "whole" else "", self.bounds))))
        words += ["None"] * self.nothing
        words = [word for word in words if word]
        return " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""

    def store(self, value: Any) -> Any:
        """The value as it is; a number of NumPy's becomes Python's, a whole one that comes as a float whole, a text is
        settled.
        """
        value = _plain(value)
        if self.settle is not None and isinstance(value, str):
            return self.settle(value)
        return int(value) if self.kind == "whole" and isinstance(value, float) and value.is_integer() else value

    def check(self, name: str, value: Any) -> None:
        """Raises DalibError, which names the hyper-parameter as `name`, for a value out of range."""
        if (value is None and self.nothing) or self.kind == "any":
            return
        if self.kind == "choice":
            if value not in self.options:
                raise unknown(name, str(value), self.options)
        elif self.kind == "flag":
            if not isinstance(value, bool):
                raise DalibError(f"{name} = {value!r} is not true or false; its default is {self.default!r}")
        elif self.kind == "text":
            if not isinstance(value, str) or not value:
                raise DalibError(f"{name} = {value!r} is no text; its default is {self.default!r}")
        elif not self._fits(value):
            words = "".join(f"{option!r}, " for option in self.options).rstrip(", ")
            given = f"a {'whole ' if self.kind == 'whole' else ''}number {self.bounds}".strip()
            wanted = " or ".join(filter(None, (words, given, "None" if self.nothing else "")))
            raise DalibError(f"{name} = {value!r} is out of range; give {wanted}")

    def check_type(self, name: str, value: Any) -> None:
        """Raises DalibError for a value of another type than the default, before anything is made with it."""
        value, default = _plain(value), self.default
        numeric = isinstance(default, (int, float)) and not isinstance(default, bool)
        if numeric and (isinstance(value, bool) or not isinstance(value, (int, float))) and not self._is_word(value):
            raise DalibError(f"{name} = {value!r} is not a number; its default is {default!r}")
        if isinstance(default, bool) and not isinstance(value, bool):
            raise DalibError(f"{name} = {value!r} is not true or false; its default is {default!r}")

    def _is_word(self, value: Any) -> bool:
        return (isinstance(value, str) and value in self.options) or (value is None and self.nothing)

    def _fits(self, value: Any) -> bool:
        if self._is_word(value):
            return True
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        inside = (
            (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.below is None or value < self.below)
            and (self.most is None or value <= self.most)
        )
        return inside and (self.kind == "number" or value % 1 == 0)


def _plain(value: Any) -> Any:
    """A number or word of NumPy's as Python's own."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value


def number(
    *, default: Any, above: Bound = None, least: Bound = None, below: Bound = None, most: Bound = None,
    words: Sequence[str] = (), nothing: bool = False, search: Sequence[Any] = (), doc: str = "", last: bool = False,
) -> Any:  # fmt: skip
    """A finite number within bounds, or one of `words`, or (`nothing`) None."""
    bounds: dict[str, Any] = {"above": above, "least": least, "below": below, "most": most}
    return Hyper(default, "number", **bounds, options=tuple(words), nothing=nothing, search=tuple(search), doc=doc,
                 last=last)  # fmt: skip


def positive(
    *, default: Any, zero: bool = False, below: Bound = None, most: Bound = None, words: Sequence[str] = (),
    nothing: bool = False, search: Sequence[Any] = (), doc: str = "", last: bool = False,
) -> Any:  # fmt: skip
    """A finite number > 0, or >= 0 with `zero`."""
    low: dict[str, Bound] = {"least": 0} if zero else {"above": 0}
    return number(default=default, **low, below=below, most=most, words=words, nothing=nothing, search=search, doc=doc,
                  last=last)  # fmt: skip


def whole(
    *, default: Any, least: int = 1, words: Sequence[str] = (), search: Sequence[Any] = (), doc: str = "",
    last: bool = False,
) -> Any:  # fmt: skip
    """A whole number, or one of `words`."""
    return Hyper(default, "whole", least=least, options=tuple(words), search=tuple(search), doc=doc, last=last)


def choice(
    *, default: str, options: Sequence[str], search: Sequence[str] = (), doc: str = "", last: bool = False
) -> Any:
    """One of several words."""
    return Hyper(default, "choice", options=tuple(options), search=tuple(search), doc=doc, last=last)


def flag(*, default: bool, search: Sequence[bool] = (), doc: str = "") -> Any:
    """True or False."""
    return Hyper(default, "flag", search=tuple(search), doc=doc)


def text(*, default: str, settle: Callable[[str], str] | None = None, doc: str = "", last: bool = False) -> Any:
    """Any words: a name, a path."""
    return Hyper(default, "text", settle=settle, doc=doc, last=last)


def state(*, init: Literal[False] = False) -> Any:
    """Declares, for type checkers, what `build` or training makes: a buffer, a module; no hyper-parameter."""
    return _STATE


_STATE = object()


def collect(cls: type, inherited: Mapping[str, Hyper]) -> dict[str, Hyper]:
    """The hyper-parameters of a class: those inherited, then those of its body, which become their default values.

    One that the body declares anew stands where the body has it.
    A plain value in the body fixes an inherited one: it is no hyper-parameter of this class. A constructor of one's own
    declares its parameters.
    """
    body = vars(cls)
    for name in [name for name, value in body.items() if value is _STATE]:
        delattr(cls, name)
    if "__init__" in body:
        space = getattr(cls, "space", {})
        parameters = list(inspect.signature(body["__init__"]).parameters.values())[1:]
        named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        return {p.name: Hyper(p.default, search=tuple(space.get(p.name, ()))) for p in named}
    own = {name: value for name, value in body.items() if isinstance(value, Hyper)}
    hypers = {name: hyper for name, hyper in inherited.items() if name not in body} | own
    for name, hyper in own.items():
        setattr(cls, name, hyper.default)
    return dict(sorted(hypers.items(), key=lambda item: item[1].last))


def bind(cls: type, hypers: Mapping[str, Hyper], args: Sequence[Any], hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Every hyper-parameter's value, defaults filled in.

    Raises
        TypeError: too many values, one given twice, or an unknown name
    """
    names = list(hypers)
    if len(args) > len(names):
        raise TypeError(f"{cls.__name__} has {len(names)} hyper-parameters, but {len(args)} values were given")
    given = dict(zip(names, args, strict=False))
    for name in hparams:
        if name not in hypers:
            known = suggest(name, names) or (f"; known: {', '.join(names)}" if names else "; it has none")
            raise TypeError(f"{cls.__name__} has no hyper-parameter '{name}'{known}")
        if name in given:
            raise TypeError(f"{cls.__name__}: hyper-parameter '{name}' was given twice")
    return {name: hyper.store({**given, **hparams}.get(name, hyper.default)) for name, hyper in hypers.items()}


def make_signature(hypers: Mapping[str, Hyper]) -> inspect.Signature | None:
    """What `inspect.signature` says of the class; None for names such as `dann.weight`."""
    if not all(name.isidentifier() for name in hypers):
        return None
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(name, kind, default=h.default) for name, h in hypers.items()])


def document(doc: str, hypers: Mapping[str, Hyper]) -> str:
    """A class's docstring with a section Args made of its hyper-parameters, before Shapes, Raises or Reference."""
    text = inspect.cleandoc(doc)
    told = {name: h for name, h in hypers.items() if h.doc}
    if not told or "\nArgs" in text:
        return text
    lines = [line for name, hyper in told.items() for line in _argument(name, hyper)]
    rows = text.splitlines()
    heads = [i for i, row in enumerate(rows) if row in ("Shapes", "Raises", "Reference")]
    at = heads[0] if heads else len(rows)
    return "\n".join([*rows[:at], "Args", *lines, *rows[at:]])


def _argument(name: str, hyper: Hyper) -> list[str]:
    text = f"{name}: {', '.join(filter(None, (hyper.doc, hyper.range)))}"
    return textwrap.wrap(text, 112, initial_indent="    ", subsequent_indent="        ", break_long_words=False)
