"""A data set's declaration: complete, consistent, and free of names that cannot be folders."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dalib.checks.result import require
from dalib.core.dataset import DatasetInfo

KINDS = ("images", "masks", "boxes", "arrays", "features")


def check_declaration_is_complete(info: DatasetInfo) -> None:
    require(isinstance(info, DatasetInfo), f"DATASET is a {type(info).__name__}; declare DATASET = DatasetInfo(…)")
    require(info.kind in KINDS, f"kind = '{info.kind}'; use one of {', '.join(KINDS)}")
    named = info.domains and info.classes
    require(info.kind != "arrays" or named, "kind 'arrays' needs domains and classes; the file has no names for them")
    for field in ("name", "title", "source", "licence"):
        value = getattr(info, field)
        require(isinstance(value, str) and value.strip(), f"{field} is empty; state it (see DatasetInfo)")
        require("\n" not in value, f"{field} has several lines; use one")


def check_names_are_folder_names(info: DatasetInfo) -> None:
    for kind, names in (("domain", info.domains), ("class", info.classes)):
        require(isinstance(names, tuple), f"{kind} names are a {type(names).__name__}; use a tuple (its order counts)")
        _require_distinct(kind, names)
        for name in names:
            bad = not name or name != name.strip() or set(name) & set("/\\\n,|") or "->" in name or name.startswith(".")
            require(not bad, f"{kind} name {name!r} cannot be a folder or a table heading; rename it")


def check_counts_match_domains(info: DatasetInfo) -> None:
    for domain, count in info.counts.items():
        require(domain in info.domains, f"counts names '{domain}', which is no domain; domains: {info.domains}")
        require(isinstance(count, int) and count > 0, f"counts['{domain}'] = {count!r}; use a positive integer")
    missing = sorted(set(info.domains) - set(info.counts))
    whole = "what dalib makes" if info.generator else "a set with editions, which are told by their total,"
    require(
        not (missing and info.counts and (info.generator or info.editions)),
        f"counts lacks {missing}; {whole} counts every domain",
    )


def check_aliases_lead_to_names(info: DatasetInfo) -> None:
    if not (info.classes and info.domains):
        return
    known = {*info.classes, *info.domains, info.name}
    for alias, name in info.class_aliases.items():
        require(name in known, f"alias '{alias}' leads to '{name}', which is no class, domain or data set")
        require(alias not in known, f"alias '{alias}' is itself a class, domain or data set; remove it")


def check_generator_is_importable(info: DatasetInfo) -> None:
    if not info.generator:
        return
    module, _, function = info.generator.partition(":")
    try:
        made = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        require(False, f"generator '{info.generator}' does not import ({error}); use 'module:function'")
    parameters = [p for p in inspect.signature(made).parameters.values() if p.default is p.empty]
    require(len(parameters) == 1, f"generator '{info.generator}' needs {len(parameters)} arguments; it takes the root")


def check_declaration_is_frozen(info: DatasetInfo) -> None:
    """Two loads of the declaration compare equal and it cannot be changed in place."""
    require(info == dataclasses.replace(info), "the declaration does not equal its own copy")
    try:
        info.name = info.name  # type: ignore[misc]
    except dataclasses.FrozenInstanceError:
        return
    require(False, "the declaration can be changed; use DatasetInfo as it is")


def check_generator_makes_what_is_declared(info: DatasetInfo) -> None:
    """Slow: folders of domains with the declared number of files beside their tables, of masks, or rows in an .npz."""
    if not info.generator:
        return
    module, _, function = info.generator.partition(":")
    with tempfile.TemporaryDirectory() as folder:
        getattr(importlib.import_module(module), function)(Path(folder))
        if info.kind == "features":
            path = Path(folder) / f"{info.name}.npz"
            require(path.is_file(), f"the generator makes no {path.name}")
            with np.load(path) as arrays:
                made = {domain: len(arrays.get(f"{domain}_x", ())) for domain in info.domains}
            require(made == dict(info.counts), f"the generator makes {made} rows, declared are {dict(info.counts)}")
            return
        for domain in info.domains:
            root = next((p for p in Path(folder).rglob(domain) if p.is_dir()), None)
            require(root, f"the generator makes no folder '{domain}'")
            assert root is not None
            for part in ("images", "masks") if info.kind in ("masks", "boxes") else (".",):
                files = sum(p.is_file() and p.suffix != ".csv" for p in (root / part).rglob("*"))
                where = f"'{domain}'" if part == "." else f"'{domain}/{part}'"
                require(
                    not info.counts or files == info.counts[domain], f"the generator makes {files} files for {where}"
                )


def _require_distinct(kind: str, names: Sequence[str]) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    require(not twice, f"{kind} names {twice} occur twice; the position is the label")


DATASET_CHECKS = (
    check_declaration_is_complete,
    check_names_are_folder_names,
    check_counts_match_domains,
    check_aliases_lead_to_names,
    check_generator_is_importable,
    check_declaration_is_frozen,
)
SLOW_DATASET_CHECKS = (check_generator_makes_what_is_declared,)
