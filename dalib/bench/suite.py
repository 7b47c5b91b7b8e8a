"""A suite: tasks × algorithms × seeds as a TOML file, every key checked."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StrictBool, StrictInt, ValidationError, model_validator
from pydantic import field_validator as check_field

from dalib.bench.execution import ExecutorSpec
from dalib.bench.row import Row, refuse_one_name
from dalib.bench.search import SearchSpec
from dalib.bench.sweep import Sweep, expand_rows
from dalib.core.errors import DalibError, suggest, unknown
from dalib.core.registry import ALGORITHMS, is_class, load_plugin
from dalib.core.seeds import LARGEST_SEED
from dalib.records.sections import sort_options
from dalib.records.spec import BackboneSpec, ProtocolSpec
from dalib.train.config import TrainConfig
from dalib.train.recipes import fill_recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

M = TypeVar("M", bound=BaseModel)
SECTIONS: dict[str, type[BaseModel]] = {"train": TrainConfig, "backbone": BackboneSpec, "protocol": ProtocolSpec}


class Suite(BaseModel):
    """See docs/suites.md. `tasks` and `baseline` are checked against the data when the suite is planned.

    name: under which its records are listed; default: the file's name
    title: above its tables
    dataset: of the registry (`dalib list datasets`), or `features:PATH.npz`
    root: where the data lie; default: DALIB_DATA
    partial: the data set lacks images on purpose
    skip_unreadable: leave out images that cannot be read, and say how many
    normalise: of feature rows, in this order
    tasks: `all` pairs of domains, `multi_source`, or some as `amazon->webcam`
    seeds: every row runs once per task and seed
    baseline: the row that others are compared with; default: source only
    metric: of the table; default: the objective's first
    protocol, backbone, train: of all rows; a row may override what it needs
    search: hyper-parameters by validators
    sweep: every row once per number of target labels
    keep_features: store features beside outputs, for feature maps
    executor: where runs happen, with the executor's own settings; in no key
    validators: which score every evaluation point; fewer is faster
    algorithms: the rows of the table: a table per row, or a list of names
    """

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    title: str = ""
    dataset: str
    root: str | None = None
    partial: StrictBool = False
    skip_unreadable: StrictBool = False
    normalise: tuple[Literal["row_sum", "l2", "zscore"], ...] = ()
    tasks: Literal["all", "multi_source"] | list[str] = "all"
    seeds: list[Annotated[StrictInt, Field(ge=0, le=LARGEST_SEED)]] = [0]
    baseline: str = ""
    metric: str = ""
    protocol: ProtocolSpec = ProtocolSpec()
    backbone: BackboneSpec = BackboneSpec()
    train: TrainConfig = TrainConfig()
    search: SearchSpec = SearchSpec()
    sweep: Sweep = Sweep()
    keep_features: StrictBool = False
    executor: ExecutorSpec = ExecutorSpec()
    validators: Literal["all"] | list[str] = "all"
    algorithms: dict[str, Row]
    _sha256: str = PrivateAttr("")

    @check_field("algorithms", mode="before")
    @classmethod
    def name_rows(cls, given: Any) -> Any:
        if isinstance(given, list):
            refuse_duplicates([str(g) for g in given])
            given = {str(label): {} for label in given}
        if not given:
            raise ValueError("names no algorithm; add for example [algorithms.source_only]")
        refuse_one_name(given if isinstance(given, dict) else ())
        return given

    @check_field("tasks", "seeds")
    @classmethod
    def refuse_empty(cls, given: Any) -> Any:
        if not isinstance(given, str):
            if not given:
                raise ValueError("is empty; give at least one")
            refuse_duplicates(given)
        return given

    @check_field("validators")
    @classmethod
    def list_each_validator_once(cls, given: Any) -> Any:
        if not isinstance(given, str):
            refuse_duplicates(given)
        return given

    @model_validator(mode="after")
    def fill_rows(self) -> Suite:
        rows = {k: r if r.algorithm else r.model_copy(update={"algorithm": k}) for k, r in self.algorithms.items()}
        self.algorithms = expand_rows(rows, self.sweep, self.protocol.name) if self.sweep.name else rows
        guide = self.search.validator
        if self.search.sampler == "tpe" and self.validators != "all" and guide not in self.validators:
            raise ValueError(f"searches by {guide}, which is not among its validators; add it there")
        return self

    @property
    def sha256(self) -> str:
        """Of the TOML text; of the content for a suite made in Python."""
        return self._sha256 or hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def section(self, label: str, name: str, more: dict[str, Any] | None = None) -> Any:
        """The `train`, `backbone` or `protocol` of a row: the suite's, the row's own settings over it, then `more`."""
        base = getattr(self, name).model_dump(exclude_unset=True)
        override = getattr(self.algorithms[label], name) | (more or {})
        return validate(SECTIONS[name], base | override, f"suite {self.name}", f"algorithms.{label}.{name}")

    def recipe(self, label: str, more: dict[str, Any] | None = None, objective: str = "classification") -> TrainConfig:
        """The `train` of a row; what suite and row leave open is the recipe's for such a backbone and algorithm.

        objective: what a label of the data is, which has a recipe too
        """
        given, on = self.section(label, "train", more), self.section(label, "backbone")
        cls = ALGORITHMS.get(self.algorithms[label].algorithm)
        filled = fill_recipe(given.model_dump(exclude_unset=True), cls, on.name, on.weights, on.frozen, objective)
        return validate(TrainConfig, filled, f"suite {self.name}", f"algorithms.{label}.train")


def refuse_duplicates(items: list[Any]) -> None:
    seen = set()
    for item in items:
        if item in seen:
            raise ValueError(f"holds {item!r} twice; remove one")
        seen.add(item)


def load_suite(path: str | Path, changes: Mapping[str, Mapping[str, Any]] | None = None) -> Suite:
    """Read and check a suite; relative paths in it are taken from its own folder where they exist there.

    Args
        changes: settings by section (`{"train": {"steps": 100}, "data": {"partial": True}}`), as if the file said so

    Raises
        DalibError: missing file, TOML syntax, unknown key, wrong type or value
    """
    path = Path(path)
    where = f"suite {path.name}"
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except FileNotFoundError:
        raise DalibError(f"no suite file {path}; give the path of a .toml file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DalibError(f"{where}: cannot be read ({error}); give a .toml text file") from None
    except tomllib.TOMLDecodeError as error:
        raise DalibError(f"{where}: not TOML: {error}") from None
    except RecursionError:
        raise DalibError(f"{where}: its values are nested too deeply; give plain lists and tables") from None
    content = {"name": path.stem} | _locate(content, path.parent)
    for section, own in (changes or {}).items():
        table = own if section == "data" else {section: _overlay(content.get(section, {}), own)}
        content |= {k: sort_options(v) if k == "backbone" else v for k, v in table.items()}
        text += json.dumps({section: own}, sort_keys=True)
    suite = validate(Suite, content, where)
    suite._sha256 = hashlib.sha256(text.encode()).hexdigest()
    for label in suite.algorithms:
        for name in SECTIONS:
            suite.section(label, name)
    return suite


def _overlay(below: Any, above: Mapping[str, Any]) -> dict[str, Any]:
    """The tables' union; `above` wins, and a table in both is laid over likewise."""
    merged = {
        k: _overlay(below[k], v) for k, v in above.items() if isinstance(v, dict) and isinstance(below.get(k), dict)
    }
    return {**below, **above, **merged}


def _locate(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    def beside(value: Any) -> Any:
        if isinstance(value, str) and value and not Path(value).is_absolute() and (folder / value).exists():
            return str((folder / value).resolve())
        return value

    resolved = dict(content)
    if "root" in resolved:
        resolved["root"] = beside(resolved["root"])
    kind, colon, file = str(resolved.get("dataset", "")).partition(":")
    if colon:
        resolved["dataset"] = f"{kind}:{beside(file)}"
    rows = resolved.get("algorithms")
    for table in (resolved, *(rows.values() if isinstance(rows, dict) else ())):
        backbone = table.get("backbone") if isinstance(table, dict) else None
        given = str(backbone.get("weights", "")) if isinstance(backbone, dict) else ""
        is_file = given.endswith((".safetensors", ".pth", ".npz"))
        if isinstance(backbone, dict) and given and (is_file or backbone.get("name") == "hf"):
            table["backbone"] = backbone | {"weights": beside(given)}
    return resolved


def validate(model: type[M], content: M | dict[str, Any], where: str, inside: str = "") -> M:
    """`model(**content)`, or the model itself; its first complaint as a DalibError of one line."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        loc = [str(p) for p in first["loc"] if "[" not in str(p)]
        place = [*inside.split("."), *loc] if inside else loc
        table = ".".join(place[:-1])
        if first["type"] == "extra_forbidden":
            known = _fields(model, [str(p) for p in first["loc"][:-1]])
            hint = suggest(place[-1], known) or f"; known: {', '.join(known)}"
            raise DalibError(f"{where}: no key '{place[-1]}'{f' in [{table}]' if table else ''}{hint}") from None
        if first["type"] == "missing":
            raise DalibError(f"{where}: key '{'.'.join(place)}' is missing; add it") from None
        text = " ".join(first["msg"].removeprefix("Value error, ").removeprefix("Input ").split())
        if first["type"] == "value_error":
            dot = "." if place and re.match(r"\w+ = ", text) else " "
            raise DalibError(f"{where}: {'.'.join(place) or 'it'}{dot}{text}") from None
        raise DalibError(f"{where}: {'.'.join(place) or 'it'} = {first['input']!r} {text}") from None


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not is_class(field.annotation, BaseModel):
            return []
        model = field.annotation
    return sorted(model.model_fields)


def pick_labels(suite: Suite, only: tuple[str, ...]) -> list[str]:
    """Labels of the rows to run: all, or `only`; a swept row's name stands for all of its copies.

    Raises
        DalibError: `only` names a row that the suite lacks
    """
    known = {*suite.algorithms, *(row.swept for row in suite.algorithms.values() if row.swept)}
    for label in only:
        if label not in known:
            raise unknown("row", label, known, f"suite {suite.name}")
    return [label for label, row in suite.algorithms.items() if not only or label in only or row.swept in only]


def known_suites() -> dict[str, Path]:
    """Name -> file of the suites in `benchmarks/` here, of the checkout, or shipped with the package."""
    package = Path(__file__).resolve().parents[1]
    folders = (Path("benchmarks"), package.parent / "benchmarks", package / "suites")
    return {p.stem: p for folder in reversed(folders) for p in sorted(folder.glob("*.toml"))}


def find_suite(name: str) -> Path:
    """The file of a suite: a path, or a name of `known_suites`."""
    path = Path(name)
    if path.is_file():
        return path
    known = known_suites()
    if name in known:
        return known[name]
    if path.is_dir() or path.suffix or len(path.parts) > 1:
        raise DalibError(f"no suite file {name}; give the path of a .toml file or one of: {', '.join(sorted(known))}")
    raise unknown("suite", name, known, "or give the path of a .toml file")


def open_known(suite: str) -> Suite | None:
    """The suite of a file or of a known name; None for another name, under which records may be kept all the same."""
    try:
        path = find_suite(suite)
    except DalibError:
        if Path(suite).suffix or len(Path(suite).parts) > 1:
            raise
        return None
    return load_suite(path)


def find_suite_name(suite: str) -> str:
    """The name under which a suite's records are kept: of its file where there is one, else as given."""
    known = open_known(suite)
    return known.name if known else suite


def add_plugin_rows(suite: Suite, plugins: Sequence[Path]) -> None:
    """Algorithms of plug-in files that the suite does not name join it with their default hyper-parameters."""
    used = {row.algorithm for row in suite.algorithms.values()} | set(suite.algorithms)
    for path in plugins:
        for name in load_plugin(path).get("algorithms", ()):
            if name not in used:
                suite.algorithms[name] = Row(algorithm=name)
