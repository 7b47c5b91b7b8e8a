"""Images whose labels are no classes: the folder of a domain holds a table with the answers of its images."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from dalib.core.errors import DalibError
from dalib.data.answers import refuse_large
from dalib.data.folders import ImageTree

TABLES = {"regression.csv": "regression", "multilabel.csv": "multilabel"}
"""Name of a domain's table -> what its columns hold."""
LAYOUT = (
    "domain/images/* and domain/regression.csv (numbers) or domain/multilabel.csv (0, 1, or -1 where nobody said): "
    "a first line file,OUTPUT,… and then a line for every image, its path below the domain and its answers"
)


@dataclass(frozen=True)
class Answers:
    """The tables of a root.

    objective: what an answer is
    names: of the outputs, the same in every domain
    y: domain folder -> path inside the root -> its answers (m,)
    digest: domain folder -> sha256 of its table
    """

    objective: str
    names: tuple[str, ...]
    y: Mapping[str, Mapping[str, np.ndarray]]
    digest: Mapping[str, str]


def find_answers(tree: ImageTree) -> Answers | None:
    """The answers of the images in a root; None where no domain has a table.

    Raises
        DalibError: tables of both kinds, other columns in one domain than in another, an image twice or not at all, a
            line for an image that is not there, or what is no answer
    """
    found: dict[str, str] = {}
    for member in tree.listing.ignored:
        path = PurePosixPath(member)
        if path.name in TABLES and path.parts[:-2] == tree.wrap and path.parts[-2] in tree.domains:
            if path.parts[-2] in found:
                raise DalibError(
                    f"{tree.root}: '{path.parts[-2]}' has both {' and '.join(TABLES)}; give every domain one of them"
                )
            found[path.parts[-2]] = member
    if not found:
        return None
    kinds = {TABLES[PurePosixPath(member).name] for member in found.values()}
    if len(kinds) > 1:
        raise DalibError(
            f"{tree.root}: domains have {' here and '.join(sorted(kinds))} tables there; give all the same"
        )
    objective, names, y, digest = kinds.pop(), None, {}, {}
    for domain, member in sorted(found.items()):
        content = tree.read(member)
        heads, rows = _read_table(tree, member, content, objective)
        if names is not None and heads != names:
            raise DalibError(f"{tree.root}: {member} has the outputs {', '.join(heads)}, others {', '.join(names)}")
        names = heads
        y[domain] = _match(tree, domain, member, rows)
        digest[domain] = hashlib.sha256(content).hexdigest()
    assert names is not None
    return Answers(objective, names, y, digest)


def _read_table(
    tree: ImageTree, member: str, content: bytes, objective: str
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    where = f"{tree.root}: {member}"
    try:
        lines = [line for line in csv.reader(io.StringIO(content.decode("utf-8-sig"))) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DalibError(f"{where} is no table in UTF-8 ({error}); {LAYOUT}") from None
    heads = tuple(word.strip() for word in lines[0]) if lines else ()
    if len(heads) < 2 or heads[0] != "file" or len(set(heads)) < len(heads) or not all(heads):
        raise DalibError(f"{where} begins with {','.join(heads)[:60]!r}; expected {LAYOUT}")
    rows: dict[str, np.ndarray] = {}
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(heads):
            raise DalibError(f"{where}, line {number} has {len(line)} columns, its head {len(heads)}; mend it")
        name = line[0].strip()
        if name in rows:
            raise DalibError(f"{where}, line {number}: {name} is there twice; keep one of its lines")
        rows[name] = np.array([_read_answer(where, number, word, objective) for word in line[1:]])
        refuse_large(f"{where}, line {number}", rows[name])
    dtype = np.float32 if objective == "regression" else np.int64
    return heads[1:], {name: values.astype(dtype) for name, values in rows.items()}


def _read_answer(where: str, number: int, word: str, objective: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if objective == "regression" and math.isfinite(value):
        return value
    if objective == "multilabel" and value in (-1, 0, 1):
        return value
    wanted = "a finite number" if objective == "regression" else "0, 1, or -1 where nobody said"
    raise DalibError(f"{where}, line {number} holds {word!r}; give {wanted}")


def _match(tree: ImageTree, domain: str, member: str, rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    folder = PurePosixPath(member).parent
    answers = {str(folder / name): values for name, values in rows.items()}
    images = {f.member for f in tree.of_domain(domain)}
    lost, bare = sorted(set(answers) - images), sorted(images - set(answers))
    gone = {f.member for f in tree.skipped}
    if wrong := [name for name in lost if name not in gone]:
        raise DalibError(f"{tree.root}: {member} names {wrong[0]}, which is not there ({len(wrong)} in all); mend it")
    if bare:
        raise DalibError(
            f"{tree.root}: {member} has no line for {bare[0]} ({len(bare)} images in all); add them, or move these "
            "images to a domain of their own without a table"
        )
    return answers


def holds_tables(root: str | Path) -> str:
    """What the answers of images in a folder are by its tables' names alone; an empty string where there are none."""
    for pattern in ("*", "*/*", "*/*/*"):
        for name, objective in TABLES.items():
            if Path(root).is_dir() and any(Path(root).glob(f"{pattern}/{name}" if pattern != "*" else f"*/{name}")):
                return objective
    return ""
