"""What a data set declares, held against what is there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError, suggest

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Match:
    """Found names translated into declared ones.

    domains: declared domain -> folder, in declared order, missing ones left out
    classes: class names in label order
    labels: declared domain -> {class folder -> label}; folders that are no class are left out
    counts: declared domain -> images of its known classes
    differences: what is missing or too much, one phrase each; empty for a complete copy
    """

    domains: dict[str, str]
    classes: tuple[str, ...]
    labels: dict[str, dict[str, int]]
    counts: dict[str, int]
    differences: tuple[str, ...]


def plain(name: str) -> str:
    """A name without case and separators: `Real World`, `Real_World` and `RealWorld` are one."""
    return "".join(c for c in name.casefold() if c.isalnum())


def canonical(name: str) -> str:
    """A name as people see it: one Unicode form, no blanks around it."""
    return unicodedata.normalize("NFC", name).strip()


def lookalike(name: str) -> str:
    """What two names share that differ in case, blanks, `_` and `-` only, or that write one number: `01` and `1.0`."""
    if len(name) < 28 and _NUMBER.fullmatch(name):
        return str(Decimal(name).normalize() + 0)
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name)).strip().casefold()


def translate(
    folders: Sequence[str], declared: Sequence[str], aliases: Mapping[str, str], where: str
) -> dict[str, str]:
    """folder -> declared name, for the folders that are one; a leading `123.` (Caltech-256) is ignored.

    Raises
        DalibError: two folders are the same declared name
    """
    known = {plain(a): name for a, name in aliases.items() if name in declared} | {plain(n): n for n in declared}
    named: dict[str, str] = {}
    for folder in folders:
        number, dot, rest = folder.partition(".")
        seen = canonical(folder)
        name = seen if seen in declared else known.get(plain(rest if dot and number.isdigit() else folder))
        if name is None:
            continue
        for other, taken in named.items():
            if taken == name:
                same = canonical(other) == canonical(folder)
                how = f" ({other!a} and {folder!a})" if same else ""
                raise DalibError(f"{where}: folders '{other}' and '{folder}' are both '{name}'{how}; keep one of them")
        named[folder] = name
    return named


def match_declaration(
    info: DatasetInfo, present: Mapping[str, Mapping[str, int]], where: str, classes: Sequence[str] = ()
) -> Match:
    """Compare the images per domain and class with a declaration.

    Args
        present: domain folder -> class folder -> images
        where: the root, for messages
        classes: the label order where the data itself gives one; else the declared one, else sorted by name
    Raises
        DalibError: none of the declared domains is there, or two folders mean the same
    """
    domains = info.domains or tuple(dict.fromkeys(map(canonical, present)))
    own = not (info.classes or classes)
    classes = tuple(
        info.classes or classes or sorted({canonical(c) for d in present.values() for c, n in d.items() if n})
    )
    folders = {name: f for f, name in translate(list(present), domains, info.class_aliases, where).items()}
    if not folders:
        raise DalibError(
            f"{where} has none of {info.name}'s domains {', '.join(domains)} (found: {', '.join(present)})"
        )
    label = {name: k for k, name in enumerate(classes)}
    labels, counts, differences = {}, {}, []
    another = edition_of(info, present, folders, classes, where)
    for domain in domains:
        if domain not in folders:
            differences.append(f"{domain} missing")
            continue
        there = present[folders[domain]]
        names = translate(list(there), classes, info.class_aliases, f"{where}, domain {domain}")
        labels[domain] = {folder: label[name] for folder, name in names.items()}
        counts[domain] = sum(there[folder] for folder in names)
        declared = counts[domain] if another else info.counts.get(domain, counts[domain])
        if counts[domain] != declared:
            less = counts[domain] < declared
            differences.append(
                f"{domain} {counts[domain]} {'of' if less else f'{info.rows} instead of'} {declared} {info.rows}"
            )
        absent = [c for c in classes if not any(there[f] for f, name in names.items() if name == c)]
        if absent:
            differences.append(
                f"{domain} has no {info.rows} of {len(absent)} of {len(classes)} classes ({_some(absent)})"
            )
        strange = [f for f, n in there.items() if n and f not in names]
        if strange and not info.others:
            hint = suggest(strange[0], classes) if len(strange) == 1 else ""
            differences.append(f"{domain} has {len(strange)} unknown classes ({_some(strange)}{hint})")
    if info.class_count and len(classes) != info.class_count:
        differences.append(f"{len(classes)} classes of {info.class_count}")
    differences += find_lookalikes(classes, "classes") if own else []
    differences += find_lookalikes(domains, "domains") if not info.domains else []
    order = {d: folders[d] for d in domains if d in folders}
    return Match(order, classes, labels, counts, tuple(differences))


def edition_of(
    info: DatasetInfo,
    present: Mapping[str, Mapping[str, int]],
    folders: Mapping[str, str],
    classes: Sequence[str],
    where: str,
) -> str:
    """Which other edition of the data set this is, by its images in all; empty for the one whose counts are declared.

    folders: declared domain -> folder
    """
    if not info.editions or len(folders) < len(info.domains):
        return ""
    total = sum(
        present[folder][name]
        for folder in folders.values()
        for name in translate(list(present[folder]), classes, info.class_aliases, where)
    )
    return info.editions.get(total, "")


def conventions(info: DatasetInfo, rows: int) -> list[str]:
    """What to know of a declared set before its numbers are compared: another edition, another metric; a line each."""
    said = []
    if rows in info.editions:
        declared = sum(info.counts.values())
        said.append(
            f"an edition of {info.name} with {rows} {info.rows} ({info.editions[rows]}); published numbers may be of "
            f"the one with {declared}"
        )
    if info.metric:
        said.append(f"tables of {info.name} report {info.metric}: --metric {info.metric} (metric=…)")
    return said


def find_lookalikes(names: Sequence[str], what: str) -> list[str]:
    """What to say of names that differ in case or blanks only, or write one number."""
    first: dict[str, str] = {}
    twins = [(first.setdefault(lookalike(n), n), n) for n in names]
    return [
        f"{what} '{a}' and '{b}' "
        f"{'write one number' if _NUMBER.fullmatch(a) else 'differ in case or blanks only'}: name their folders alike"
        for a, b in twins
        if a != b
    ]


def _some(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
