"""One visitor floods one door after another; others go on as if nothing were, and the server stays small.

    python -m tests.holds.floods --count 60

A server of its own, of the bundled checkpoint, is asked through a proxy that it trusts. While the attacker sends as
much as can be had at once, for 20 seconds a door (`--seconds` bounds all of them), others open the page, ask for its
state, change their picture and save an answer: in the middle within a second, and never in more than three. The
server's own memory stays under 1.2 GB, and afterwards it answers.
"""

import base64
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx

from playground import paths
from playground.checkpoints.catalog import BUNDLED
from tests.holds import intake
from tests.holds.command import Order, main

MEDIAN_SECONDS, WORST_SECONDS = 1.0, 3.0
MOST_MEMORY_MB = 1200
_SECONDS_A_DOOR = 20.0
_ATTACKER = {"X-Forwarded-For": "203.0.113.9"}
_ELSEWHERE = "127.0.0.2"  # an attacker who comes by no proxy
_PICTURE = paths.EXAMPLES / "meadow.png"
_MEGABYTE = 1_000_000
_PROCESSES = get_context("forkserver")  # of which each begins with what is imported here
_PROCESSES.set_forkserver_preload([__name__])


def carry_out(order: Order) -> dict[str, Any]:
    """Attack each door; returns the latencies of others, the memory of the server, and what failed."""
    seconds = min(_SECONDS_A_DOOR, order.seconds / len(ATTACKS))
    failures: list[str] = []
    figures: dict[str, Any] = {}
    with _server() as (url, server):
        before = _memory(server, "VmRSS")
        for name, attack in ATTACKS.items():
            figures[name] = _attack(url, attack, order.count, seconds)
            if figures[name]["median_s"] > MEDIAN_SECONDS or figures[name]["worst_s"] > WORST_SECONDS:
                failures.append(f"{name}: others waited {figures[name]}")
            failures += [f"{name}: {trouble}" for trouble in figures[name].pop("troubles")]
        peak = _memory(server, "VmHWM")
        if peak > MOST_MEMORY_MB:
            failures.append(f"the server took {peak} MB")
        if Visitor(url, "203.0.113.99").run() != "complete":
            failures.append("afterwards nobody gets an answer")
        after = _memory(server, "VmRSS")
    return {**figures, "memory_mb": {"before": before, "peak": peak, "after": after}, "failures": failures}


@contextmanager
def _server() -> Iterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = os.environ | {"PLAYGROUND_TRUSTED_PROXIES": "127.0.0.1", "CUDA_VISIBLE_DEVICES": ""}
    # On all addresses of this machine, so that somebody can come by no proxy.
    command = [sys.executable, "-m", "playground", "--offline", "--checkpoint", BUNDLED, "--host", "0.0.0.0",
               "--port", str(port)]  # fmt: skip
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environ, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with suppress(httpx.HTTPError):
                if Visitor(url, "203.0.113.98").run() == "complete":
                    break
            time.sleep(0.3)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _memory(pid: int, what: str) -> int:
    """Return the megabytes of a process, from what Linux tells of it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1000 for line in lines if line.startswith(what))


class Visitor:
    """Somebody with an address of their own, who does what a page does, and measures how long it takes."""

    def __init__(self, url: str, address: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"X-Forwarded-For": address}, timeout=60)
        self.session = uuid.uuid4().hex
        self.waited: list[tuple[float, str]] = []  # for which deed
        self.troubles: list[str] = []

    def functions(self) -> dict[str, dict[str, Any]]:
        """Return what can be called, by name."""
        config = self.http.get("/config").json()
        components = {row["id"]: row for row in config["components"]}
        return {
            row["api_name"]: {"id": row["id"], "inputs": [components[id_] for id_ in row["inputs"]]}
            for row in config["dependencies"]
            if row["backend_fn"]
        }

    def upload(self, name: str, content: bytes) -> str:
        answer = self.http.post("/gradio_api/upload", files={"files": (name, content)})
        path: str = answer.raise_for_status().json()[0]
        return path

    def call_at_once(self, function: dict[str, Any], picture: str = "", session: str = "") -> httpx.Response:
        """Call a function of the page past the queue."""
        body = {"data": data_of(function, picture), "fn_index": function["id"], "session_hash": session or self.session}
        return self.http.post("/gradio_api/run/predict", json=body)

    def call(self, endpoint: str, data: list[Any]) -> str:
        """Call a public endpoint; returns how it ended."""
        asked = self.http.post(f"/gradio_api/call/{endpoint}", json={"data": data})
        asked.raise_for_status()
        said = self.http.get(f"/gradio_api/call/{endpoint}/{asked.json()['event_id']}").text
        return said.strip().split("\n\n")[-1].partition("\n")[0].removeprefix("event: ")

    def run(self) -> str:
        return self.call("run", [file(self.upload(_PICTURE.name, _PICTURE.read_bytes())), "<OD>"])

    def go_on(self, is_over: Callable[[], bool]) -> None:
        """Do what people do until an attack is over."""
        functions = self.functions()
        picture = self.upload(_PICTURE.name, _PICTURE.read_bytes())
        poll, take = (
            next(functions[name] for name in functions if name.startswith(what)) for what in ("poll", "take_picture")
        )
        deeds: dict[str, Callable[[], Any]] = {
            "page": lambda: self.http.get("/").raise_for_status(),
            "state": lambda: self.call_at_once(poll).raise_for_status(),
            "picture": lambda: self.call_at_once(take, picture).raise_for_status(),
            "file": lambda: _expect("complete", self.call("export", [file(picture), _prediction(1), "json"])),
        }
        for deed in itertools.cycle(deeds):
            began = time.monotonic()
            try:
                deeds[deed]()
            except Exception as error:
                self.troubles.append(f"{deed}: {type(error).__name__}: {error}"[:200])
            self.waited.append((time.monotonic() - began, deed))
            if is_over() and len(self.waited) >= len(deeds):
                return
            time.sleep(0.05)


def _expect(expected: str, got: str) -> None:
    if got != expected:
        raise ValueError(f"ended with {got}")


def file(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def function_named(functions: dict[str, dict[str, Any]], what: str) -> dict[str, Any]:
    """Return the function of a handler; Gradio numbers those of one name."""
    return next(function for name, function in functions.items() if name.startswith(what))


def data_of(function: dict[str, Any], picture: str) -> list[Any]:
    return [file(picture) if part["type"] == "image" else part["props"].get("value") for part in function["inputs"]]


def _prediction(num_regions: int) -> dict[str, Any]:
    """A prediction about the picture, as nobody has made it."""
    region = {"label": "a", "score": 0.5, "xyxy": [1.0, 1.0, 700.0, 700.0]}
    return {
        "task": "<OD>", "checkpoint": BUNDLED, "text": "", "raw_text": "", "resolution_wh": [720, 720], "stage": "done",
        "is_final": True, "regions": [region] * num_regions, "is_draft": False, "is_truncated": False, "notices": [],
        "timings_ms": {},
    }  # fmt: skip


def _attack(url: str, attack: "Attack", count: int, seconds: float) -> dict[str, Any]:
    others = [Visitor(url, f"203.0.113.{20 + number}") for number in range(2)]
    attacker = _PROCESSES.Process(target=attack, args=(url, count, seconds))
    attacker.start()
    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(lambda other: other.go_on(lambda: not attacker.is_alive()), others))
    attacker.join()
    waited = [one for other in others for one in other.waited]
    worst, deed = max(waited)
    return {
        "others": len(waited), "median_s": round(statistics.median(took for took, _ in waited), 2),
        "worst_s": round(worst, 2), "worst": deed,
        "troubles": [trouble for other in others for trouble in other.troubles],
    }  # fmt: skip


# --- The attacker, in a process of its own

Attack = Callable[[str, int, float], None]


def _again_and_again(count: int, seconds: float, deed: Callable[[httpx.Client, int], Any], url: str) -> None:
    """Do something `count` times at once, and over and over again until the time is up."""
    until = time.monotonic() + seconds

    def repeat(number: int) -> None:
        with httpx.Client(base_url=f"{url}/gradio_api", headers=_ATTACKER, timeout=seconds + 5) as http:
            while time.monotonic() < until:
                with suppress(httpx.HTTPError):
                    deed(http, number)

    threads = [threading.Thread(target=repeat, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))  # who still waits for an answer goes away


def bodies(url: str, count: int, seconds: float) -> None:
    """Send JSON and forms as large as they may be, and larger, with as many parts."""
    picture = base64.b64encode(bytes(17 * _MEGABYTE)).decode()
    calls = [
        json.dumps({"data": [{"url": f"data:image/png;base64,{picture}"}, "<OD>"]}).encode(),
        b'{"data": ["' + b"a" * 80 * _MEGABYTE + b'"]}',
        b'{"data": [' + b"[]," * 90_000 + b"[]]}",
    ]
    line = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    forms = [
        b"".join(line % (b"t", b"a" * 60_000) for _ in range(900)) + b"--x--\r\n",
        b"".join(line % (b'files"; filename="a.png', b".") for _ in range(990)) + b"--x--\r\n",
    ]

    def send(http: httpx.Client, number: int) -> None:
        if number % 5 < len(calls):
            http.post("/call/run", content=calls[number % 5])
        else:
            form = forms[number % 5 - len(calls)]
            http.post("/upload", content=form, headers={"Content-Type": "multipart/form-data; boundary=x"})

    _again_and_again(count // 3, seconds, send, url)


def pictures(url: str, count: int, seconds: float) -> None:
    """Change to the dearest of pictures, past the queue."""
    visitor = Visitor(url, _ATTACKER["X-Forwarded-For"])
    functions = visitor.functions()
    take = function_named(functions, "take_picture")
    uploaded = [visitor.upload(make.__name__, make()) for make in (intake.webp_without_loss, intake.tiff_of_31_bits)]

    def change(http: httpx.Client, number: int) -> None:
        data = data_of(take, uploaded[number % len(uploaded)])
        http.post("/run/predict", json={"data": data, "fn_index": take["id"], "session_hash": uuid.uuid4().hex})

    _again_and_again(count, seconds, change, url)


def exports(url: str, count: int, seconds: float) -> None:
    """Save a thousand regions drawn, and never come for the file."""
    visitor = Visitor(url, _ATTACKER["X-Forwarded-For"])
    data = [file(visitor.upload(_PICTURE.name, _PICTURE.read_bytes())), _prediction(1000)]

    def save(http: httpx.Client, number: int) -> None:
        http.post("/call/export", json={"data": [*data, ("png", "crops", "coco", "overlay")[number % 4]]})

    _again_and_again(count, seconds, save, url)


def connections(url: str, count: int, seconds: float) -> None:
    """Hold what can be held: half-sent headers, silence, heartbeats, bodies of which a byte comes now and then."""
    where = httpx.URL(url)
    begun = [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ",
        b"",
        b"GET /gradio_api/heartbeat/%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /gradio_api/call/run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{",
        b"nonsense\r\n\r\n",
    ]
    until, held = time.monotonic() + seconds, []
    for number in range(count * 20):
        with suppress(OSError):
            source = (_ELSEWHERE, 0) if number % 2 else None
            one = socket.create_connection((str(where.host), where.port or 80), 5, source)
            one.sendall(begun[number % len(begun)].replace(b"%d", b"%d" % number))
            held.append(one)
    time.sleep(max(0.0, until - time.monotonic()))


def names(url: str, count: int, seconds: float) -> None:
    """Call small functions, each time as a session of another name."""
    functions = Visitor(url, _ATTACKER["X-Forwarded-For"]).functions()
    poll = function_named(functions, "poll")

    def ask(http: httpx.Client, number: int) -> None:
        body = {"data": data_of(poll, ""), "fn_index": poll["id"], "session_hash": uuid.uuid4().hex}
        http.post("/queue/join" if number % 8 == 0 else "/run/predict", json=body)

    _again_and_again(count, seconds, ask, url)


ATTACKS: dict[str, Attack] = {
    "bodies": bodies, "pictures": pictures, "exports": exports, "connections": connections, "names": names,
}  # fmt: skip


if __name__ == "__main__":
    main("floods", "Let one visitor flood one door after another.", carry_out, count=60)
