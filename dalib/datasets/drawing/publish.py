"""A drawn data set is written aside and moved into place when it is whole; a finished one is left alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def publish(root: Path, name: str, content: str, write: Callable[[Path], None]) -> None:
    """root, as `write(folder)` leaves a folder, and a marker `.<name>.json` that holds `content`.

    Raises
        FileExistsError: `root` holds something that is no such set
    """
    root, file = Path(root), f".{name}.json"

    def told() -> str | None:
        return (root / file).read_text() if (root / file).is_file() else None

    if told() == content:
        return
    if root.exists() and told() is None and any(root.iterdir()):
        raise FileExistsError(f"{root} is not a {name} set; give an empty or a new folder")
    root.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        write(fresh)
        (fresh / file).write_text(content)
        fresh.chmod(0o755)
        if told() == content:  # another process was faster
            return
        if root.exists():
            old = fresh.with_name(f"{fresh.name}-old")
            root.replace(old)
            shutil.rmtree(old)
        try:
            fresh.replace(root)
        except OSError:
            if told() != content:
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
