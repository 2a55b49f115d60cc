"""A fine-tune brings its tasks along: by Python, the API and the page they are asked like any other."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from playground.checkpoints import catalog
from playground.checkpoints.catalog import BUNDLED
from playground.checkpoints.hub import download, find_local
from playground.errors import InputRejected, UnknownTask
from playground.export.texts import lines_of
from playground.paths import EXAMPLES
from playground.pictures.reader import InputImage
from playground.pool import Pool, Steps
from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import TASKS, get_task
from playground.ui.one_picture.handlers import Handlers
from tests.checkpoints.fake_hub import serving_hub
from tests.checkpoints.tune import ASK_DOCUMENT, CAPTION, READ, TASK_ROWS, write_tune
from tests.live import Http, running
from tests.ui.one_picture.tab import Tab

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tune(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    folder = write_tune(tmp_path_factory.mktemp("tunes") / "tune")
    pool = Pool(Settings(checkpoint=str(folder), device="cpu", offline=True))
    pool.wait()
    yield Predictor(pool)
    pool.close()


@pytest.fixture(scope="module")
def sign(predictor: Predictor) -> InputImage:
    """A drawn street with words to read."""
    return predictor.read_image(str(EXAMPLES / "street.png"))


# --- Asked


def test_own_tasks_are_asked_by_their_token_or_their_id(
    tune: Predictor, predictor: Predictor, sign: InputImage
) -> None:
    assert [task.id for task in tune.tasks()[:2]] == [CAPTION, ASK_DOCUMENT]
    assert tune.tasks()[3:] == TASKS
    for task, phrase, standard in ((CAPTION, "", "<CAPTION>"), ("<DocVQA>", READ, "<OCR>")):
        answer = tune.predict(sign, task, phrase=phrase)
        assert answer.text == predictor.predict(sign, standard).text != ""
        assert not answer.notices
    assert answer.task == ASK_DOCUMENT
    found = tune.predict(sign, "<FIND>", phrase="car, house")
    assert {region.label for region in found.regions} <= {"car", "house"}
    assert found.regions == tune.predict(sign, "<OPEN_VOCABULARY_DETECTION>", phrase="car, house").regions


def test_an_answer_to_an_own_task_is_read_without_its_checkpoint(tune: Predictor, sign: InputImage) -> None:
    answer = tune.predict(sign, "<DocVQA>", phrase=READ)
    assert Prediction.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer
    assert get_task(answer.task).output_kind.is_text
    assert lines_of(answer) == answer.text


def test_what_an_own_task_needs_is_asked_for_and_text_that_names_tokens_is_text(
    tune: Predictor, sign: InputImage
) -> None:
    sentence = r"^Type your question, or a sentence, such as “What is the date\?”$"
    with pytest.raises(InputRejected, match=sentence):
        tune.predict(sign, "<DocVQA>")
    answer = tune.predict(sign, "<DocVQA>", phrase="<OCR> and </s>")
    assert any("were put to it as plain text" in notice for notice in answer.notices)


def test_a_task_of_another_checkpoint_is_refused_with_those_there_are(
    tune: Predictor, predictor: Predictor, sign: InputImage
) -> None:
    for task, who in ((ASK_DOCUMENT, "the checkpoint that is asked"), ("<DocVQA>", "this playground")):
        with pytest.raises(UnknownTask, match=f"is not a task of {who}. Tasks: <OD>, "):
            predictor.run(sign, Question(task, READ))
    with pytest.raises(UnknownTask, match="Tasks: <TRAINING> none -> text, <DocVQA> sentence -> text, "):
        tune.run(sign, Question("<ANALYZE>"))


# --- From the hub


@pytest.mark.parametrize("is_broken", [False, True], ids=["described", "described wrongly"])
def test_a_checkpoint_of_the_hub_has_its_tasks_once_it_has_come(
    tmp_path: Path, sign: InputImage, is_broken: bool
) -> None:
    with serving_hub(tmp_path / "served") as hub:
        rows = [{**TASK_ROWS[0], "output": "boxs"}] if is_broken else TASK_ROWS
        (hub.folder / "playground.json").write_text(json.dumps({"title": "<b>Not ours</b>", "tasks": rows}))
        cache = tmp_path / "cache"
        steps = Steps(
            find_local=partial(find_local, cache_dir=cache),
            download=partial(download, endpoint=hub.endpoint, cache_dir=cache),
        )
        pool = Pool(Settings(checkpoint="me/tiny", device="cpu"), steps=steps)
        tune = Predictor(pool)
        assert tune.own_tasks() is None
        run = tune.run(sign, Question("<TRAINING>" if not is_broken else "<CAPTION>"))  # which waits for it
        *_, answer = run
        assert pool.status().checkpoint.title == "tiny"
        if is_broken:
            fault = (
                "The playground.json of tiny is not used: in tasks, [0].output: input should be 'text', 'text with "
                "box', 'labeled boxes', 'boxes', 'quads', 'polygons' or 'boxes or polygons', but got 'boxs'. "
                "Correct it."
            )
            assert answer.notices == (fault,)
            assert tune.tasks() == TASKS
        else:
            assert (answer.task, answer.notices) == (CAPTION, ())
            with pytest.raises(UnknownTask):
                tune.predict(sign, "<ANALYZE>")
        assert answer.text
        pool.close()


# --- A description that is wrong


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        pytest.param("all", "in tasks, input should be a list, but got 'all'", id="a word"),
        pytest.param([5], "in tasks, [0]: input should be a JSON object, but got 5", id="a number"),
        pytest.param([{"id": "<X>"}], "in tasks, [0].title: field required", id="no title"),
        pytest.param([{"id": "<X>", "title": "X", "inputs": "none"}], "in tasks, [0].inputs: unexpected", id="a typo"),
        pytest.param([{"id": "<X>", "title": "X", "input": "prompt"}], "of the row 1, input must be one of none,",
                     id="a prompt of one's own"),
        pytest.param([{"id": "<X>", "title": "X\ny"}], "in tasks, [0].title: it must be one line", id="two lines"),
        pytest.param([{"id": "<OD>", "title": "X"}], "of the row 1, it must not hold <OD>; of", id="a standard id"),
        pytest.param([{"id": "<X>", "title": "Short caption"}], "of the row 1, <CAPTION> “Short caption” is a task of",
                     id="a standard title"),
        pytest.param([{"id": "<X>", "title": "X", "prompt": "<OCR> it"}], "[0].prompt: it must not hold <OCR>",
                     id="a standard prompt"),
        pytest.param([{"id": "<X>", "title": "X", "prompt": "a</s>b"}], "[0].prompt: it must not hold </s>",
                     id="the end of a sentence"),
        pytest.param([{"id": "<X>", "title": "X", "prompt": "of {input}"}], "1, prompt must not hold {input}",
                     id="a place for nothing"),
        pytest.param([{"id": "<X>", "title": "X", "input": "sentence", "prompt": "of"}], "prompt must hold {input}",
                     id="no place for the input"),
        pytest.param([{"id": "x" * 61, "title": "X"}], "of the row 1, id must be 2 to 60 characters", id="a long id"),
        pytest.param([{"id": "<X>", "title": "X"}] * 2, "each row must have an id and a title of its own", id="twice"),
        pytest.param([{"id": f"<X{i}>", "title": f"X{i}"} for i in range(41)], "at most 40 items", id="too many"),
    ],
)  # fmt: skip
def test_tasks_that_cannot_be_are_named_and_the_rest_is_as_without_them(
    tmp_path: Path, rows: Any, sentence: str
) -> None:
    (tmp_path / "playground.json").write_text(json.dumps({"tasks": rows}))
    checkpoint = catalog.resolve(str(tmp_path))
    assert sentence in checkpoint.fault
    assert checkpoint.fault.endswith(". Correct it.")
    assert checkpoint.tasks == ()


def test_the_tasks_of_the_catalog_are_as_their_cards_name_them() -> None:
    tokens = {row.source: [task.token for task in row.tasks or ()] for row in catalog.CATALOG if row.tasks}
    assert tokens == {
        "MiaoshouAI/Florence-2-large-PromptGen-v2.0":
            ["<GENERATE_TAGS>", "<MIXED_CAPTION>", "<ANALYZE>", "<MIXED_CAPTION_PLUS>"],
        "MiaoshouAI/Florence-2-large-PromptGen-v1.5": ["<GENERATE_TAGS>", "<MIXED_CAPTION>"],
        "gokaygokay/Florence-2-Flux-Large": ["<DESCRIPTION>"],
    }  # fmt: skip
    (question,) = catalog.resolve("HuggingFaceM4/Florence-2-DocVQA").tasks or ()
    assert question.fill("How much?") == "<DocVQA>How much?"


# --- The page and the API


def test_the_page_lists_them_in_a_group_and_asks_them(
    tune: Predictor, sign: InputImage, upload: Callable[..., str]
) -> None:
    tab = Tab(tune, Handlers(tune, Settings(offline=True)))
    shown = tab.call(tab.handlers.poll)
    assert shown["task"]["choices"][:2] == [
        ("Caption for training", CAPTION),
        ("Ask the document a question", ASK_DOCUMENT),
    ]
    assert "value" not in shown["task"]
    assert '[aria-label="Caption for training"]' in json.loads(shown["listed"])["rule"]
    assert "task" not in tab.call(tab.handlers.poll)  # a search in the list goes on
    asked = tab.call(tab.handlers.choose_task, task=ASK_DOCUMENT)["phrase"]
    assert (asked["label"], asked["placeholder"]) == ("Your question, or a sentence", "What is the date?")
    tab.take(upload(name="plain.png"))
    assert tab.check(phrase="") == {"phrase": "Type your question, or a sentence, such as “What is the date?”"}
    assert tab.check(phrase=READ) == {}
    assert "answer" in tab.answer()
    other = tab.call(tab.handlers.choose_checkpoint, checkpoint=BUNDLED)
    assert (other["task"]["value"], len(other["task"]["choices"])) == ("<OD>", len(TASKS))
    assert tab.check(task=ASK_DOCUMENT, phrase=READ).keys() == {"task"}  # chosen at the same moment


def test_a_reload_keeps_an_own_task(tune: Predictor) -> None:
    tab = Tab(tune, Handlers(tune, Settings(offline=True)))
    opened = tab.call(tab.handlers.open, memory=json.dumps({"key": "a" * 32, "task": ASK_DOCUMENT}))
    assert opened["task"]["value"] == ASK_DOCUMENT
    assert (opened["task"]["choices"][1][1], tab.form["task"]) == (ASK_DOCUMENT, ASK_DOCUMENT)


def test_the_api_lists_and_asks_them(tune: Predictor, predictor: Predictor, sign: InputImage, tmp_path: Path) -> None:
    with running(tune, Settings(offline=True, mcp=True), tmp_path / "cache") as url:
        http = Http(url)
        (listed,) = http.call("tasks")[1]
        assert listed[1] == {
            "id": ASK_DOCUMENT, "title": "Ask the document a question", "group": "This model's own",
            "input": "sentence", "output": "text",
        }  # fmt: skip
        (standard,) = http.call("tasks", BUNDLED)[1]
        assert [row["id"] for row in standard] == [task.id for task in TASKS]
        assert "is not a checkpoint of this playground" in str(http.call("tasks", "no/such"))
        assert "must be a name, but got int" in str(http.call("tasks", 5))
        picture = {"path": http.uploaded(EXAMPLES / "street.png"), "meta": {"_type": "gradio.FileData"}}
        event, (answer, _) = http.call("run", picture, "<DocVQA>", READ)
        assert (event, answer["task"]) == ("complete", ASK_DOCUMENT)
        assert answer["text"] == predictor.predict(sign, "<OCR>").text
        schema = http.get("/mcp/schema").json()
        (asked,) = [tool["inputSchema"] for tool in schema if tool["name"] == "ask_florence2"]
        assert asked["properties"]["task"]["enum"][:2] == [CAPTION, ASK_DOCUMENT]


def test_the_page_about_checkpoints_shows_a_description_that_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs/checkpoints.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "playground.json").write_text(block)
    described = catalog.resolve(str(tmp_path))
    assert (described.fault, [task.title for task in described.tasks or ()]) == (
        "", ["Tags", "Ask the document a question", "Find goods"],
    )  # fmt: skip
