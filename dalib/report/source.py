"""Where records come from, as reports see it: a store of runs or an archive, told apart by nobody here."""

from __future__ import annotations

from typing import Protocol

from dalib.records.manifest import Manifest
from dalib.records.record import Record


class RecordSource(Protocol):
    """`manifest` raises DalibError for an unknown suite; `get` may be asked only for a key that is `in` the source."""

    def manifest(self, name: str, /) -> Manifest: ...
    def get(self, key: str, /) -> Record: ...
    def __contains__(self, key: str, /) -> bool: ...
