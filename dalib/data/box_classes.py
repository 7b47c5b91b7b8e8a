"""What the classes of boxes are called: classes.txt, and what YOLO's tools write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dalib.core.errors import DalibError
from dalib.data.box_layouts import NAMES, Found
from dalib.data.box_marks import Malformed, check_name
from dalib.data.listing import Listing

LARGEST = 1_000_000
"""Bytes of a file of names."""


def read_class_file(root: Path, listing: Listing, wrap: tuple[str, ...]) -> tuple[str, ...]:
    """The lines of classes.txt beside the domains; none where there is no such file."""
    member = "/".join((*wrap, NAMES[0]))
    return _read_lines(root, listing, member) if member in listing.ignored else ()


def find_classes(root: Path, listing: Listing, wrap: tuple[str, ...], domain: str, there: Found) -> tuple[str, ...]:
    """The names of YOLO's classes for a domain: in its own folder, in `labels`, or beside the domains.

    Raises
        DalibError: no such file, or two that differ
    """
    bases = [(*wrap, domain), (*wrap, domain, "labels"), wrap]
    for places in (bases[:2], bases[2:]):
        members = ["/".join((*base, name)) for base in places for name in NAMES]
        there_are = [m for m in members if m in listing.ignored and m not in there.files]
        read = {m: _read(root, listing, m) for m in there_are}
        named = {m: names for m, names in read.items() if names}
        if len(set(named.values())) > 1:
            raise DalibError(f"{root}: {' and '.join(named)} name the classes differently; keep one of them")
        if named:
            return next(iter(named.values()))
    raise DalibError(
        f"{root}: nobody knows what the numbers of '{domain}' mean; give classes.txt, a name per line, beside the "
        "domains (or data.yaml with names)"
    )


def _read(root: Path, listing: Listing, member: str) -> tuple[str, ...]:
    return _read_lines(root, listing, member) if member.endswith(".txt") else _read_yaml(root, listing, member)


def _content(root: Path, listing: Listing, member: str) -> str:
    if listing.size(member) > LARGEST:
        raise DalibError(
            f"{root}: {member} has {listing.size(member) / 1e6:.0f} MB, which is no list of names; mend it"
        )
    try:
        return listing.read(member).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DalibError(f"{root}: {member} is no text in UTF-8; save it as such") from None


def _read_lines(root: Path, listing: Listing, member: str) -> tuple[str, ...]:
    text = _content(root, listing, member)
    return _check(root, member, text.rstrip().split("\n") if text.strip() else [])


def _read_yaml(root: Path, listing: Listing, member: str) -> tuple[str, ...]:
    """`names` of a data.yaml: a list, or numbers from 0 with their names; none where it has no such entry."""
    try:
        import yaml
    except ImportError:
        raise DalibError(
            f"{root}: {member} needs pip install pyyaml; or write its names into classes.txt, one per line"
        ) from None
    try:
        told: Any = yaml.safe_load(_content(root, listing, member))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DalibError(f"{root}: {member} is no YAML ({' '.join(str(error).split())[:100]}); mend it") from None
    names = told.get("names") if isinstance(told, dict) else None
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise DalibError(f"{root}: {member} names classes {sorted(map(str, names))[:5]}; give every number from 0")
        names = [names[k] for k in range(len(names))]
    if names is not None and not isinstance(names, list):
        raise DalibError(f"{root}: names in {member} is no list; give the classes' names in the order of their numbers")
    return _check(root, member, names or [])


def _check(root: Path, member: str, names: list[Any]) -> tuple[str, ...]:
    checked: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        try:
            plain = check_name(name)
        except Malformed as error:
            raise DalibError(f"{root}: {member}, entry {number}: {error}, or take it out") from None
        if plain in checked:
            raise DalibError(f"{root}: {member} names '{plain}' twice; give every number a name of its own")
        checked[plain] = number
    return tuple(checked)
