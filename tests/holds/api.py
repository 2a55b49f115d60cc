"""Call every function of the page and of the API with what nobody should send, over plain HTTP.

    python -m tests.holds.api --count 2000

The public ones must answer or say in a sentence what is wrong. What only the page can call, a forged file, and too many
arguments may be refused by Gradio, without words. No call ends in a failure of the server or takes long, and after all
of them the answer is still right.
"""

import base64
import html
import json
import random
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from playground import paths
from playground.checkpoints.catalog import BUNDLED
from playground.predictor import Predictor
from playground.question import DECODINGS
from playground.settings import Settings
from playground.tasks import TASKS
from tests.holds.command import Order, main
from tests.live import Http, running

SLOWEST_SECONDS = 10.0
PUBLIC = ("run", "export", "tasks")

_PICTURE = paths.EXAMPLES / "beach.png"
_LABELS = ["rocket", "ball", "umbrella"]
_SENTENCE = re.compile(r"[A-Z'\"].{10,}", re.DOTALL)
_MEGABYTE = 2**20


def carry_out(order: Order) -> dict[str, Any]:
    """Send `count` calls to a server of the bundled checkpoint; returns what came of them."""
    predictor = Predictor.load(BUNDLED, device="cpu", offline=True)
    with tempfile.TemporaryDirectory() as cache, running(predictor, Settings(offline=True), Path(cache)) as url:
        return _call(Http(url), order)


def _call(http: Http, order: Order) -> dict[str, Any]:
    deadline, failures = order.deadline(), []
    came: Counter[str] = Counter()
    slowest = 0.0
    picture = {"path": http.uploaded(_PICTURE)}
    functions = [row for row in http.functions() if not row["name"].startswith("wait")]
    for number in range(order.count):
        if time.monotonic() > deadline:
            break
        rng = random.Random(f"{order.seed} {number}")
        function = rng.choice(functions)
        data = _make_data(rng, function, picture)
        began = time.monotonic()
        try:
            is_done, output = http.join(function, data)
            is_ours = function["name"] in PUBLIC and _reaches_us(function, data, picture)
            trouble = _trouble(is_done, output, is_ours=is_ours)
        except Exception as error:
            is_done, trouble = False, f"{type(error).__name__}: {error}"
        took = time.monotonic() - began
        slowest = max(slowest, took)
        came["answered" if is_done else "refused"] += 1
        if took > SLOWEST_SECONDS:
            trouble = f"took {took:.1f} s"
        if trouble:
            failures.append(f"{number} {function['name']}({json.dumps(data)[:300]}): {trouble}")
    if not _answers_right(http, picture):
        failures.append("afterwards the answer is wrong")
    return {"tried": came.total(), **came, "slowest_s": round(slowest, 1), "functions": len(functions),
            "failures": failures}  # fmt: skip


def _reaches_us(function: dict[str, Any], data: Any, picture: dict[str, str]) -> bool:
    """Tell whether Gradio passes a call on: not too many arguments, and no file but the uploaded one."""
    if not isinstance(data, list) or not 0 < len(data) <= len(function["inputs"]) or data[0] != picture:
        return False
    return not any(isinstance(value, dict) and {"path", "url"} & set(value) for value in data[1:])


def _trouble(is_done: bool, output: Any, *, is_ours: bool) -> str:
    if is_done:
        return ""
    if output.get("status", 200) >= 500:
        return f"HTTP {output['status']}: {output['text'][:200]}"
    if not is_ours or "status" in output:
        return ""
    said = output.get("error")
    is_sentence = bool(said and _SENTENCE.fullmatch(html.unescape(said)) and "Traceback" not in said)
    return "" if is_sentence else f"says {said!r}"


def _answers_right(http: Http, picture: dict[str, str]) -> bool:
    event, answer = http.call("run", picture, "<OD>")
    return event == "complete" and [region["label"] for region in answer[0]["regions"]] == _LABELS


def _make_data(rng: random.Random, function: dict[str, Any], picture: dict[str, str]) -> Any:
    """Return the arguments of a call: likely ones, of which some are exchanged, and now and then no list of them."""
    data = [_likely(rng, part, picture) for part in function["inputs"]]
    if rng.random() < 0.05:
        return rng.choice((None, {}, "text", [], data[:-1], [*data, 1]))
    for _ in range(rng.randint(1, 2)):
        data[rng.randrange(len(data))] = _any_value(rng)
    return data


def _likely(rng: random.Random, part: dict[str, Any], picture: dict[str, str]) -> Any:
    label = part["props"].get("label") or ""
    if part["type"] == "image" or label == "image":
        return picture
    if label == "task":
        return rng.choice(TASKS).id
    if label == "regions":
        return [[10, 10, 300, 300]]
    if label == "question":
        return rng.choice((None, None, _forged_question(rng)))
    if label == "prediction":
        return _forged_prediction(rng)
    return part["props"].get("value")


def _any_value(rng: random.Random) -> Any:
    return rng.choice((_junk, _forged_file, _odd_regions, _long_text, _forged_question, _forged_prediction))(rng)


def _junk(rng: random.Random) -> Any:
    return rng.choice((None, True, -1, 0, 1e308, float("nan"), float("inf"), 2**70, "", " ", "\x00", "<od>", "<script>",
                       "\ud800".encode("utf-8", "replace").decode(), [], {}, [[]], [None], {"a": {"b": []}},
                       [[[[[]]]]]))  # fmt: skip


def _forged_file(rng: random.Random) -> Any:
    large = "data:image/png;base64," + base64.b64encode(bytes(21 * _MEGABYTE)).decode() if rng.random() < 0.05 else "x"
    path = rng.choice(("/etc/passwd", "../../etc/passwd", "http://127.0.0.1:1/", "http://169.254.169.254/", "file:///etc",
                       "\x00", "", "a" * 5000, "data:image/png;base64,AAAA", "data:,", large, 5, None, []))  # fmt: skip
    file = {rng.choice(("path", "url")): path}
    return file | {"meta": {"_type": "gradio.FileData"}} if rng.random() < 0.5 else file


def _odd_regions(rng: random.Random) -> Any:
    corner = rng.choice((float("nan"), float("inf"), -1e9, 1e9, None, "5", [], 10))
    region = [corner, 10, 20, rng.choice((10, 30, corner))]
    return rng.choice(([region], [region] * 2000, region, {"boxes": [region]}, [region[:3]], [[*region, 5]]))


def _long_text(rng: random.Random) -> str:
    return rng.choice(("car, " * 200_000, "x" * _MEGABYTE, "<loc_1>" * 100_000, "é中" * 50_000))


def _forged_question(rng: random.Random) -> Any:
    question = {
        "task": rng.choice(TASKS).id, "phrase": "a car", "regions": [[10, 10, 300, 300]], "checkpoint": "",
        "decoding": rng.choice(tuple(DECODINGS)), "max_new_tokens": rng.choice((None, 1, 8)),
    }  # fmt: skip
    if rng.random() < 0.5:
        question[rng.choice((*question, "more"))] = rng.choice((_junk, _odd_regions, _long_text))(rng)
    if rng.random() < 0.1:
        del question["task"]
    return question


def _forged_prediction(rng: random.Random) -> Any:
    region = {"label": "a", "score": rng.choice((None, 0.5, -1, "x")), "xyxy": rng.choice(([1, 1, 9, 9], [9, 9, 1, 1]))}
    asked = rng.choice(({"task": rng.choice(("<OD>", "<b>", 5))}, {"question": _forged_question(rng)}))
    return asked | {
        "checkpoint": "tiny-florence2", "text": "", "raw_text": "",
        "resolution_wh": rng.choice(([900, 900], [0, 0], [10**9, 10**9], "x")), "stage": "done", "is_final": True,
        "regions": [region] * rng.choice((0, 1, 300, 20_000)), "is_draft": False, "is_truncated": False,
        "notices": rng.choice(([], 5)), "timings_ms": rng.choice(({}, [])),
    }  # fmt: skip


if __name__ == "__main__":
    main("api", "Call every function with what nobody should send.", carry_out, count=2000)
