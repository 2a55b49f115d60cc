"""The MCP server as a language model's client sees it: the tools, their answers, and what they refuse."""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import mcp
import pytest
from gradio_client import client
from mcp.client.streamable_http import streamable_http_client

from playground import paths
from playground.predictor import Predictor
from playground.question import Question
from playground.settings import Settings
from playground.tasks import TASKS
from playground.ui.api import Api
from playground.ui.server import queue_limits
from playground.ui.server.tools import offer_only_tools
from tests.live import running
from tests.ui.doubles import ScriptedPredictor

UMBRELLA = [477, 516, 770, 814]  # in beach.png, with a rocket and a ball


class Tools:
    """A client that opens a session of its own for every request."""

    def __init__(self, address: str) -> None:
        self._address = address

    def list(self) -> dict[str, Any]:
        return {tool.name: tool for tool in self._request("list_tools").tools}

    def call(self, name: str, **arguments: Any) -> tuple[bool, str]:
        """Call a tool; returns whether it is refused, and its one text."""
        result = self._request("call_tool", name, arguments)
        (content,) = result.content
        return result.isError, content.text

    def _request(self, method: str, *arguments: Any) -> Any:
        async def request() -> Any:
            async with (
                streamable_http_client(self._address) as (reader, writer, _),
                mcp.ClientSession(reader, writer) as session,
            ):
                await session.initialize()
                return await getattr(session, method)(*arguments)

        return asyncio.run(request())


@pytest.fixture(scope="module")
def url(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(predictor, Settings(offline=True, mcp=True), tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module")
def tools(url: str) -> Tools:
    return Tools(f"{url}/gradio_api/mcp/")


@pytest.fixture(scope="module")
def beach() -> str:
    return "data:image/png;base64," + base64.b64encode((paths.EXAMPLES / "beach.png").read_bytes()).decode()


def test_the_client_by_which_a_tool_is_asked_knows_no_hub(monkeypatch):
    monkeypatch.setattr(client, "build_hf_headers", lambda **_: pytest.fail("the hub would be asked"))
    offer_only_tools()
    assert client.build_hf_headers(token=None) == {}


def test_there_are_two_tools(tools):
    assert sorted(tools.list()) == ["ask_florence2", "list_tasks"]


@pytest.mark.parametrize("name", ["run", "tasks", "export", "take_picture", "run_on_page"])
def test_what_is_no_tool_is_not_called(tools, url, name):
    is_refused, text = tools.call(name)
    assert is_refused
    assert text == f"Unknown tool for this Gradio app: {name}"
    assert name not in {tool["name"] for tool in httpx.get(f"{url}/gradio_api/mcp/schema").json()}


def test_the_schema_says_what_a_region_is(tools):
    schema = tools.list()["ask_florence2"].inputSchema
    assert schema["required"] == ["image"]
    assert schema["properties"]["regions"]["type"] == "array"
    assert schema["properties"]["regions"]["items"] == {"type": "array", "items": {"type": "number"}}


def test_what_a_question_has_beside_is_told_in_the_schema_and_asked(tools, beach):
    options = tools.list()["ask_florence2"].inputSchema["properties"]["options"]
    assert {*options["properties"], "task", "phrase", "regions"} == {field.name for field in fields(Question)}
    asked = {"image": beach, "task": "<OPEN_VOCABULARY_DETECTION>", "options": {"names": {"umbrella": "parasol"}}}
    is_refused, text = tools.call("ask_florence2", **asked)
    assert (is_refused, json.loads(text)["text"]) == (False, "parasol")
    is_refused, text = tools.call("ask_florence2", image=beach, options={"names": {"umbrella": ""}})
    assert is_refused
    assert "gives no name" in text
    is_refused, text = tools.call("ask_florence2", image=beach, options={"min_scores": 1})
    assert (is_refused, json.loads(text)["regions"]) == (False, [])


def test_the_schema_lists_the_tasks(tools):
    schema = tools.list()["ask_florence2"].inputSchema["properties"]
    assert schema["task"]["enum"] == [task.id for task in TASKS]
    assert schema["image"]["type"] == "string"
    assert "path of a file" in schema["image"]["description"]
    assert [row["description"][-1] for row in schema.values()] == ["."] * 5, "a description is cut off"


def test_a_file_of_this_machine_is_opened_for_its_one_user(tools):
    is_refused, text = tools.call("ask_florence2", image=str(paths.EXAMPLES / "beach.png"))
    assert (is_refused, json.loads(text)["resolution_wh"]) == (False, [900, 900])


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        pytest.param(Settings(host="0.0.0.0"), {}, id="others can connect"),
        pytest.param(Settings(), {"X-Forwarded-For": "192.0.2.1"}, id="behind a proxy"),
        pytest.param(Settings(trusted_proxies="10.0.0.1"), {}, id="a trusted proxy"),
    ],
)
def test_no_file_is_opened_for_others(settings, headers):
    api = Api(ScriptedPredictor(), settings)
    with pytest.raises(gr.Error, match="This server opens no file for others"):
        api.ask_florence2(str(paths.EXAMPLES / "beach.png"), request=SimpleNamespace(headers=headers))


def test_tasks_are_listed_as_json_the_same_as_by_the_api(tools, url):
    is_refused, text = tools.call("list_tasks")
    assert not is_refused
    assert [row["id"] for row in json.loads(text)] == [task.id for task in TASKS]
    asked = httpx.post(f"{url}/gradio_api/call/tasks", json={"data": []}).json()
    answer = httpx.get(f"{url}/gradio_api/call/tasks/{asked['event_id']}").text
    assert json.loads(answer.strip().rpartition("data: ")[2]) == [json.loads(text)]


def test_an_answer_is_json_with_boxes(tools, beach):
    is_refused, text = tools.call("ask_florence2", image=beach)
    assert not is_refused
    prediction = json.loads(text)
    assert prediction["is_final"]
    assert prediction["resolution_wh"] == [900, 900]
    assert sorted(region["label"] for region in prediction["regions"]) == ["ball", "rocket", "umbrella"]
    (umbrella,) = (region["xyxy"] for region in prediction["regions"] if region["label"] == "umbrella")
    assert umbrella == pytest.approx(UMBRELLA, abs=30)


def test_a_region_is_asked_about(tools, beach):
    is_refused, text = tools.call("ask_florence2", image=beach, task="<REGION_TO_CATEGORY>", regions=[UMBRELLA])
    assert not is_refused
    assert json.loads(text)["text"] == "umbrella"


def test_a_tool_is_asked_in_the_name_of_its_visitor(url, beach, monkeypatch):
    asked = []
    monkeypatch.setattr(queue_limits, "_visitor", lambda session, request: {asked.append(request.client.host) or "one"})
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "ask_florence2", "arguments": {"image": beach}}}  # fmt: skip
    headers = {"Accept": "application/json, text/event-stream", "X-Playground-Visitor": "mine 203.0.113.9"}
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"), timeout=60) as elsewhere:
        answer = elsewhere.post(f"{url}/gradio_api/mcp/", json=call, headers=headers)
    assert "umbrella" in answer.text
    assert set(asked) == {"127.0.0.2"}


def test_a_tool_that_finds_no_place_in_the_queue_says_why(tools, beach, monkeypatch):
    waiting = SimpleNamespace(concurrency_id="model", session_hash="", request=None)
    monkeypatch.setattr(queue_limits, "_events", lambda queue: [waiting, waiting])
    monkeypatch.setattr(queue_limits, "_num_bytes", lambda request: 0)
    monkeypatch.setattr(queue_limits, "_visitor", lambda session, request: {"one"})
    is_refused, text = tools.call("ask_florence2", image=beach)
    assert (is_refused, text[:45]) == (True, "You have 2 questions in the queue already. Wa")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param({"task": "<REGION_TO_CATEGORY>"}, "Mark a region", id="no region"),
        pytest.param({"task": "<OPEN_VOCABULARY_DETECTION>"}, "Type the names of the things to find", id="no phrase"),
        pytest.param({"image": "/etc/passwd"}, "This file is no picture of a kind", id="no picture"),
        pytest.param({"image": "/no/such.png"}, "No picture at 'such.png'", id="no file"),
        pytest.param({"image": "such.png"}, "The path of a picture must be a whole one", id="half a path"),
        pytest.param({"image": "http://127.0.0.1:1/a.png"}, "No picture is fetched from an address", id="an address"),
        pytest.param({"prompt": "x"}, "ask_florence2 takes no 'prompt'. It takes image, task, ", id="no argument"),
        pytest.param({"options": {"task": "<OD>"}}, "task is an argument of its own. Leave it out", id="twice"),
        pytest.param({"image": "data:image/png;base64,§"}, "The picture's data URL is not valid", id="no base64"),
    ],
)
def test_a_refusal_is_a_sentence(tools, beach, arguments, sentence):
    is_refused, text = tools.call("ask_florence2", **{"image": beach, **arguments})
    assert is_refused
    assert text.startswith(sentence)
