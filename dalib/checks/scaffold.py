"""Write a new plug-in file: small, working, and passing its contract tests as it is."""

from __future__ import annotations

import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

from dalib.core.errors import DalibError, unknown
from dalib.core.files import write_text
from dalib.core.registry import REGISTRIES

TEMPLATES = resources.files("dalib.checks").joinpath("templates")
KINDS = tuple(r.kind for r in REGISTRIES.values() if TEMPLATES.joinpath(f"{r.kind}.py.txt").is_file())


def new_plugin(kind: str, name: str, folder: str | Path = ".") -> Path:
    """Write `folder/name.py` from the template of `kind` (algorithm, validator, measure …); returns its path.

    Raises
        DalibError: unknown kind, a name that is not snake_case or is taken, a file that is already there
    """
    if kind not in KINDS:
        raise unknown("kind of plug-in", kind, KINDS)
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise DalibError(f"'{name}' cannot name a plug-in file; use lower-case words joined by _, such as my_{kind}")
    if name in REGISTRIES[f"{kind}s"]:
        raise DalibError(f"there already is a {kind} named '{name}'; choose another name")
    path = Path(folder) / f"{name}.py"
    if path.exists():
        raise DalibError(f"{path} exists and is not overwritten; choose another name or folder")
    template = TEMPLATES.joinpath(f"{kind}.py.txt").read_text(encoding="utf-8")
    camel = "".join(word.capitalize() for word in name.split("_"))
    write_text(path, Template(template).substitute(name=name, Class=camel))
    return path
