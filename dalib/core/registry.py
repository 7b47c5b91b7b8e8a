"""Discovery by file: `algorithms/deep_coral.py` is the algorithm `deep_coral`, and nothing else needs an edit."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeGuard, TypeVar, get_origin

from dalib.core.errors import DalibError, unknown

T = TypeVar("T")
_PLUGIN = "dalib_plugin_"
"""What the modules of plug-in files are called before their own name."""


@cache
def _all_installed() -> Any:
    """Entry points of all packages; looked up once for all kinds, since every look reads everybody's metadata."""
    return entry_points()


@cache
def _installed(group: str) -> dict[str, Any]:
    """Entry points of other packages."""
    return {e.name: e for e in _all_installed().select(group=group)}


class Registry(Generic[T]):
    """Names -> plug-ins of one kind; listing never imports a plug-in.

    Args
        kind: singular noun for messages (`algorithm`)
        package: folder whose modules are the plug-ins (`dalib.algorithms`); entry points of that group join them
        find: takes the plug-in's module, returns {name: plug-in} given the module's file name
    """

    def __init__(self, kind: str, package: str, find: Callable[[Any, str], dict[str, T]]) -> None:
        self.kind = kind
        self.package = package
        self._find = find
        self._extra: dict[str, T] = {}
        self._files: dict[str, Path] = {}
        self._folder = Path(__file__).parents[1].joinpath(*package.split(".")[1:])

    def files(self) -> dict[str, Path]:
        """Built-in plug-in name -> its file, without importing it (a file may declare several in `NAMES`)."""
        if not self._files:
            for path in sorted(self._folder.glob("*.py")):
                if not path.name.startswith("_"):
                    self._files.update(dict.fromkeys(declared_names(path) or (path.stem,), path))
        return self._files

    def _entry_points(self) -> dict[str, Any]:
        return _installed(self.package)

    def names(self) -> list[str]:
        return sorted({*self.files(), *self._entry_points(), *self._extra})

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def get(self, name: str) -> T:
        """The plug-in `name`; DalibError with near names if there is none."""
        if name in self._extra:
            return self._extra[name]
        files = self.files()
        if name in files:
            module = importlib.import_module(f"{self.package}.{files[name].stem}")
            return self._find(module, files[name].stem)[name]
        points = self._entry_points()
        if name in points:
            return points[name].load()
        raise unknown(self.kind, name, self.names(), f"dalib list {self.kind}s")

    def summary(self, name: str) -> str:
        """First line of the plug-in's module docstring, read without importing built-in files."""
        files = self.files()
        if name in files and name not in self._extra:
            doc = ast.get_docstring(parse_file(files[name])) or ""
        else:
            doc = sys.modules[getattr(self.get(name), "__module__", __name__)].__doc__ or ""
        return doc.strip().splitlines()[0] if doc.strip() else ""

    def version(self, name: str) -> int:
        """The `version` that stands in the plug-in's class, 1 unless given; built-in files are not imported."""
        files = self.files()
        if name not in files or name in self._extra:
            return int(getattr(self.get(name), "version", 1))
        lines = [line for node in parse_file(files[name]).body if isinstance(node, ast.ClassDef) for line in node.body]
        told = [line for line in lines if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "version"]
        return int(ast.literal_eval(told[-1].value)) if told else 1

    def name_of(self, plugin: Any) -> str:
        """The name under which a class is registered, or an empty string; imports nothing."""
        extra = next((name for name, other in self._extra.items() if other is plugin), "")
        stem = plugin.__module__.rpartition(".")[2]
        here = plugin.__module__ == f"{self.package}.{stem}" and stem in self.files()
        return extra or (stem if here and self.get(stem) is plugin else "")

    def add(self, name: str, plugin: T) -> None:
        """Register by hand (tests, notebooks)."""
        self._extra[name] = plugin

    def remove(self, name: str) -> None:
        """Forget a plug-in that was added by hand or by `load_plugin`; a built-in one that it hid is back.

        Raises
            DalibError: none of that name was added
        """
        if name not in self._extra:
            raise unknown(f"added {self.kind}", name, self._extra)
        del self._extra[name]

    def load_module(self, module: Any, stem: str) -> list[str]:
        """Register every plug-in of this kind found in a module; returns their names."""
        plugins = self._find(module, stem)
        self._extra.update(plugins)
        return list(plugins)


@cache
def parse_file(path: Path) -> ast.Module:
    """The syntax tree of a plug-in's file, read once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def declared_names(path: Path) -> tuple[str, ...]:
    """The literal tuple `NAMES` of a plug-in file that offers several, read without importing it."""
    for node in parse_file(path).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "NAMES" for t in node.targets):
            return tuple(ast.literal_eval(node.value))
    return ()


def is_class(value: Any, parent: type[T]) -> TypeGuard[type[T]]:
    """Whether a value is `parent` or a class below it; `list[str]`, which Python 3.10 takes for a class, is none."""
    return isinstance(value, type) and get_origin(value) is None and issubclass(value, parent)


def subclass_finder(base: str) -> Callable[[Any, str], dict[str, Any]]:
    """Finds the classes that a module itself defines below `module:Class`; a lone one has the file's name."""

    def find(module: Any, stem: str) -> dict[str, Any]:
        package, _, cls = base.partition(":")
        parent = getattr(importlib.import_module(package), cls)
        own = [v for v in vars(module).values() if is_class(v, parent) and v.__module__ == module.__name__]
        return {stem if len(own) == 1 else snake_case(c.__name__): c for c in own}

    return find


def attribute_finder(attribute: str) -> Callable[[Any, str], dict[str, Any]]:
    """Finds a module-level object; it serves every name in the module's `NAMES`, or the file's own name."""

    def find(module: Any, stem: str) -> dict[str, Any]:
        if not hasattr(module, attribute):
            return {}
        return {name: getattr(module, attribute) for name in getattr(module, "NAMES", (stem,))}

    return find


def snake_case(name: str) -> str:
    """`DeepCORAL` -> `deep_coral`."""
    out = ""
    for i, c in enumerate(name):
        boundary = (
            c.isupper() and i > 0 and (not name[i - 1].isupper() or (i + 1 < len(name) and name[i + 1].islower()))
        )
        out += ("_" if boundary else "") + c.lower()
    return out


class AlgorithmRegistry(Registry[Any]):
    """Algorithms; `dann+mcc` is the combination of two."""

    def get(self, name: str) -> Any:
        if "+" not in name or name in self._extra:
            return super().get(name)
        parts = [part.strip() for part in name.split("+")]
        return self._combination().combine(*((part, super(AlgorithmRegistry, self).get(part)) for part in parts))

    def add_up(self, first: Any, second: Any) -> Any:
        """The combination of two algorithm objects, with the hyper-parameters they were given."""
        return self._combination().add(first, second)

    def able(self, objective: str) -> list[str]:
        """Names of the algorithms that work on this kind of answers; imports all of them."""
        return [name for name in self.names() if self.get(name).can_answer(objective)]

    def suggest_for(self, objective: str) -> str:
        """`take one of …`: algorithms that work on this kind of answers, some of every family."""
        able = [name for name in self.able(objective) if name in self.files() and not self.get(name).alone]
        able = [name for name in able if self._base_is_able(name, objective)]
        families: dict[str, list[str]] = {}
        for name in able:
            families.setdefault(self.get(name).family, []).append(name)
        few = [name for names in families.values() for name in names[:3]]
        return f"take one of {', '.join(few)} (dalib list algorithms --objective {objective})"

    def _base_is_able(self, name: str, objective: str) -> bool:
        """What changes another algorithm works with the one that it takes unless told otherwise."""
        base = self.get(name).defaults().get("base", "")
        return not isinstance(base, str) or base not in self or bool(self.get(base).can_answer(objective))

    @staticmethod
    def _combination() -> Any:
        return importlib.import_module("dalib.core.combination")

    def __contains__(self, name: str) -> bool:
        return all(super(AlgorithmRegistry, self).__contains__(part.strip()) for part in name.split("+"))

    def summary(self, name: str) -> str:
        return f"{name.replace('+', ' and ')} at once." if "+" in name else super().summary(name)

    def name_of(self, plugin: Any) -> str:
        parts = dict(zip(getattr(plugin, "names", ()), getattr(plugin, "classes", ()), strict=False))
        if not parts:
            return super().name_of(plugin)
        return "+".join(parts) if all(name in self and self.get(name) is cls for name, cls in parts.items()) else ""

    def canonical(self, name: str) -> str:
        """The one spelling of a name: the parts of a combination in alphabetical order."""
        return "+".join(sorted(part.strip() for part in name.split("+")))


ALGORITHMS = AlgorithmRegistry("algorithm", "dalib.algorithms", subclass_finder("dalib.core.algorithm:Algorithm"))
OBJECTIVES: Registry[Any] = Registry("objective", "dalib.objectives", subclass_finder("dalib.core.objective:Objective"))
VALIDATORS: Registry[Any] = Registry("validator", "dalib.validators", subclass_finder("dalib.core.validator:Validator"))
METRICS: Registry[Any] = Registry("metric", "dalib.metrics", subclass_finder("dalib.core.metric:Metric"))
FORECASTS: Registry[Any] = Registry("forecast", "dalib.forecasts", subclass_finder("dalib.core.forecast:Forecast"))
MEASURES: Registry[Any] = Registry("measure", "dalib.measures", subclass_finder("dalib.core.measure:Measure"))
DATASETS: Registry[Any] = Registry("dataset", "dalib.datasets", attribute_finder("DATASET"))
BACKBONES: Registry[Any] = Registry("backbone", "dalib.backbones", attribute_finder("build"))
PROTOCOLS: Registry[Any] = Registry("protocol", "dalib.protocols", subclass_finder("dalib.core.protocol:Protocol"))
LISTENERS: Registry[Any] = Registry(
    "listener", "dalib.train.listeners", subclass_finder("dalib.core.listener:Listener")
)
FORMATS: Registry[Any] = Registry(
    "format", "dalib.report.formats", subclass_finder("dalib.report.table_format:TableFormat")
)
EXECUTORS: Registry[Any] = Registry("executor", "dalib.bench.executors", attribute_finder("execute"))
_ALL: tuple[Registry[Any], ...] = (
    ALGORITHMS, OBJECTIVES, PROTOCOLS, VALIDATORS, METRICS, MEASURES, FORECASTS, DATASETS, BACKBONES, LISTENERS,
    FORMATS, EXECUTORS,
)  # fmt: skip
REGISTRIES = {f"{registry.kind}s": registry for registry in _ALL}
DEFAULT_PROTOCOL = "uda"
"""What a run may see unless told otherwise."""


def plugin_files(*plugins: Any) -> list[str]:
    """Names of the files that `load_plugin` read classes or functions from; a combination has those of its parts."""
    parts = [part for plugin in plugins for part in (getattr(plugin, "classes", None) or (plugin,))]
    modules = [m for part in parts if (m := getattr(part, "__module__", "")).startswith(_PLUGIN) and m in sys.modules]
    return sorted({Path(str(sys.modules[m].__file__)).name for m in modules})


def load_plugin(path: str | Path) -> dict[str, list[str]]:
    """Import a Python file and register every plug-in it defines: {`algorithms`: [names], …}.

    Raises
        DalibError: the file is missing, does not import, or defines no plug-in
    """
    path = Path(path)
    if not path.is_file():
        raise DalibError(f"no plug-in file {path}; give the path of a .py file (dalib new algorithm NAME writes one)")
    spec = importlib.util.spec_from_file_location(f"{_PLUGIN}{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DalibError(f"plug-in {path} is not a Python file; give a path that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DalibError(f"plug-in {path} does not import: {type(error).__name__}: {error}") from error
    plugins = {kind: names for kind, r in REGISTRIES.items() if (names := r.load_module(module, path.stem))}
    if not plugins:
        raise DalibError(
            f"plug-in {path} defines no plug-in of a known kind ({', '.join(REGISTRIES)}); nothing to load"
        )
    return plugins
