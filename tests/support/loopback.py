"""A server on the loopback interface that serves files, and fails in the ways that servers of data sets do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.waiting import HANG


class Shelf:
    """What is served: path -> bytes; and how a path fails, by its first part (`/slow/file`)."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[tuple[str, str]] = []
        self.address = ""


class _Handler(BaseHTTPRequestHandler):
    shelf: Shelf

    def do_GET(self) -> None:
        _, fault, name = self.path.split("/", 2)
        shelf, wanted = self.shelf, self.headers.get("Range", "")
        shelf.asked.append((fault, wanted))
        content = shelf.files.get(name)
        seen = sum(f == fault for f, _ in shelf.asked)
        if content is None or fault == "missing":
            self.send_error(404)
            return
        if fault in ("loop", "no_address"):
            self.send_response(302)
            self.send_header("Location", self.path if fault == "loop" else "http://a..b/file")
            self.end_headers()
            return
        if fault == "empty":
            content = b""
        if fault == "other":
            content = content[::-1]
        tag = '"two"' if fault == "changed" and seen > 1 else '"one"'
        start = 0
        if wanted and fault != "no_ranges" and self.headers.get("If-Range") == tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "text/html" if fault == "page" else "application/octet-stream")
        self.send_header("ETag", tag)
        self.send_header("Content-Length", "some" if fault == "no_number" else str(len(content) - start))
        if fault == "packed":
            self.send_header("Content-Encoding", "gzip")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        part = content[start:]
        if (fault in ("cut", "no_ranges", "changed") and seen == 1) or fault == "always_cut":
            part = part[: len(part) // 2]
        if (fault == "slow" and seen == 1) or fault == "always_slow":
            self.wfile.write(part[: len(part) // 2])
            self.wfile.flush()
            self._wait_until_the_client_is_gone()
            return
        self.wfile.write(part)

    def _wait_until_the_client_is_gone(self) -> None:
        self.connection.settimeout(HANG)
        with suppress(ConnectionError):
            self.connection.recv(1)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Shelf]:
    """A server for the block; `shelf.address` is `http://127.0.0.1:PORT`."""
    shelf = Shelf(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"shelf": shelf}))
    server.daemon_threads = True
    shelf.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
