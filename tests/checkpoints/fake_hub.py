"""A hub of a few lines on the loopback, which can do what the real one does on its worst days."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from huggingface_hub import constants

from playground.checkpoints.catalog import BUNDLED, resolve

SHA = "a" * 40


class FakeHub(ThreadingHTTPServer):
    """Serves one repository, `me/tiny`, in the way of the hub: main is at SHA, and no other revision is known.

    `others` are repositories that a search finds beside it, each a folder; `tags` are those of each by its name.
    """

    daemon_threads = True
    repository = "me/tiny"

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.folder = folder
        self.status = 200
        self.error_code = ""
        self.hangs_at = ""  # a request whose path ends so waits
        self.cuts_at = ""  # a file whose path ends so is sent by half, then nothing
        self.released = threading.Event()
        self.requests: list[str] = []
        self.num_bytes_sent = 0
        self.others: dict[str, Path] = {}
        self.tags: dict[str, list[str]] = {}

    @property
    def repositories(self) -> dict[str, Path]:
        return {self.repository: self.folder, **self.others}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: FakeHub

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.server, unquote(urlsplit(self.path).path)
        repository = next((name for name in hub.repositories if f"/{name}/" in f"{path}/"), hub.repository)
        folder = hub.repositories[repository]
        hub.requests.append(f"{self.command} {path}")
        if hub.hangs_at and path.endswith(hub.hangs_at):
            hub.released.wait(30)
        revision, _, file_name = path.removeprefix(f"/{repository}/resolve/").partition("/")
        if hub.status != 200:
            self._send(hub.status, error_code=hub.error_code)
        elif path == "/api/models":
            self._send_found()
        elif path.startswith(f"/api/models/{repository}"):
            self._send_listing(repository, path.partition("/revision/")[2] or "main")
        elif revision in ("main", SHA) and (folder / file_name).is_file():
            self._send_file((folder / file_name).read_bytes(), f"{file_name}-1")
        else:
            self._send(404, error_code="RepoNotFound")

    def _send_file(self, content: bytes, etag: str) -> None:
        wanted = re.fullmatch(r"bytes=0-(\d+)", self.headers.get("Range", ""))
        if wanted and int(wanted[1]) + 1 < len(content):
            self._send(206, content[: int(wanted[1]) + 1], etag=etag)
        else:
            self._send(200, content, etag=etag)

    def _send_found(self) -> None:
        """Answer a search as the hub does, with what is asked for by `expand`."""
        hub = self.server
        asked = parse_qs(urlsplit(self.path).query)
        assert asked["filter"] == ["florence2"]
        found = [
            {"id": name, "lastModified": "2024-11-04T10:00:00.000Z", "tags": hub.tags.get(name, []),
             "siblings": [{"rfilename": path.name} for path in sorted(folder.iterdir())]}
            for name, folder in hub.repositories.items()
            if asked["search"][0].lower() in name.lower()
        ]  # fmt: skip
        self._send(200, json.dumps(found).encode())

    def _send_listing(self, repository: str, revision: str) -> None:
        if revision not in ("main", SHA):
            self._send(404, error_code="RevisionNotFound")
            return
        files = [
            {"rfilename": path.name, "size": path.stat().st_size}
            for path in self.server.repositories[repository].iterdir()
        ]
        self._send(200, json.dumps({"id": repository, "sha": SHA, "siblings": files}).encode())

    def _send(self, status: int, body: bytes = b"", *, etag: str = "", error_code: str = "") -> None:
        self.send_response(status)
        headers = {"Content-Length": len(body), "ETag": etag and f'"{etag}"', "X-Error-Code": error_code}
        for name, value in {**headers, "X-Repo-Commit": SHA}.items():
            if value != "":
                self.send_header(name, str(value))
        self.end_headers()
        self.server.num_bytes_sent += len(body)
        if self.command == "HEAD":
            return
        if self.server.cuts_at and self.path.endswith(self.server.cuts_at):
            self.wfile.write(body[: len(body) // 2])
            self.server.released.wait(30)
        else:
            self.wfile.write(body)


@contextmanager
def serving_hub(folder: Path) -> Iterator[FakeHub]:
    """Serve a folder until the end; one that is not there is made, a copy of the bundled checkpoint."""
    if not folder.exists():
        unserved = shutil.ignore_patterns("playground.json", "RECIPE.json", "*.md")
        shutil.copytree(resolve(BUNDLED).source, folder, ignore=unserved)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # which would ask the real hub
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        server = FakeHub(folder)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            server.server_close()
