"""Records on disk: one JSON file per run, written aside and renamed, found by the hash of its content."""

from __future__ import annotations

import contextlib
import io
import secrets
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from dalib.core.checksum import is_sealed, seal, seal_json, unseal, unseal_json
from dalib.core.errors import DalibError, unknown
from dalib.core.files import read_file, sweep_parts, to_bytes, write_atomic, write_text
from dalib.core.places import refuse_url
from dalib.records.locks import publish, sweep_locks
from dalib.records.manifest import Manifest
from dalib.records.record import Record

if TYPE_CHECKING:
    import pandas as pd


class Store:
    """The folder of the records: `ab/abcd….json` (+ `.npz`), `manifests/`, `checkpoints/`, `locks/`."""

    def __init__(self, root: str | Path) -> None:
        refuse_url(root, "the store")
        self.root = Path(root)

    def path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.json"

    def checkpoint(self, key: str) -> Path:
        return self.root / "checkpoints" / f"{key}.pt"

    def lock(self, key: str) -> Path:
        return self.root / "locks" / key

    def stamp(self, key: str) -> int:
        """Modification time of the record's file in ns; 0 if there is none."""
        try:
            return self.path(key).stat().st_mtime_ns
        except OSError:
            return 0

    def __contains__(self, key: str) -> bool:
        return self._read(key) is not None

    def get(self, key: str) -> Record:
        """The record; KeyError when it is missing or its file is damaged (with a warning)."""
        record = self._read(key)
        if record is None:
            raise KeyError(key)
        return record

    def _read(self, key: str) -> Record | None:
        path = self.path(key)
        return read_record(lambda: read_file(path), key, str(path))

    def put(self, record: Record, arrays: dict[str, np.ndarray] | None = None, leased: bool = False) -> None:
        """Keep a record; arrays lie beside it as npz, float16 where labels are classes. The JSON comes last.

        Args
            leased: this process has the run's lock, and writes only as long as it has
        Raises
            TakenOver: it had the lock; another process has it now
        """
        path = self.path(record.key)

        def write(kind: str, content: bytes) -> None:
            final = path.with_suffix(f".{kind}")
            _clear_folder(final)
            if leased:
                publish(self.lock(record.key), kind, content, final)
            else:
                write_atomic(final, content)

        if arrays:
            short = record.objective == "classification"
            half = {k: v.astype(np.float16) if short and v.dtype.kind == "f" else v for k, v in arrays.items()}
            content = io.BytesIO()
            np.savez_compressed(content, **half)  # type: ignore[arg-type]
            write("npz", seal(content.getvalue()))
        name = path.with_suffix(".npz").name if arrays else None
        text = seal_json(record.model_copy(update={"predictions": name}).model_dump_json(indent=1))
        write("json", to_bytes(text))
        if not arrays:
            path.with_suffix(".npz").unlink(missing_ok=True)

    def update(self, record: Record) -> None:
        """Write the record again; its arrays stay as they are."""
        _clear_folder(self.path(record.key))
        write_text(self.path(record.key), seal_json(record.model_dump_json(indent=1)))

    def predictions(self, key: str) -> dict[str, np.ndarray]:
        """Arrays kept with a record; KeyError when they are missing or damaged (with a warning)."""
        path = self.path(key).with_suffix(".npz")
        try:
            content = read_file(path)
            content = unseal(content) if is_sealed(content) else content
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return dict(file)
        except FileNotFoundError:
            raise KeyError(key) from None
        except Exception as error:  # zipfile, zlib and NumPy have many words for damage
            text = f"arrays {path} are damaged and count as missing: {_reason(error)}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
            raise KeyError(key) from None

    def records(self, keys: Iterable[str] | None = None) -> Iterator[Record]:
        """Records that are there, in the order of `keys` (default: all, sorted)."""
        wanted = (p.stem for p in sorted(self.root.glob("[0-9a-f][0-9a-f]/*.json"))) if keys is None else keys
        return (record for key in wanted if (record := self._read(key)) is not None)

    def frame(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """One row per record and candidate; see `make_frame`."""
        return make_frame(self.records(keys))

    def write_manifest(self, manifest: Manifest) -> None:
        write_text(self.root / "manifests" / f"{manifest.name}.json", seal_json(manifest.model_dump_json(indent=1)))

    def manifest(self, name: str) -> Manifest:
        """The manifest of a suite.

        Raises
            DalibError: the suite never ran in this store, or the file is damaged
        """
        folder = self.root / "manifests"
        try:
            manifest = Manifest.model_validate_json(unseal_json(read_file(folder / f"{name}.json")))
            if manifest.name != name:  # the file of `Demo` is that of `demo` where case does not count
                raise FileNotFoundError
            return manifest
        except FileNotFoundError:
            known = [p.stem for p in folder.glob("*.json")]
            raise unknown("suite with runs", name, known, f"in {self.root}; dalib run makes one") from None
        except (ValueError, OSError, RecursionError):
            raise DalibError(
                f"manifest {folder / name}.json is damaged or cannot be read; dalib run writes it again"
            ) from None

    def sweep(self) -> None:
        """Remove half-written files and locks of dead processes."""
        sweep_parts(self.root)
        with contextlib.suppress(OSError):  # another process was faster
            sweep_locks(self.root / "locks")


def read_record(read: Callable[[], bytes], key: str, where: str) -> Record | None:
    """The record of a key from the bytes of its file; None when there are none or they are damaged (with a warning)."""
    try:
        record = Record.read(unseal_json(read()))
        if record.key != key:
            raise ValueError(f"it holds the record of {record.key[:12]}…")
        return record
    except FileNotFoundError:
        return None
    except (ValidationError, ValueError, OSError, RecursionError) as error:
        state = "cannot be read" if isinstance(error, OSError) else "is damaged"
        text = f"record {where} {state} and counts as missing: {_reason(error)}"
        warnings.warn(text, RuntimeWarning, stacklevel=4)
        return None


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return lines[-2 if isinstance(error, ValidationError) and len(lines) > 1 else 0].strip()[:120]


def _clear_folder(path: Path) -> None:
    """A folder that has a file's name is moved aside, where it is found again."""
    if path.is_dir() and not path.is_symlink():
        with contextlib.suppress(OSError):
            path.rename(path.with_name(f"{path.name}.{secrets.token_hex(4)}.aside"))


def make_frame(records: Iterable[Record]) -> pd.DataFrame:
    """key, algorithm, task, source, target, seed, status, step, is_last, metrics, scores as `score_<name>`.

    A failed record is one row without step and metrics.
    """
    import pandas as pd

    columns = ["key", "algorithm", "task", "source", "target", "seed", "status", "step", "is_last"]
    rows: list[dict[str, Any]] = []
    for r in records:
        s = r.spec
        head = {"key": r.key, "algorithm": s.algorithm, "task": s.task, "source": s.source, "target": s.target,
                "seed": s.seed, "status": r.status}  # fmt: skip
        candidates = r.candidates if r.status == "ok" else []
        for c in candidates:
            scores = {f"score_{name}": value for name, value in c.scores.items()}
            rows.append(head | {"step": c.step, "is_last": c is candidates[-1]} | c.metrics | scores)
        if not candidates:
            rows.append(head | {"step": float("nan"), "is_last": True})
    return pd.DataFrame(rows, columns=columns if not rows else None)
