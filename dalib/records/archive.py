"""A suite's records as one JSON-lines file, small enough to commit, and the read-only store over it."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dalib.core.checksum import seal_lines, unseal_lines
from dalib.core.errors import DalibError, unknown
from dalib.core.limits import may_unpack, refuse_bomb
from dalib.core.places import is_url, read_bytes, write_bytes
from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.records.store import Store, make_frame

if TYPE_CHECKING:
    import pandas as pd

HOST_SPECIFIC = ("host", "python", "cwd", "peak_memory_bytes", "warnings")


def export(store: Store, manifest: Manifest, path: str | Path) -> int:
    """Write the manifest and its records (sorted by key), without what tells about the host; returns their number.

    The last line is the checksum of those before it. The path may be a URL (`s3://…`). One that ends in .gz is
    compressed, the same content always to the same bytes.
    """
    lines = [manifest.model_dump_json()]
    for record in store.records(sorted(manifest.keys)):
        lines.append(_anonymise(record).model_dump_json())
    content = seal_lines(("\n".join(lines) + "\n").encode())
    write_bytes(path, gzip.compress(content, mtime=0) if str(path).endswith(".gz") else content)
    return len(lines) - 1


def _anonymise(record: Record) -> Record:
    kept = {k: v for k, v in record.provenance.items() if k not in HOST_SPECIFIC}
    update: dict[str, object] = {"provenance": kept, "predictions": None}
    if record.error:
        last = (record.error.traceback.strip().splitlines() or [""])[-1]
        update["error"] = record.error.model_copy(update={"traceback": last})
    backbone, data = record.spec.backbone, record.spec.data
    if backbone.hash and backbone.weights:
        backbone = backbone.model_copy(update={"weights": Path(backbone.weights).name})
    if data.fingerprint and ":" in data.dataset:
        kind, _, file = data.dataset.partition(":")
        data = data.model_copy(update={"dataset": f"{kind}:{Path(file).name}"})
    update["spec"] = record.spec.model_copy(update={"backbone": backbone, "data": data})
    return record.model_copy(update=update)


def _read(path: str | Path) -> bytes:
    """The lines of an archive at a path or URL.

    Raises
        FileNotFoundError: nothing there, or no ordinary file
        DalibError: a packed one that inflates hugely
    """
    packed = read_bytes(path)
    if not str(path).endswith(".gz"):
        return packed
    with gzip.open(io.BytesIO(packed)) as file:
        content = file.read(may_unpack(len(packed)) + 1)
    refuse_bomb(Path(path), len(content), len(packed))
    return content


class Archive:
    """Read-only: `in`, `get`, `records`, `frame` and `manifest` of a file that `export` wrote, at a path or URL.

    Raises
        DalibError: the file is missing or not such a file
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            content = _read(path if is_url(path) else self.path)
            inner = unseal_lines(content)
            first, *rest = inner.decode().splitlines()
            self._manifest = Manifest.model_validate_json(first)
            self._records = {r.key: r for r in (Record.read(line) for line in rest)}
            if inner == content and not self._records.keys() >= set(self._manifest.keys):
                raise ValueError("a file of before checksums that lacks runs, or one that was cut between two lines")
        except FileNotFoundError:
            raise DalibError(f"no archive {path}; dalib export writes one") from None
        except (ValidationError, ValueError, OSError, EOFError, zlib.error, RecursionError):
            raise DalibError(f"archive {path} is damaged; dalib export writes it again") from None

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def get(self, key: str) -> Record:
        return self._records[key]

    def records(self, keys: Iterable[str] | None = None) -> Iterator[Record]:
        wanted = sorted(self._records) if keys is None else keys
        return (self._records[key] for key in wanted if key in self._records)

    def frame(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        return make_frame(self.records(keys))

    def manifest(self, name: str = "") -> Manifest:
        if name and name != self._manifest.name:
            raise unknown("suite", name, [self._manifest.name], f"archive {self.path}")
        return self._manifest
