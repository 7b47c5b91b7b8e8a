"""A drawn set appears whole or not at all, and a finished one is left alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def publish(root: Path, name: str, marker: str, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder and move it to `root`; nothing happens where a set with this marker is there.

    Args
        name: of the data set; its marker is the file `.<name>.json`
        marker: what tells this version, seed and counts from any other
    Raises
        FileExistsError: `root` holds something that this function did not write
    """
    root, file = Path(root), f".{name}.json"
    if _read(root / file) == marker:
        return
    if root.exists() and _read(root / file) is None and any(root.iterdir()):
        raise FileExistsError(f"{root} is not a {name} set; give an empty or a new folder")
    root.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        write(fresh)
        (fresh / file).write_text(marker)
        fresh.chmod(0o755)
        _replace(root, fresh, file, marker)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _replace(root: Path, fresh: Path, file: str, marker: str) -> None:
    """Move `fresh` to `root`; what was there goes, unless another process has finished the same set meanwhile."""
    if _read(root / file) == marker:
        return
    if root.exists():
        old = fresh.with_name(f"{fresh.name}-old")
        root.replace(old)
        shutil.rmtree(old)
    try:
        fresh.replace(root)
    except OSError:
        if _read(root / file) != marker:
            raise


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None
