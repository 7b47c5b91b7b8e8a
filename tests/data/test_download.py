"""Downloads that break, lie or end at a page: what is met, what dalib does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dalib.core.dataset import Download
from dalib.core.errors import DalibError
from dalib.data import download
from dalib.data.download import PARTIAL, STATE, describe, fetch
from tests.support.loopback import Shelf, serving
from tests.support.waiting import HANG

CONTENT = bytes(range(256)) * 4000
SHA = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
SILENT = 1.0
"""Seconds after which a server that says no more is given up; it stays silent until then, however long that is."""


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    with serving({"set.zip": CONTENT}) as shelf:
        yield shelf


def _declare(shelf: Shelf, *faults: str, digest: str = SHA, size: int = 0) -> Download:
    return Download("set.zip", tuple(f"{shelf.address}/{fault}/set.zip" for fault in faults), "nowhere", size, digest)


def _fetch(shelf: Shelf, tmp_path: Path, *faults: str, digest: str = SHA, size: int = 0) -> bytes:
    shelf.asked.clear()
    to, waits = tmp_path / "set.zip", SILENT if any("slow" in fault for fault in faults) else HANG
    fetch(_declare(shelf, *faults, digest=digest, size=size), to, timeout=waits, pause=0.01)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.zip"]
    return to.read_bytes()


SURVIVED = {
    "served as stated": (("good",), 1, False),
    "a dead link, then a mirror": (("missing", "good"), 2, False),
    "cut in the middle: continued": (("cut",), 2, True),
    "cut, by a server that cannot continue: begun again": (("no_ranges",), 2, True),
    "cut, and another file meanwhile: begun again": (("changed",), 2, True),
    "silent in the middle: continued": (("slow",), 2, True),
    "another file (wrong hash), then a mirror": (("other", "good"), 2, False),
    "a page with a button, then a mirror": (("page", "good"), 2, False),
    "a length that is no number": (("no_number",), 1, False),
    "packed on its way, then a mirror": (("packed", "good"), 2, False),
    "nothing at all, then a mirror": (("empty", "good"), 2, False),
    "an address that is none, then a mirror": (("no_address", "good"), 2, False),
    "cut for ever, then a mirror": (("always_cut", "good"), 4, False),
}


@pytest.mark.parametrize("met", SURVIVED)
def test_a_fault_of_a_server_is_survived(met: str, shelf: Shelf, tmp_path: Path) -> None:
    faults, requests, continued = SURVIVED[met]
    assert _fetch(shelf, tmp_path, *faults) == CONTENT
    assert len(shelf.asked) == requests
    assert not continued or shelf.asked[-1][1].startswith("bytes=")


REFUSED = {
    "a dead link": (("missing",), "answers 404"),
    "another file": (("other",), "serves another file: its sha256 is"),
    "a page with a button": (("page",), "shows a page, not the file: a button there must be pressed"),
    "a circle of addresses": (("loop",), r"answers 302 [^\n]*infinite loop"),
    "packed on its way": (("packed",), "packs the file on its way .Content-Encoding: gzip."),
    "nothing at all": (("empty",), "serves nothing, 0 bytes"),
    "an address that is none": (("no_address",), "leads to an address that is none"),
    "cut for ever": (("always_cut",), r"broke off: \d+ of 1024000 bytes came"),
    "silent for ever": (("always_slow",), "broke off: nothing came for 1 s"),
    "every mirror in its own way": (("missing", "other"), "answers 404.*; .*serves another file"),
}


@pytest.mark.parametrize("met", REFUSED)
def test_what_cannot_be_had_is_told_for_every_mirror(met: str, shelf: Shelf, tmp_path: Path) -> None:
    faults, words = REFUSED[met]
    with pytest.raises(DalibError, match=f"no mirror served set.zip: .*{words}.*fetch it by hand and put it at"):
        _fetch(shelf, tmp_path, *faults)
    assert not (tmp_path / "set.zip").exists()


@pytest.mark.parametrize("fault", ["packed", "empty"])
def test_what_is_not_the_file_is_not_kept_where_no_hash_is_stated_either(
    fault: str, shelf: Shelf, tmp_path: Path
) -> None:
    with pytest.raises(DalibError, match="no mirror served"):
        _fetch(shelf, tmp_path, fault, digest="")
    assert not (tmp_path / "set.zip").exists() and _fetch(shelf, tmp_path, fault, "good", digest="") == CONTENT


def test_a_later_call_continues_what_an_earlier_one_left(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TRIES", 1)
    to = tmp_path / "set.zip"
    with pytest.raises(DalibError):
        fetch(_declare(shelf, "always_slow"), to, timeout=SILENT, pause=0.01)
    left = to.with_name(to.name + PARTIAL).stat().st_size
    assert 0 < left < len(CONTENT)
    shelf.asked.clear()
    with pytest.raises(DalibError):
        fetch(_declare(shelf, "always_slow"), to, timeout=SILENT, pause=0.01)
    assert shelf.asked[0][1] == f"bytes={left}-"


@pytest.mark.parametrize(("left", "requests"), [(CONTENT, 1), (CONTENT + b"more", 2), (CONTENT[:-1], 1)])
def test_a_part_that_has_all_bytes_or_too_many(left: bytes, requests: int, shelf: Shelf, tmp_path: Path) -> None:
    declared, to = _declare(shelf, "good", digest=""), tmp_path / "set.zip"
    to.with_name(to.name + PARTIAL).write_bytes(left)
    to.with_name(to.name + STATE).write_text(json.dumps({"url": declared.mirrors[0], "tag": '"one"'}))
    shelf.asked.clear()
    fetch(declared, to, pause=0.01)
    assert to.read_bytes() == CONTENT and len(shelf.asked) == requests
    assert shelf.asked[0][1] == f"bytes={len(left)}-" and [p.name for p in tmp_path.iterdir()] == ["set.zip"]


def test_two_processes_that_write_one_file_are_noticed(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, to = download._copy, tmp_path / "set.zip"

    def copy_beside_another(*given: Any) -> None:
        copy(*given)
        if len(shelf.asked) == 1:
            with to.with_name(to.name + PARTIAL).open("ab") as file:
                file.write(b"of the other")

    monkeypatch.setattr(download, "_copy", copy_beside_another)
    assert _fetch(shelf, tmp_path, "good", digest="") == CONTENT and len(shelf.asked) == 2


@pytest.mark.parametrize("digest", [MD5, SHA, ""])
def test_what_is_there_and_right_is_left_alone(digest: str, shelf: Shelf, tmp_path: Path) -> None:
    _fetch(shelf, tmp_path, "good", digest=digest, size=len(CONTENT))
    shelf.asked.clear()
    facts = fetch(_declare(shelf, "missing", digest=digest), tmp_path / "set.zip")
    assert not shelf.asked and facts["sha256"] == SHA.removeprefix("sha256:")
    (tmp_path / "set.zip").write_bytes(CONTENT[:-1])
    if digest:
        with pytest.raises(DalibError, match=r"set.zip is there, but its .* remove or rename it"):
            fetch(_declare(shelf, "good", digest=digest), tmp_path / "set.zip")
    with pytest.raises(DalibError, match=f"it has {len(CONTENT) - 1} bytes, stated are {len(CONTENT)}"):
        fetch(_declare(shelf, "good", digest=digest, size=len(CONTENT)), tmp_path / "set.zip")


def test_addresses_of_this_machines_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DalibError, match="no http or https address"):
        fetch(Download("a.zip", ("file:///etc/passwd",), "nowhere"), tmp_path / "a.zip")


def test_what_is_stated_is_said(shelf: Shelf) -> None:
    assert describe([_declare(shelf, "good", size=5_000_000)]) == (
        "1 files, 5 MB, 1 with a stated hash (stated upstream, not tried by dalib)"
    )
