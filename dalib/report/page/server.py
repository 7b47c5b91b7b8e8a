"""`dalib.serve_page`: the page on an address of this machine, read-only, told of every new record."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dalib.bench.suite import Suite
from dalib.core.errors import DalibError
from dalib.records.manifest import Manifest
from dalib.records.record import Record
from dalib.records.store import Store
from dalib.report.page.content import build_content
from dalib.report.page.pictures import PICTURES
from dalib.report.page.write import render_page, to_script
from dalib.report.reports import open_records

HERE = "127.0.0.1"


class Watched:
    """A store that reads a record again only when its file has changed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[str, tuple[int, Record | None]] = {}

    def manifest(self, name: str) -> Manifest:
        return self.store.manifest(name)

    def predictions(self, key: str) -> Any:
        return self.store.predictions(key)

    def __contains__(self, key: str) -> bool:
        return self._look(key) is not None

    def get(self, key: str) -> Record:
        record = self._look(key)
        if record is None:
            raise KeyError(key)
        return record

    def stamp(self, suite: str) -> str:
        """Another text whenever the suite has other runs or a record was written."""
        manifest = self.store.manifest(suite)
        told = json.dumps([manifest.sha256, *((key, self.store.stamp(key)) for key in manifest.keys)])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def _look(self, key: str) -> Record | None:
        stamp = self.store.stamp(key)
        if key not in self._read or self._read[key][0] != stamp:
            self._read[key] = (stamp, self.store.get(key) if stamp and key in self.store else None)
        return self._read[key][1]


class PageServer(ThreadingHTTPServer):
    """Answers GET of `/`, `/data` and `/stamp`; nothing can be written through it.

    Attributes
        url: what to open, with the token where one is asked for
    """

    daemon_threads = True

    def __init__(
        self,
        source: Watched,
        suite: str,
        address: str,
        port: int,
        token: str,
        data_root: str | Path | None = None,
        pictures: int = PICTURES,
    ) -> None:
        super().__init__((address, port), _Handler)
        self._pictures: dict[str, Any] = {"data_root": data_root, "pictures": pictures}
        self.source, self.suite, self.token = source, suite, token
        self._lock = threading.Lock()
        self._kept: tuple[str, dict[str, Any]] = ("", {})
        self.here = ipaddress.ip_address(address).is_loopback
        host = address if address not in ("0.0.0.0", "::") else "localhost"
        self.url = f"http://{host}:{self.server_address[1]}/" + (f"?token={token}" if token else "")

    def content(self) -> dict[str, Any]:
        """The page's data, made again only where something is new; one request makes it, others wait."""
        with self._lock:
            stamp = self.source.stamp(self.suite)
            if self._kept[0] != stamp:
                self._kept = stamp, build_content(self.source, self.suite, **self._pictures) | {"stamp": stamp}
            return self._kept[1]

    def knows(self, host: str) -> bool:
        """Asked for by its own name: a page of elsewhere whose name points here is not answered."""
        name = urlsplit(f"//{host}").hostname or ""
        return not self.here or name in ("localhost", HERE, "::1", str(self.server_address[0]))


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        server, asked = self.server, urlsplit(self.path)
        given = parse_qs(asked.query).get("token", [""])[0]
        if not server.knows(self.headers.get("Host", "")):
            return self._answer(403, "text/plain", "this address is not the page's own")
        if server.token and not hmac.compare_digest(given.encode(), server.token.encode()):
            return self._answer(
                403, "text/plain", "the token is missing or wrong; open the address that dalib view printed"
            )
        pages: dict[str, tuple[str, Callable[[], str]]] = {
            "/": ("text/html", lambda: render_page(server.content(), live=True)),
            "/data": ("application/json", lambda: to_script(server.content())),
            "/stamp": ("application/json", lambda: json.dumps({"stamp": server.source.stamp(server.suite)})),
        }
        if asked.path not in pages:
            return self._answer(404, "text/plain", "nothing here; the page is at /")
        kind, make = pages[asked.path]
        try:
            text = make()
        except DalibError as error:
            return self._answer(503, "text/plain", str(error))
        return self._answer(200, kind, text)

    def _answer(self, status: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
            ("X-Frame-Options", "DENY"),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed for every request."""


def open_server(
    suite: Suite | str | Path,
    *,
    store: str | Path = "results/runs",
    address: str = HERE,
    port: int = 8765,
    token: str = "",
    data_root: str | Path | None = None,
    pictures: int = PICTURES,
) -> PageServer:
    """A server of the suite's page; `serve_forever()` answers, `url` is what to open.

    Args
        address: 127.0.0.1 is this machine only; any other asks whoever opens the page for a token
        port: 0 = any that is free
        token: made at random for other addresses unless given
        data_root: where the pictures of the data lie that rows get right or wrong; None = `DALIB_DATA`
        pictures: most of them that the page holds; 0 = none

    Raises
        DalibError: a suite without runs in the store, an address that is none, or a port that is taken
    """
    source, name = open_records(suite, store)
    if not isinstance(source, Store):
        raise DalibError(
            f"{suite} is a file of records, to which nothing is added; dalib report {suite} makes its page"
        )
    source.manifest(name)
    try:
        here = ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise DalibError(
            f"address '{address}' is no IP address; give 127.0.0.1, or 0.0.0.0 for all of this machine's"
        ) from None
    if not here and not token:
        token = secrets.token_urlsafe(16)
    try:
        return PageServer(Watched(source), name, address, port, token, data_root, pictures)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise DalibError(
            f"cannot serve at {address}:{port} ({why}); choose another --port (port=…), 0 for any"
        ) from None
