"""The running app, and what talks to it over plain HTTP. Served by this process, with a cache of its own."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from playground.predictor import Predictor
from playground.settings import Settings


@contextmanager
def running(predictor: Predictor, settings: Settings, cache: Path, *, welcome: bool = False) -> Iterator[str]:
    """Serve the page over a predictor that is ready; gives the address, without a slash at its end.

    Most tests begin with an empty page.
    """
    settings = replace(settings, welcome=welcome)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(cache))  # where Gradio keeps uploads
        from playground.ui.pages import build_app, launch_options
        from playground.ui.server.cleanup import close

        app = build_app(predictor, settings)
        _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, **launch_options(settings))
        try:
            yield url.rstrip("/")
        finally:
            close(app)


class Http:
    """Requests as anybody may send them, without a client library that checks them first."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url}/gradio_api", timeout=60)

    def get(self, path: str) -> httpx.Response:
        return self._http.get(path)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self._http.post(path, json=body)

    def upload(self, name: str, content: bytes) -> httpx.Response:
        return self._http.post("/upload", files={"files": (name, content)})

    def uploaded(self, path: Path) -> str:
        """Upload a file; returns its path on the server."""
        return self.upload(path.name, path.read_bytes()).json()[0]

    def call(self, endpoint: str, *data: Any) -> tuple[str, Any]:
        """Call a public endpoint; returns the last event, "complete" or "error", and what came with it."""
        body = json.dumps({"data": data})  # unlike other encoders, lets NaN pass
        asked = self._http.post(f"/call/{endpoint}", content=body, headers={"Content-Type": "application/json"})
        asked.raise_for_status()
        *_, last = self._http.get(f"/call/{endpoint}/{asked.json()['event_id']}").text.strip().split("\n\n")
        event, content = (line.partition(": ")[2] for line in last.splitlines())
        return event, json.loads(content)

    def functions(self) -> list[dict[str, Any]]:
        """Return what Gradio tells of each function that has inputs, private ones too."""
        config = self._http.get(f"{self.url}/config").json()
        components = {component["id"]: component for component in config["components"]}
        described = []
        for dependency in config["dependencies"]:
            inputs = [components[id_] for id_ in dependency["inputs"]]
            if inputs and dependency["backend_fn"]:
                described.append({"id": dependency["id"], "name": dependency["api_name"], "inputs": inputs})
        return described

    def functions_taking(self, kind: str) -> list[dict[str, Any]]:
        """Return the functions that have an input of a kind."""
        return [row for row in self.functions() if any(part["type"] == kind for part in row["inputs"])]

    def forge(self, function: dict[str, Any], kind: str, value: Any) -> tuple[bool, Any]:
        """Call a function of the page as the page does, with a value of one's own; returns success and the output."""
        data = [value if c["type"] == kind else c["props"].get("value") for c in function["inputs"]]
        return self.join(function, data)

    def join(self, function: dict[str, Any], data: Any) -> tuple[bool, Any]:
        """Call a function of the page with any data at all; returns success, and the output or what is wrong."""
        session = uuid.uuid4().hex
        body = json.dumps({"data": data, "fn_index": function["id"], "session_hash": session})  # lets NaN pass
        asked = self._http.post("/queue/join", content=body, headers={"Content-Type": "application/json"})
        if asked.is_error:
            return False, {"status": asked.status_code, "text": asked.text}
        with self._http.stream("GET", "/queue/data", params={"session_hash": session}) as events:
            for line in events.iter_lines():
                message = json.loads(line.removeprefix("data: ") or "{}")
                if message.get("msg") == "process_completed":
                    return message["success"], message["output"]
        raise AssertionError("the stream of events ended without an answer")
