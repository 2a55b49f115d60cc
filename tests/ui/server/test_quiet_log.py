"""Nothing of a visitor is logged: a real server is asked wrongly in every way, and all that it writes is searched."""

import base64
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live import Http
from tests.ui.examples import BEACH

ROOT = Path(__file__).resolve().parents[3]
CANARY = "Qx7Canary"
FORGED = f"{CANARY}\nFORGED line"
DATA_URL = "data:image/png;base64," + base64.b64encode(CANARY.encode() * 40).decode()
# What of it a log could hold: the word, and what it is as base64.
TRACES = re.compile(f"{CANARY}|FORGED|{re.escape(DATA_URL[22:60])}", re.IGNORECASE)
WRONG: tuple[Any, ...] = (
    FORGED,
    {"path": DATA_URL, "meta": {"_type": "gradio.FileData"}},
    {"path": f"/{FORGED}", "meta": {"_type": "gradio.FileData"}},
    {"path": f"http://127.0.0.1:1/{FORGED}", "meta": {"_type": "gradio.FileData"}},
    {CANARY: [CANARY]},
    float("nan"),
)

SOME_WRONG = WRONG[:2]  # of which there is one of each kind: a text, and a file


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program as a process, and its address."""
    command = [sys.executable, "app.py", "--offline", "--checkpoint", "tiny-florence2"]
    environ = os.environ | {"PLAYGROUND_CACHE_FOLDER": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    # Tests that run under nohup ignore this signal, and so would the program, as it is meant to.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL) if hasattr(signal, "SIGHUP") else None
    process = subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if before is not None:
        signal.signal(signal.SIGHUP, before)
    try:
        assert process.stdout
        yield process, next(line.split()[-1] for line in process.stdout if "http://" in line)
    finally:
        process.kill()
        process.wait()


def each_handler(http: Http) -> list[dict[str, Any]]:
    """Return a function of each handler: those of its other events differ by a number behind their name."""
    kinds = {(re.sub(r"_\d+$", "", row["name"]), len(row["inputs"])): row for row in http.functions()}
    return list(kinds.values())


def ask_wrongly(http: Http, uploaded: str) -> int:
    """Call every handler with wrong values, in all its inputs, and of those of the API in one at a time."""
    count = 0
    for function in each_handler(http):
        inputs = function["inputs"]
        is_public = function["name"] in ("run", "export", "find_more", "sharpen", "annotate", "job", "tasks")
        rows: list[list[Any]] = [[wrong] * len(inputs) for wrong in (WRONG if is_public else SOME_WRONG)]
        rows += [[CANARY]] if is_public else []  # too few: Gradio refuses that before it knows whom it was for
        right = [part["props"].get("value") for part in inputs]
        right = [
            {"path": uploaded} if part["type"] == "image" else value for part, value in zip(inputs, right, strict=True)
        ]
        if function["name"] in ("run", "export"):
            rows += [[*right[:i], wrong, *right[i + 1 :]] for i in range(len(inputs)) for wrong in SOME_WRONG]
        for row in rows:
            http.join(function, row)
            count += 1
    return count


def ask_badly(url: str) -> None:
    """Send what is no request of a page at all."""
    with httpx.Client(base_url=url, timeout=60) as client:
        client.get(f"/gradio_api/file=/{CANARY}%0aFORGED")
        client.get(f"/{CANARY}%0aFORGED", headers={"X-Forwarded-For": CANARY, "User-Agent": CANARY})
        client.post("/gradio_api/queue/join", content=f'{{"data": "{CANARY}')
        client.post("/gradio_api/queue/join", json={"data": [CANARY], "fn_index": 9999, "session_hash": CANARY})
        client.post("/gradio_api/run/" + CANARY, json={"data": [CANARY]})
        client.post("/gradio_api/upload", content=CANARY, headers={"Content-Type": "multipart/form-data; boundary=x"})
        client.post("/gradio_api/upload", files={CANARY: (f"{CANARY}.png", CANARY.encode())})
        client.post("/gradio_api/upload", data={"files": CANARY}, files={"other": b""})
    host, _, port = url.removeprefix("http://").partition(":")
    for raw in (
        f"GET /{CANARY} FORGED\r\n\r\n",
        f"POST /gradio_api/upload HTTP/1.1\r\nContent-Length: 99\r\n\r\n{CANARY}",
    ):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(raw.encode())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals.")
def test_nothing_of_a_visitor_is_logged_by_any_way_in(
    server: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, url = server
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True)
    reader.start()
    http = Http(url)
    uploaded = http.upload(f"{CANARY}.png", BEACH.read_bytes()).json()[0]
    assert ask_wrongly(http, uploaded) > 100
    ask_badly(url)
    event, answer = http.call("run", {"path": uploaded}, "<OPEN_VOCABULARY_DETECTION>", CANARY)
    assert (event, answer[0]["question"]["phrase"]) == ("complete", CANARY)
    process.send_signal(signal.SIGHUP)
    process.wait(timeout=60)
    reader.join(timeout=10)
    assert not TRACES.search(output := "".join(said)), output
    assert "Traceback" not in output
    assert list(tmp_path.iterdir()) == []  # SIGHUP ends it as Ctrl+C does: nothing stays
