"""`dalib.push` and `dalib.pull`: models and records in a Hugging Face repository, or in a folder laid out like one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

from dalib.core.errors import DalibError
from dalib.core.files import read_file, write_atomic, write_text
from dalib.core.places import refuse_remote
from dalib.sharing.card import model_card

MODEL, RECORDS, CARD = ".safetensors", (".jsonl", ".jsonl.gz"), "README.md"
_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)")
Kind = Literal["model", "dataset"]


def push(what: str | Path, to: str | Path, *, private: bool = True) -> str:
    """Put a model with its card, or a file of records, into a repository; returns where it is.

    Args
        what: a model file (.safetensors), or records that `dalib export` wrote (.jsonl, .jsonl.gz)
        to: `hf:OWNER/NAME`, made if it is not there: a model repository for a model, a data set's for records. Or a
            folder, which then holds what the repository would
        private: who may see a repository that is made now; one that is there stays as it is

    Raises
        DalibError: neither a model nor records, no such repository, no right to write to it, or the package
            huggingface_hub is not installed
    """
    path = Path(what)
    kind = _kind_of(path)
    if not path.is_file():
        raise DalibError(f"no file {path}; give a model file or a file of records")
    card = model_card(path) if kind == "model" else _records_card(path)
    name = _repository(to)
    if not name:
        folder = Path(to)
        _copy(path, folder)
        if not (folder / CARD).exists():
            write_text(folder / CARD, card)
        return str(folder / path.name)
    hub = _import_hub()
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    with _explained(hub, name):
        api.create_repo(name, repo_type=kind, private=private, exist_ok=True)
        add = [hub.CommitOperationAdd(path.name, str(path))]
        if not api.file_exists(name, CARD, repo_type=kind):
            add.append(hub.CommitOperationAdd(CARD, card.encode()))
        done = api.create_commit(name, add, commit_message=f"Add {path.name}", repo_type=kind)
    return str(done.commit_url)


def pull(where: str | Path, out: str | Path = ".", *, revision: str = "") -> list[Path]:
    """Copy the models and records of a repository here; what is here under the same name is replaced.

    Args
        where: `hf:OWNER/NAME`, a model's repository or, where there is none, a data set's; or a folder
        out: folder to put them in
        revision: branch, tag or commit; empty = the newest

    Raises
        DalibError: no such repository, or no model and no records in it
    """
    refuse_remote(out, "out")
    name, folder = _repository(where), Path(out)
    if not name:
        found = sorted(p for p in Path(where).glob("*") if p.name.endswith((MODEL, *RECORDS)))
        _refuse_nothing(found, where)
        return [_copy(path, folder) for path in found]
    hub = _import_hub()
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    with _explained(hub, name):
        kind: Kind = "model" if api.repo_exists(name, repo_type="model") else "dataset"
        listed = api.list_repo_files(name, repo_type=kind, revision=revision or None)
        names = sorted(n for n in listed if "/" not in n and n.endswith((MODEL, *RECORDS)))
        _refuse_nothing(names, where)
        how: dict[str, Any] = {"repo_type": kind, "revision": revision or None, "local_dir": folder}
        return [Path(api.hf_hub_download(name, n, **how)) for n in names]


def _kind_of(path: Path) -> Kind:
    if path.name.endswith(MODEL):
        return "model"
    if path.name.endswith(RECORDS):
        return "dataset"
    raise DalibError(f"{path} is neither a model ({MODEL}) nor records ({', '.join(RECORDS)}); give one of these")


def _repository(where: str | Path) -> str:
    """`OWNER/NAME` of `hf:OWNER/NAME`; empty for a folder."""
    text = str(where)
    if not text.startswith("hf:"):
        refuse_remote(text, "the repository")
        return ""
    found = _NAME.fullmatch(text)
    if not found:
        raise DalibError(f"{text} names no repository; write it as hf:OWNER/NAME")
    return found[1]


def _refuse_nothing(found: list[Any], where: str | Path) -> None:
    if not found:
        raise DalibError(f"{where} holds no model ({MODEL}) and no records ({', '.join(RECORDS)})")


def _copy(path: Path, folder: Path) -> Path:
    """The file in that folder, whole or not at all; where it lies there already it stays."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / path.name
    if not (copy.exists() and copy.samefile(path)):
        write_atomic(copy, read_file(path))
    return copy


def _records_card(path: Path) -> str:
    """What a reader of records needs to know."""
    return f"""---
tags: ["dalib"]
---

# Records of dalib

One run per line, as JSON: its description, its numbers at every evaluation point, versions and seconds.
`dalib table NAME --records {path.name}` makes the table again.
"""


def _import_hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise DalibError("hf: needs the package huggingface_hub: pip install 'dalib-toolkit[hub]'") from None
    return huggingface_hub


class _explained:
    """What the service refuses is one line."""

    def __init__(self, hub: Any, name: str) -> None:
        self.hub, self.name = hub, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, (DalibError, KeyboardInterrupt)):
            return
        if isinstance(error, (OSError, ValueError, self.hub.errors.HfHubHTTPError)) or "http" in type(error).__module__:
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise DalibError(f"hf:{self.name}: {reason}; check its name and your token (hf auth login)") from error
