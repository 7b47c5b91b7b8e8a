"""Where records lie that are read one by one: a store at a path or URL, or a file that `dalib export` wrote."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Protocol

from dalib.core.checksum import Damaged, is_sealed, seal_json, unseal, unseal_json
from dalib.core.errors import DalibError
from dalib.core.files import to_bytes
from dalib.core.places import Place, open_place
from dalib.records.archive import Archive
from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.records.store import read_record

_RECORD = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})\.json")


class Collection(Protocol):
    """Records that can be read one by one."""

    where: str

    def list_keys(self) -> set[str]: ...

    def read(self, key: str) -> Record | None:
        """None, with a warning, where it is damaged."""

    def arrays(self, key: str) -> bytes | None:
        """The file of its predictions."""

    def manifests(self) -> list[Manifest]: ...


class StoreFolder:
    """A store at a path or URL."""

    def __init__(self, place: Place) -> None:
        self.place, self.where = place, place.where
        self.names = place.names()

    def list_keys(self) -> set[str]:
        return {m[1] for name in self.names if (m := _RECORD.fullmatch(name)) and m[1].startswith(name[:2])}

    def read(self, key: str) -> Record | None:
        name = f"{key[:2]}/{key}.json"
        return read_record(lambda: self.place.read(name), key, f"{self.where}/{name}")

    def arrays(self, key: str) -> bytes | None:
        name = f"{key[:2]}/{key}.npz"
        if name not in self.names:
            return None
        content = self.place.read(name)
        try:
            if is_sealed(content):
                unseal(content)
        except Damaged as error:
            warnings.warn(f"arrays {self.where}/{name} are damaged and stay behind: {error}", stacklevel=2)
            return None
        return content

    def manifests(self) -> list[Manifest]:
        names = sorted(
            n for n in self.names if n.startswith("manifests/") and n.endswith(".json") and n.count("/") == 1
        )
        found = []
        for name in names:
            try:
                found.append(Manifest.model_validate_json(unseal_json(self.place.read(name))))
            except (ValueError, OSError, RecursionError):
                warnings.warn(f"manifest {self.where}/{name} is damaged and stays behind", stacklevel=2)
        return found

    def write(self, record: Record, arrays: bytes | None) -> None:
        """The JSON comes last, so that what it names is there."""
        name = f"{record.key[:2]}/{record.key}"
        if arrays is not None:
            self.place.write(f"{name}.npz", arrays)
        update = {"predictions": f"{record.key}.npz" if arrays is not None else None}
        text = seal_json(record.model_copy(update=update).model_dump_json(indent=1))
        self.place.write(f"{name}.json", to_bytes(text))

    def write_manifest(self, manifest: Manifest) -> None:
        text = seal_json(manifest.model_dump_json(indent=1))
        self.place.write(f"manifests/{manifest.name}.json", to_bytes(text))


class ArchiveFile:
    """A file that `dalib export` wrote; it has no predictions."""

    def __init__(self, path: str | Path) -> None:
        self.archive, self.where = Archive(path), str(path)

    def list_keys(self) -> set[str]:
        found = {record.key for record in self.archive.records()}
        if odd := [key for key in found if not re.fullmatch("[0-9a-f]{64}", key)]:
            raise DalibError(
                f"archive {self.where}: {odd[0][:40]!r} is no key of a record; dalib export writes it again"
            )
        return found

    def read(self, key: str) -> Record | None:
        return self.archive.get(key)

    def arrays(self, key: str) -> bytes | None:
        return None

    def manifests(self) -> list[Manifest]:
        return [self.archive.manifest()]


def open_collection(where: str | Path) -> Collection:
    """A store or an archive.

    Raises
        DalibError: there is neither
    """
    if str(where).endswith((".jsonl", ".jsonl.gz")):
        return ArchiveFile(where)
    store = StoreFolder(open_place(where))
    if not store.list_keys() and not store.manifests():
        raise DalibError(f"no records in {where}; give the folder of a store, or a file that dalib export wrote")
    return store
