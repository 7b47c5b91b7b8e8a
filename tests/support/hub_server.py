"""As much of Hugging Face's service as pushing and pulling small files takes, on this machine's loopback address."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

COMMIT = "0" * 39 + "1"


class HubServer(ThreadingHTTPServer):
    """repos: (kind, name) -> {file: content}; created: what the requests that made them said."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[tuple[str, str], dict[str, bytes]] = {}
        self.created: list[dict[str, object]] = []
        self.token = "secret"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, status: int, body: object = None, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        length = headers.pop("length", str(len(content)))
        for name, value in {"Content-Length": length, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _parts(self) -> tuple[str, str, list[str]]:
        """(kind, repository, the rest) of an address."""
        parts = [unquote(p) for p in urlparse(self.path).path.strip("/").split("/")]
        parts = parts[1:] if parts[0] == "api" else parts
        kind = "dataset" if parts[0] == "datasets" else "model"
        parts = parts[1:] if parts[0] in ("datasets", "models") else parts
        return kind, "/".join(parts[:2]), parts[2:]

    def do_GET(self) -> None:
        kind, name, rest = self._parts()
        files = self.server.repos.get((kind, name))
        if files is None:
            self._answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        elif rest[:1] == ["resolve"]:
            content = files.get(rest[-1])
            if content is None:
                self._answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
            else:
                tag = hashlib.sha1(content).hexdigest()
                self._answer(200, content, ETag=f'"{tag}"', X_Repo_Commit=COMMIT, length=str(len(content)))
        elif rest[:1] == ["tree"]:
            self._answer(200, [{"type": "file", "path": n, "size": len(c), "oid": "1"} for n, c in files.items()])
        else:
            siblings = [{"rfilename": n} for n in files]
            self._answer(200, {"id": name, "sha": COMMIT, "siblings": siblings, "private": True, "tags": []})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._answer(401, {"error": "Invalid credentials"})
            return
        if self.path.endswith("/repos/create"):
            told = json.loads(body)
            kind = told.get("type") or "model"
            name = f"{told['organization']}/{told['name']}" if told.get("organization") else f"me/{told['name']}"
            self.server.created.append(told)
            self.server.repos.setdefault((kind, name), {})
            self._answer(200, {"url": f"{self.server.url}/{name}", "name": name})
            return
        if self.path.endswith("/validate-yaml"):
            self._answer(200, {"errors": [], "warnings": []})
            return
        kind, name, rest = self._parts()
        if rest[0] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            self._answer(200, {"files": files, "commitOid": COMMIT})
            return
        for line in body.splitlines():
            step = json.loads(line)
            if step["key"] == "file":
                self.server.repos[kind, name][step["value"]["path"]] = base64.b64decode(step["value"]["content"])
        self._answer(
            200, {"success": True, "commitOid": COMMIT, "commitUrl": f"{self.server.url}/{name}/commit/{COMMIT}"}
        )
