"""The MCP server as a language model's client sees it: the tools, their answers, and what they refuse."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client

from playground import paths
from playground.predictor import Predictor
from playground.settings import Settings
from playground.tasks import TASKS
from tests.live import running

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


def test_there_are_two_tools(tools):
    assert sorted(tools.list()) == ["ask_florence2", "list_tasks"]


def test_the_schema_says_what_a_region_is(tools):
    schema = tools.list()["ask_florence2"].inputSchema
    assert schema["required"] == ["image"]
    assert schema["properties"]["regions"]["type"] == "array"
    assert schema["properties"]["regions"]["items"] == {"type": "array", "items": {"type": "number"}}


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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param({"task": "<REGION_TO_CATEGORY>"}, "Mark a region", id="no region"),
        pytest.param({"task": "<OPEN_VOCABULARY_DETECTION>"}, "Type the names of the things to find", id="no phrase"),
        pytest.param({"image": "/etc/passwd"}, "Invalid file data format", id="a file of the server"),
    ],
)
def test_a_refusal_is_a_sentence(tools, beach, arguments, sentence):
    is_refused, text = tools.call("ask_florence2", **{"image": beach, **arguments})
    assert is_refused
    assert text.startswith(sentence)
