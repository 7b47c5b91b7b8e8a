"""Files from the network: mirror after mirror, continued where they broke off, held against what is stated."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from dalib.core.dataset import Download
from dalib.core.errors import DalibError
from dalib.core.files import write_text

Progress = Callable[[int, int], None]
PARTIAL, STATE = ".download", ".download.json"
TRIES, TIMEOUT, BLOCK = 3, 30.0, 1 << 18


class Failed(Exception):
    """A mirror that did not serve the file, in a few words."""


def fetch(
    download: Download, to: Path, progress: Progress | None = None, *, timeout: float = TIMEOUT, pause: float = 1.0
) -> dict[str, Any]:
    """The file of a declaration at `to`; one that is there and right is left alone. Returns what is known of it.

    A download that broke off lies beside it as `NAME.download` and is continued, if the server says that it is still
    the same file. Truncated files are continued, and every mirror is tried `TRIES` times.

    Args
        timeout: seconds without a byte after which a mirror counts as broken off
        pause: seconds before a second try
    Raises
        DalibError: no mirror served the file that is stated; says what each of them did
    """
    if to.is_file():
        problem = find_problem(download, to)
        if problem:
            raise DalibError(f"{to} is there, but {problem}; remove or rename it, and it is fetched again")
        return _facts(to, "")
    to.parent.mkdir(parents=True, exist_ok=True)
    told = []
    for url in download.mirrors:
        for attempt in range(TRIES):
            try:
                _transfer(url, to, download, progress, timeout)
            except Failed as error:
                why = str(error)
                if attempt + 1 < TRIES and why.startswith("broke off"):
                    time.sleep(pause)
                    continue
                told.append(f"{url}: {why}")
                break
            return _facts(to, url)
    way = f"; {download.by_hand}" if download.by_hand else f"; fetch it by hand and put it at {to}"
    raise DalibError(f"no mirror served {download.name}: {'; '.join(told)}{way}")


def find_problem(download: Download, path: Path) -> str:
    """Why a file is not the one that is declared; empty where it is, or nothing is stated."""
    size = path.stat().st_size
    if download.size and size != download.size:
        return f"it has {size} bytes, stated are {download.size}"
    if download.digest:
        kind, _, wanted = download.digest.partition(":")
        found = digest_of(path, kind)
        if found != wanted:
            return f"its {kind} is {found[:16]}…, stated is {wanted[:16]}…"
    return ""


def digest_of(path: Path, kind: str = "sha256") -> str:
    """Hexadecimal digest of a file, read block by block."""
    found = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def _facts(path: Path, url: str) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest_of(path), "url": url}


def _transfer(url: str, to: Path, download: Download, progress: Progress | None, timeout: float) -> None:
    """One request, which leaves the whole file at `to` or what has come so far beside it."""
    if not url.startswith(("http://", "https://")):
        raise Failed("no http or https address")
    part, state = to.with_name(to.name + PARTIAL), to.with_name(to.name + STATE)
    start, total, headers = 0, 0, {"User-Agent": "dalib"}
    kept = _read_state(state)
    if part.is_file() and kept.get("url") == url and kept.get("tag"):
        start = part.stat().st_size
        headers |= {"Range": f"bytes={start}-", "If-Range": kept["tag"]}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:
            if answer.status != 206:
                start = 0
            elif not (answer.headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
                part.unlink(missing_ok=True)
                raise Failed("broke off: it continues at another place than it was asked for")
            _refuse_page(answer, to)
            total = start + (getattr(answer, "length", 0) or 0)
            write_text(state, json.dumps({"url": url, "tag": _tag(answer)}))
            _copy(answer, part, start, total or download.size, progress)
    except urllib.error.HTTPError as error:
        whole = (error.headers.get("Content-Range") or "") == f"bytes */{start}"
        if error.code == 416 and not whole:  # what is there is no part of what is served now
            part.unlink(missing_ok=True)
            raise Failed("broke off: the part that was there is none of this file") from error
        if error.code != 416:  # else nothing is left to send: it was stopped after the last byte
            raise Failed(f"answers {error.code} {str(error.reason).partition(chr(10))[0]}") from error
    except UnicodeError as error:
        raise Failed(f"leads to an address that is none ({error})") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        slow = isinstance(error, TimeoutError) or isinstance(reason, TimeoutError)
        raise Failed(f"broke off: {f'nothing came for {timeout:g} s' if slow else reason}") from error
    size = part.stat().st_size
    if not size:
        part.unlink()
        raise Failed("serves nothing, 0 bytes")
    if total and size < total:
        raise Failed(f"broke off: {size} of {total} bytes came")
    if total and size > total:
        part.unlink()
        raise Failed(f"broke off: {size} bytes are there of {total}; does another process fetch it too?")
    problem = find_problem(download, part)
    if problem:
        part.unlink()
        raise Failed(f"serves another file: {problem}")
    part.replace(to)
    state.unlink(missing_ok=True)


def _copy(answer: HTTPResponse, part: Path, start: int, total: int, progress: Progress | None) -> None:
    with part.open("ab" if start else "wb") as file:
        done = start
        while block := answer.read1(BLOCK):
            file.write(block)
            done += len(block)
            if progress:
                progress(done, max(total, done))


def _refuse_page(answer: HTTPResponse, to: Path) -> None:
    """Failed where what comes is not the file: packed on its way, which nobody asked for, or a page."""
    packed = (answer.headers.get("Content-Encoding") or "identity").strip().lower()
    if packed != "identity":
        raise Failed(f"packs the file on its way (Content-Encoding: {packed}), so that it would be another")
    kind = (answer.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if kind == "text/html" and not to.name.endswith((".html", ".htm")):
        raise Failed("shows a page, not the file: a button there must be pressed, or terms accepted")


def _tag(answer: HTTPResponse) -> str:
    """What tells a later answer that it is the same file; a weak tag does not."""
    tag = answer.headers.get("ETag") or ""
    return answer.headers.get("Last-Modified") or "" if not tag or tag.startswith("W/") else tag


def _read_state(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def describe(downloads: Sequence[Download]) -> str:
    """What is stated of them, in a sentence."""
    known = sum(bool(d.digest) for d in downloads)
    sizes = sum(d.size for d in downloads)
    size = f", {sizes / 1e6:.0f} MB" if sizes else ", sizes not stated"
    tried = "tried" if all(d.tried for d in downloads) else "stated upstream, not tried by dalib"
    return f"{len(downloads)} files{size}, {known} with a stated hash ({tried})"
