"""`get_data`: a declared data set fetched, unpacked and counted."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.files import write_text
from dalib.core.limits import amount_of, refuse_bomb
from dalib.core.registry import DATASETS
from dalib.data.catalog import load_data
from dalib.data.download import fetch
from dalib.data.file_kinds import pack_files
from dalib.data.loaded import LoadedData
from dalib.data.unpacking import find_kind, unpack_into, zip_name

Progress = Callable[[str, int, int], None]
RECEIPT = ".dalib-sources.json"


def get_data(
    dataset: str, out: str | Path | None = None, progress: Progress | None = None, *, timeout: float = 30.0
) -> LoadedData:
    """Fetch a declared data set into the folder `out/NAME`, unpack it and hold it against its declaration.

    Rows of numbers or texts are packed there as `NAME.npz`, as `dalib data pack` does.

    Files are kept in `out/fetched/NAME`; a second call continues where a first broke off. What was fetched, with its
    sha256, is written to `.dalib-sources.json` in the folder.

    Args
        dataset: its name (`dalib list datasets`)
        out: a folder of data sets; None = `DALIB_DATA`
        progress: called with (file, bytes done, bytes in all)
        timeout: seconds without a byte after which a mirror counts as broken off
    Raises
        DalibError: unknown, to be fetched by hand (says how), or not what is declared
    """
    info: DatasetInfo = DATASETS.get(dataset)
    if not info.downloads:
        raise DalibError(by_hand(info))
    given = out if out is not None else os.environ.get("DALIB_DATA")
    if not given:
        raise DalibError(f"where should {dataset} go? Say --out DIR (out=…), or set DALIB_DATA")
    folder, files = Path(given).expanduser() / dataset, Path(given).expanduser() / "fetched" / dataset
    facts = []
    for download in info.downloads:
        report = None
        if progress:

            def report(done: int, total: int, name: str = download.name) -> None:
                progress(name, done, total)

        facts.append(fetch(download, files / download.name, report, timeout=timeout))
    done, rows = folder / RECEIPT, folder / f"{dataset}.npz"
    known = json.loads(done.read_text(encoding="utf-8")) if done.is_file() else None
    if known != _without_urls(facts) or (info.packed and not rows.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        for download in info.downloads:
            unpack_archive(files / download.name, folder)
        if info.packed:
            pack_files(_to_pack(info, folder), rows)
        write_text(done, json.dumps(_without_urls(facts), indent=1))
    return load_data(dataset, folder)


def _without_urls(facts: list[dict[str, object]]) -> list[dict[str, object]]:
    """File, bytes and sha256, which are the same whichever mirror served it."""
    return [{k: v for k, v in fact.items() if k != "url"} for fact in facts]


def _to_pack(info: DatasetInfo, folder: Path) -> list[Path]:
    """What was unpacked of rows.

    Raises
        DalibError: nothing that is declared
    """
    found = [folder] if info.packed == "." else sorted(folder.rglob(info.packed))
    if not found:
        raise DalibError(
            f"{folder} holds no {info.packed}, which {info.name} is packed of; another archive was fetched"
        )
    return found


def by_hand(info: DatasetInfo) -> str:
    """What a person must do for a data set that no address serves."""
    if info.generator:
        return f"{info.name} is made by dalib, not fetched: dalib data make {info.name} --out DIR"
    if not info.domains:
        return f"{info.name} stands for data of your own; nothing is fetched"
    steps = info.by_hand or f"fetch it from {info.source}"
    return f"{info.name} cannot be fetched by a program: {steps}; put it into a folder {info.name} in DALIB_DATA"


def unpack_archive(path: Path, folder: Path) -> None:
    """A zip's or tar's ordinary files into a folder, none of them outside it.

    Raises
        DalibError: it is damaged, would unpack to too much, or holds a path that leads out of the folder
    """
    if find_kind(path) == "tar":
        unpack_into(path, folder)
        return
    left, unpacked = amount_of("DALIB_MAX_UNPACKED", "50G"), 0
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                parts = [p for p in zip_name(member).split("/") if p not in ("", ".")]
                if member.is_dir() or not parts:
                    continue
                if ".." in parts or (member.external_attr >> 28) == 0xA:
                    raise DalibError(f"{path} holds {member.filename!r}, which leads out of the folder; it is refused")
                unpacked += member.file_size
                refuse_bomb(path, unpacked)
                place = folder.joinpath(*parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as content, place.open("wb") as file:
                    while block := content.read(1 << 20):
                        left -= len(block)
                        if left < 0:
                            raise DalibError(f"{path} unpacks to more than DALIB_MAX_UNPACKED; set that, or unpack it")
                        file.write(block)
    except zipfile.BadZipFile as error:
        raise DalibError(f"{path} is not a readable zip ({error}); remove it and fetch it again") from error
