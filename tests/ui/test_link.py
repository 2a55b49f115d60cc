"""Links that open the page with a question, and questions as programs that run as they are copied."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from playground.paths import EXAMPLES
from playground.question import Question
from playground.tasks import TASKS
from playground.ui import snippets
from playground.ui.link import Link, link_to
from playground.ui.one_picture.linked import not_here
from playground.ui.session import Item
from tests.ui.examples import MEADOW

ODD = Question("<OPEN_VOCABULARY_DETECTION>", """it's a "tree", kite & <b>""", names={"kite": "toy"}, max_new_tokens=99)
REGIONS = Question("<REGION_TO_CATEGORY>", regions=[[1, 2.5, 30, 40]], checkpoint="florence-2-base", decoding="careful")


@pytest.mark.parametrize(
    "link",
    [
        pytest.param(Link(Question("<OD>")), id="plain"),
        pytest.param(Link(ODD, seed=0), id="a drawn scene, and a phrase that no address can hold"),
        pytest.param(Link(REGIONS, example=EXAMPLES / "room.png"), id="an example, and regions"),
        pytest.param(Link(ODD, example=EXAMPLES / "photographs" / "coffee.jpg"), id="a photograph"),
    ],
)
def test_a_link_is_read_as_it_was_written(link: Link) -> None:
    assert Link.read(f"?{link.write()}") == link


NO_LINKS = [
    "", "?", "?seed=5", "?phrase=x", "?task=", "?task=<OD>&seed=-1", "?task=%ff&seed=1e3", "?task=<OD>&regions=[[1,2",
    "?task=<OD>&example=../../etc/passwd&max_new_tokens=[]", f"?task=<OD>&seed={'9' * 5000}",
    f"?task=<OD>&names={'[' * 9000}",
]  # fmt: skip


@pytest.mark.parametrize("query", NO_LINKS)
def test_whatever_a_link_is_it_names_no_file_and_raises_nothing(query: str) -> None:
    link = Link.read(query)
    assert link is None or (link.seed, link.example) == (None, None)


LOST = {
    "task=<OD>": "",
    "task=<OD>&seed=5&checkpoint=tiny-florence2": "",
    "task=<FOO>&example=meadow": "the task '<FOO>'",
    "task=<OD>&checkpoint=none-such": "the checkpoint 'none-such'",
    "task=<OD>&example=none-such": "a picture",
    "task=<FOO>&checkpoint=none-such&seed=x": "the task '<FOO>' and the checkpoint 'none-such' and a picture",
}


@pytest.mark.parametrize(("query", "missing"), LOST.items())
def test_what_a_link_asks_for_that_is_not_here_is_said(query: str, missing: str) -> None:
    link = Link.read(query)
    assert link
    said = not_here(link, query, TASKS, [("Tiny", "tiny-florence2")])
    assert [line["text"].split(", which")[0] for line in said] == ([f"This link asks for {missing}"] if missing else [])


@pytest.mark.parametrize(("query", "is_told"), [("?task=", True), ("?task=<OD>&regions=[[1,2", True), ("?a=b", False)])
def test_a_link_whose_question_cannot_be_read_is_told_of(query: str, is_told: bool) -> None:
    assert bool(not_here(Link.read(query), query, TASKS, [])) is is_told


def test_a_link_never_holds_a_picture_of_ones_own(tmp_path: Path) -> None:
    mine = shutil.copy(MEADOW, tmp_path / "room.png")
    assert link_to(Item(str(mine), name="room"), Question("<OD>")).write() == "task=%3COD%3E"
    assert link_to(Item(str(MEADOW)), Question("<OD>")).write() == "task=%3COD%3E&example=meadow"
    assert link_to(Item(str(mine), seed=12), Question("<OD>")).write() == "task=%3COD%3E&seed=12"


TOY = 'it\'s a "toy"'
QUESTION = Question("<OPEN_VOCABULARY_DETECTION>", "kite", names={"kite": TOY}, decoding="careful")


def test_a_copied_program_asks_the_question(url: str, tmp_path: Path) -> None:
    shutil.copy(MEADOW, tmp_path / "my kite, 1; 'two'.png")
    program = snippets.as_python(QUESTION, "my kite, 1; 'two'.png").replace(snippets.ADDRESS, url)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"\n{TOY} 0." in done.stdout, done.stderr


def test_copied_commands_ask_the_question(url: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not on PATH.")
    shutil.copy(MEADOW, tmp_path / "my kite, 1; 'two'.png")
    commands = snippets.as_curl(QUESTION, "my kite, 1; 'two'.png").replace(snippets.ADDRESS, url)
    done = subprocess.run(["bash", "-c", commands], cwd=tmp_path, capture_output=True, text=True, check=False)
    *_, last = done.stdout.strip().split("\n\n")
    event, data = last.splitlines()
    assert event == "event: complete", done.stdout + done.stderr
    (prediction, _) = json.loads(data.removeprefix("data: "))
    assert [region["label"] for region in prediction["regions"]] == [TOY]
    assert Question.from_dict(prediction["question"]) == QUESTION


def test_a_copied_call_has_what_the_tool_takes() -> None:
    call = json.loads(snippets.as_mcp(QUESTION, "kite.png"))
    assert call["params"]["arguments"] == {
        "image": "/path/to/kite.png",
        "task": QUESTION.task,
        "phrase": QUESTION.phrase,
        "options": {"decoding": "careful", "names": {"kite": TOY}},
    }
