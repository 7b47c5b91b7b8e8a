"""`dalib/__init__.pyi`: what the lazy names of `dalib` are, for type checkers, so that mypy refuses `DANN(wieght=1)`.

    python -m dalib.checks.stub     # make stub; a test compares

The names come from `dalib._HOME` and the files of dalib/algorithms; nobody edits the list by hand. A plug-in of one's
own is imported from its file, and is not in it.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import dalib
from dalib.core.files import write_text
from dalib.core.registry import ALGORITHMS

STUB = Path(dalib.__file__).with_suffix(".pyi")
TEXT = '''"""Written by `make stub`; the names are those of `__init__.py` and of the files in dalib/algorithms."""

from typing import Any

{imports}

__version__: str

def __getattr__(name: str) -> Any: ...
'''


def compose_stub() -> str:
    """The text: an import for every public name and for every algorithm that ships, `Any` for other names."""
    homes = dict(dalib._HOME)
    for name, file in ALGORITHMS.files().items():
        cls = ALGORITHMS.get(name)
        if inspect.isclass(cls) and name.replace("_", "") == cls.__name__.lower():
            homes[cls.__name__] = f"dalib.algorithms.{file.stem}"
    modules = sorted({*homes.values()})
    return TEXT.format(
        imports="\n".join(f"from {m} import {n} as {n}" for m in modules for n in sorted(homes) if homes[n] == m)
    )


if __name__ == "__main__":
    write_text(STUB, compose_stub())
