"""Handlers as plain calls: what the page's components would send goes in, what they would show comes out.

A scripted predictor answers where only the handlers matter; the bundled checkpoint where the whole way does.
"""

import csv
import errno
import io
import json
import pickle
import sys
import threading
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import gradio as gr
import numpy as np
import pytest
import yaml
from PIL import Image

from playground import drawing
from playground.checkpoints.catalog import BUNDLED, resolve
from playground.errors import CheckpointUnavailable, EngineFailed, InputRejected
from playground.events import RunStage
from playground.export import FORMATS
from playground.pictures.reader import InputImage, is_inside, read_image
from playground.pool import Pool, State, Status
from playground.predictor import Predictor
from playground.question import read_request
from playground.regions import Region
from playground.results import Prediction, Timings
from playground.scenes.scene import TRAINING_SEEDS, Scene
from playground.settings import Settings
from playground.tasks import TASKS
from playground.ui import scene as drawn_scenes
from playground.ui import streams, text
from playground.ui.api import Api
from playground.ui.components import RegionTableData, StageData
from playground.ui.handlers import EXAMPLES, Handlers, Shown
from playground.ui.session import Session, View, read_view

ANN, BOB = gr.Request(session_hash="ann"), gr.Request(session_hash="bob")
SKIP = gr.skip()

CAR = Region("car", (4.0, 4.0, 20.0, 16.0), 0.9)
TREE = Region("tree", (30.0, 5.0, 40.0, 35.0), 0.4)
UNSCORED = Region("car", (44.0, 20.0, 58.0, 36.0))
WRITING = Prediction("<OD>", "tiny-florence2", (60, 40), stage=RunStage.WRITING)
ANSWER = replace(
    WRITING,
    text="car, tree",
    regions=(CAR, TREE, UNSCORED),
    raw_text="<s>car<loc_1></s>",
    stage=RunStage.DONE,
    is_final=True,
    timings=Timings(encode_image=0, encode_prompt=12, first_token=30, first_region=60, total=900),
)


class ScriptedPredictor:
    """Checks a question as the real one does, and yields what a test has scripted; a stop event ends the script."""

    def __init__(self, *script: Prediction | Exception) -> None:
        self.pool = Pool(Settings(checkpoint="tiny-florence2", offline=True))  # nothing is loaded
        self.script = script
        self.asked: list[tuple[Any, ...]] = []
        self.stops: list[threading.Event | None] = []

    def read_image(self, source: Any) -> InputImage:
        return source if isinstance(source, InputImage) else read_image(source)

    def run(
        self, image: Any, task: str, *, stop: threading.Event | None = None, **inputs: Any
    ) -> Generator[Prediction, None, None]:
        read_request(self.read_image(image), task, **inputs)
        self.asked.append((image, task, inputs))
        self.stops.append(stop)
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            if stop is not None and stop.is_set():
                yield replace(step, stage=RunStage.STOPPED, is_final=True)
                return
            yield step


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Gradio's upload cache, for this file alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show each prediction, however soon after the one before."""
    monkeypatch.setattr(streams, "_SECONDS_BETWEEN_UPDATES", 0)


@pytest.fixture
def upload(cache: Path) -> Callable[..., str]:
    """Put a picture into the upload cache, as the page does, and return its path."""

    def write(resolution_wh: tuple[int, int] = (60, 40), name: str = "street.png") -> str:
        path = cache / name
        Image.new("RGB", resolution_wh, "#88aacc").save(path)
        return str(path)

    return write


@pytest.fixture
def ask(upload: Callable[..., str]) -> Callable[..., tuple[Handlers, Session]]:
    """Return handlers over a scripted predictor, and the session of a picture of 60 x 40 pixels."""

    def start(*script: Prediction | Exception) -> tuple[Handlers, Session]:
        handlers = Handlers(ScriptedPredictor(*script), Settings())  # type: ignore[arg-type]
        return handlers, taken(handlers, upload())["session"]

    return start


def api_of(handlers: Handlers, **settings: Any) -> Api:
    """The API over the same predictor."""
    return Api(handlers._predictor, Settings(**settings))


def shown(values: Iterable[Any]) -> dict[str, Any]:
    return dict(zip(Shown.names(), values, strict=True))


def taken(handlers: Handlers, source: Any, task: str = "<OD>", request: gr.Request = ANN) -> dict[str, Any]:
    _strip, _problem, *values = handlers.take_picture(source, task, request)
    return shown(values)


def form(
    session: Session, task: str = "<OD>", *, phrase: str = "", draw: bool = True, regions: Any = None
) -> tuple[Any, ...]:
    """What the page sends with a check, a begin and a wait; `run` takes the question of it."""
    return session, None, task, phrase, draw, StageData(regions=regions), ""


def run(handlers: Handlers, inputs: tuple[Any, ...], request: gr.Request = ANN) -> Iterator[dict[str, Any]]:
    return (shown(values) for values in handlers.run(*question_of(inputs), request))


def question_of(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    session, _picture, *rest = inputs
    return session, *rest, "greedy", 64


def view(
    *, styles: Iterable[str] = ("box",), min_score: float = 0, labels: Iterable[str] = ("car", "tree"), hidden: Any = ()
) -> tuple[Any, ...]:
    """What the controls under the picture send."""
    return list(styles), True, 0.5, min_score, list(labels), RegionTableData(hidden=list(hidden))


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


# The picture


def test_a_picture_is_shown_and_remembered_by_its_path(ask, upload, cache) -> None:
    handlers, _ = ask()
    path = upload(name="my street.png")
    strip, problem, *values = handlers.take_picture(path, "<OD>", ANN)
    result = shown(values)
    assert (strip["value"], strip["placeholder"], problem) == (None, "Drop another picture here", [])
    assert (result["stage"].w, result["stage"].h, result["stage"].regions) == (60, 40, [])
    assert is_inside(result["stage"].image.path, cache)
    assert result["session"] == Session(path, result["stage"].image.path, (60, 40))
    assert (result["answer"], result["table"].boxes, result["notes"]) == ("", [], [])
    assert result["details"]["visible"] is False


def test_a_large_picture_is_shown_as_a_copy_and_keeps_its_coordinates(ask, upload) -> None:
    handlers, _ = ask()
    stage = taken(handlers, upload((2000, 1000), "large.png"))["stage"]
    assert (stage.w, stage.h) == (2000, 1000)
    assert pixels(stage.image.path).shape == (800, 1600, 3)


def test_the_bytes_of_a_data_url_are_kept_in_the_cache(ask, upload, cache) -> None:
    handlers, _ = ask()
    session = taken(handlers, Path(upload()).read_bytes())["session"]
    assert is_inside(session.path, cache)
    assert session.resolution_wh == (60, 40)


def test_without_a_picture_everything_stays_as_it_is(ask) -> None:
    handlers, _ = ask()
    values = handlers.take_picture(None, "<OD>", ANN)
    assert len(values) == 2 + len(Shown.names())
    assert all(value == SKIP for value in values)


def test_what_is_no_picture_is_one_sentence_at_the_field_and_changes_nothing_else(ask, cache) -> None:
    handlers, _ = ask()
    path = cache / "notes.png"
    path.write_text("not a picture")
    field, (problem,), *values = handlers.take_picture(str(path), "<OD>", ANN)
    assert (field, problem["tone"], problem["text"][-1]) == (None, "error", ".")
    assert str(cache) not in problem["text"]
    assert all(value == SKIP for value in values)


@pytest.mark.usefixtures("every_step")
def test_what_is_no_picture_leaves_the_run_that_goes_on_alone(ask) -> None:
    handlers, session = ask(WRITING, ANSWER)
    running = run(handlers, form(session))
    next(running)
    handlers.take_picture(b"not a picture", "<OD>", ANN)
    assert [step["session"].prediction.stage for step in running] == [RunStage.DONE]


@pytest.mark.parametrize("index", range(len(EXAMPLES)), ids=[path.stem for path in EXAMPLES])
def test_an_example_is_taken_like_an_upload(ask, index: int) -> None:
    handlers, _ = ask()
    _strip, _problem, *values = handlers.take_example(index, "<OD>", ANN)
    assert shown(values)["session"].name == EXAMPLES[index].stem


def test_there_are_examples() -> None:
    assert {"beach", "meadow", "night"} <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize(
    ("task", "is_drawing"),
    [pytest.param("<OD>", False, id="no region"), pytest.param("<REGION_TO_CATEGORY>", True, id="regions")],
)
def test_a_new_picture_takes_regions_where_the_task_wants_them(ask, upload, task: str, is_drawing: bool) -> None:
    handlers, _ = ask()
    assert taken(handlers, upload(), task)["stage"].draw is is_drawing


# A drawn scene


def drawn(handlers: Handlers, seed: Any, task: str = "<OD>", request: gr.Request = ANN) -> dict[str, Any]:
    _seed, _strip, _problem, *values = handlers.take_scene(seed, task, request)
    return shown(values)


def test_a_scene_is_drawn_and_shown_like_any_picture(ask, cache) -> None:
    handlers, _ = ask()
    seed, strip, problem, *values = handlers.take_scene(5, "<REGION_TO_CATEGORY>", ANN)
    result = shown(values)
    assert (seed, strip["placeholder"], problem) == (5, "Drop another picture here", [])
    assert (result["stage"].w, result["stage"].h, result["stage"].draw) == (768, 768, True)
    assert is_inside(result["session"].path, cache)
    assert (result["session"].name, result["session"].seed) == ("scene-5", 5)


def test_the_same_seed_gives_the_same_picture_and_another_one_another(ask) -> None:
    handlers, _ = ask()
    paths = [drawn(handlers, seed)["stage"].image.path for seed in (5, 5.0, 6)]
    assert paths[0] == paths[1] != paths[2]


def test_a_new_scene_shows_its_seed_and_is_never_empty(ask, monkeypatch) -> None:
    handlers, _ = ask()
    empty = next(seed for seed in range(1000) if not drawn_scenes.draw(seed).things)
    full = next(seed for seed in range(1000) if drawn_scenes.draw(seed).things)
    chosen = iter((empty, full))
    monkeypatch.setattr(drawn_scenes.random, "choice", lambda seeds: next(chosen))
    seed, _strip, _problem, *values = handlers.take_new_scene("<OD>", ANN)
    assert seed == shown(values)["session"].seed == full
    assert drawn(handlers, empty)["session"].seed == empty  # but it is drawn when it is asked for


def test_new_scenes_differ_and_are_none_that_the_model_has_learnt_from(ask) -> None:
    handlers, _ = ask()
    seeds = {handlers.take_new_scene("<OD>", ANN)[0] for _ in range(5)}
    assert len(seeds) > 1
    assert min(seeds) >= TRAINING_SEEDS


@pytest.mark.parametrize(
    ("seed", "came"),
    [
        pytest.param(None, "the field is empty", id="empty"),
        pytest.param(-3, "got -3", id="negative"),
        pytest.param(2.5, "got 2.5", id="not whole"),
        pytest.param(1_000_000_000, "got 1000000000", id="too large"),
        pytest.param(1e300, "got 1e+300", id="far too large"),
        pytest.param(float("nan"), "got nan", id="no number"),
    ],
)
@pytest.mark.usefixtures("every_step")
def test_a_bad_seed_is_a_sentence_and_nothing_is_lost(ask, seed: float | None, came: str) -> None:
    handlers, session = ask(WRITING, ANSWER)
    running = run(handlers, form(session))
    next(running)
    field, picture, (problem,), *values = handlers.take_scene(seed, "<OD>", ANN)
    sentence = f"A seed must be a whole number from 0 to 999,999,999, but {came}."
    assert problem == {"text": sentence, "tone": "error"}
    assert all(value == SKIP for value in (field, picture, *values))
    assert [step["session"].prediction.stage for step in running] == [RunStage.DONE]


def test_another_picture_forgets_the_scene(ask, upload) -> None:
    handlers, _ = ask()
    assert drawn(handlers, 5)["session"].seed == 5
    assert taken(handlers, upload())["session"].seed is None


@pytest.mark.usefixtures("every_step")
def test_a_new_scene_ends_the_run_about_the_picture_before(ask) -> None:
    handlers, session = ask(WRITING, ANSWER)
    running = run(handlers, form(session))
    next(running)
    drawn(handlers, 5)
    assert list(running) == []


def truths(handlers: Handlers, session: Session, task: str = "<OD>", **inputs: Any) -> list[Any]:
    """The truth on the stage at each step of a run; its words and the labels of its boxes."""
    stages = [step["stage"].truth for step in run(handlers, form(session, task, **inputs))]
    return [truth and (truth.text, [box["label"] for box in truth.boxes]) for truth in stages]


@pytest.mark.usefixtures("every_step")
def test_the_truth_about_a_scene_comes_with_the_final_answer_and_stays_when_it_is_restyled(ask) -> None:
    handlers, _ = ask(WRITING, ANSWER)
    session = drawn(handlers, 5)["session"]
    kinds = sorted(thing.kind for thing in drawn_scenes.draw(5).things)
    *steps, last = run(handlers, form(session))
    assert [step["stage"].truth for step in steps] == [None]
    assert sorted(box["label"] for box in last["stage"].truth.boxes) == kinds
    stage, _table = handlers.redraw(last["session"], "<OD>", True, *view(labels=[]))
    assert stage.truth == last["stage"].truth


def test_the_truth_answers_what_was_asked(ask) -> None:
    handlers, _ = ask(replace(ANSWER, task="<REGION_TO_CATEGORY>"))
    thing = drawn_scenes.draw(5).things[0]
    session, regions = drawn(handlers, 5)["session"], [list(thing.region.xyxy)]
    assert truths(handlers, session, "<REGION_TO_CATEGORY>", regions=regions) == [(thing.kind, [thing.kind])]
    handlers._predictor.script = (replace(ANSWER, task="<OPEN_VOCABULARY_DETECTION>"),)
    assert truths(handlers, session, "<OPEN_VOCABULARY_DETECTION>", phrase=thing.kind)[0][1].count(thing.kind) > 0


@pytest.mark.parametrize(
    ("answer", "phrase"),
    [
        pytest.param(replace(ANSWER, checkpoint="florence-2-base"), "", id="another checkpoint"),
        pytest.param(replace(ANSWER, task="<OPEN_VOCABULARY_DETECTION>"), "vehicle", id="words that no scene uses"),
        pytest.param(replace(ANSWER, task="<CUSTOM>"), "<OD2>", id="a prompt of one's own"),
    ],
)
def test_no_truth_is_shown_where_none_is_known(ask, answer: Prediction, phrase: str) -> None:
    handlers, _ = ask(answer)
    session = drawn(handlers, 5)["session"]
    assert truths(handlers, session, answer.task, phrase=phrase) == [None]


def test_a_picture_from_elsewhere_has_no_truth(ask) -> None:
    handlers, session = ask(ANSWER)
    assert truths(handlers, session) == [None]


# The form

NEEDS = {
    "<OD>": "",
    "<DENSE_REGION_CAPTION>": "",
    "<REGION_PROPOSAL>": "",
    "<OPEN_VOCABULARY_DETECTION>": "phrase",
    "<CAPTION_TO_PHRASE_GROUNDING>": "phrase",
    "<REFERRING_EXPRESSION_SEGMENTATION>": "phrase",
    "<CAPTION>": "",
    "<DETAILED_CAPTION>": "",
    "<MORE_DETAILED_CAPTION>": "",
    "<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>": "",
    "<DETAILED_CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>": "",
    "<MORE_DETAILED_CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>": "",
    "<OCR>": "",
    "<OCR_WITH_REGION>": "",
    "<REGION_TO_CATEGORY>": "regions",
    "<REGION_TO_DESCRIPTION>": "regions",
    "<REGION_TO_SEGMENTATION>": "regions",
    "<REGION_TO_OCR>": "regions",
    "<OCR>+<CROP>": "regions",
    "<CUSTOM>": "phrase",
}


def test_the_needs_of_every_task_are_known_here() -> None:
    assert list(NEEDS) == [task.id for task in TASKS]


@pytest.mark.parametrize(("task", "need"), NEEDS.items(), ids=NEEDS.keys())
def test_a_task_shows_only_what_it_needs(ask, task: str, need: str) -> None:
    handlers, session = ask()
    phrase, draw, stage = handlers.choose_task(task, session)
    assert phrase["visible"] is (need == "phrase")
    assert bool(phrase["label"]) is bool(phrase["placeholder"]) is (need == "phrase")
    assert (draw["visible"], stage.draw) == (need == "regions", need == "regions")
    assert stage.image.path == session.display_path


@pytest.mark.parametrize("task", NEEDS)
def test_a_task_can_be_chosen_before_there_is_a_picture(ask, task: str) -> None:
    handlers, _ = ask()
    assert handlers.choose_task(task, Session())[2] == StageData()


# What is missing is refused before anything runs

DRAWN = [[1.0, 2.0, 30.0, 20.0]]
FIELDS = ("session", "picture", "task", "phrase", "draw", "stage", "checkpoint")


@pytest.mark.parametrize(
    ("task", "inputs", "field", "sentence"),
    [
        pytest.param(
            "<OPEN_VOCABULARY_DETECTION>", {}, "phrase",
            "Type the names of the things to find, separated by commas, such as “tree, house”.", id="no names",
        ),
        pytest.param(
            "<OPEN_VOCABULARY_DETECTION>", {"phrase": " , \n,"}, "phrase",
            "Type the names of the things to find, separated by commas, such as “tree, house”.", id="only commas",
        ),
        pytest.param(
            "<CAPTION_TO_PHRASE_GROUNDING>", {"phrase": "  "}, "phrase",
            "Type a sentence about the picture, such as “A tree and two boats on a beach.”", id="no sentence",
        ),
        pytest.param(
            "<REFERRING_EXPRESSION_SEGMENTATION>", {}, "phrase",
            "Describe what to outline, separated by commas, such as “the red car, the green tree”.",
            id="no description",
        ),
        pytest.param(
            "<CUSTOM>", {}, "phrase",
            "Type the prompt of your fine-tune, such as “<DocVQA> What is the date on the letter?”", id="no prompt",
        ),
        pytest.param(
            "<REGION_TO_CATEGORY>", {}, "draw",
            "Mark a region: drag on the picture from one corner to the other.", id="no region",
        ),
        pytest.param(
            "<OCR>+<CROP>", {"regions": []}, "draw",
            "Mark a region: drag on the picture from one corner to the other.", id="no region to cut out",
        ),
        pytest.param(
            "<REGION_TO_OCR>", {"regions": [[100, 100, 200, 200]]}, "draw",
            "Region 1 has no area inside the picture of 60 x 40 pixels. Draw it again.", id="region outside",
        ),
    ],
)  # fmt: skip
def test_a_missing_input_is_refused_at_its_field(
    ask, task: str, inputs: dict[str, Any], field: str, sentence: str
) -> None:
    handlers, session = ask()
    refused = dict(zip(FIELDS, handlers.check(*form(session, task, **inputs), ANN), strict=True))
    assert {name: reply["message"] for name, reply in refused.items() if not reply["is_valid"]} == {field: sentence}


def test_without_a_picture_the_sentence_stands_at_the_picture(ask) -> None:
    handlers, _ = ask()
    refused = dict(zip(FIELDS, handlers.check(*form(Session()), ANN), strict=True))
    assert {name: reply["message"] for name, reply in refused.items() if not reply["is_valid"]} == {
        "picture": text.NO_PICTURE
    }


@pytest.mark.parametrize(
    ("task", "inputs"),
    [
        pytest.param("<OD>", {}, id="nothing needed"),
        pytest.param("<OD>", {"phrase": "", "regions": [[9, 9, 9, 9]]}, id="what is not needed is not judged"),
        pytest.param("<OPEN_VOCABULARY_DETECTION>", {"phrase": "</s><img src=x onerror=alert(1)>"}, id="hostile"),
        pytest.param("<REGION_TO_CATEGORY>", {"regions": DRAWN}, id="a region"),
    ],
)
def test_a_complete_form_passes(ask, task: str, inputs: dict[str, Any]) -> None:
    handlers, session = ask()
    replies = handlers.check(*form(session, task, **inputs), ANN)
    assert len(replies) == len(FIELDS)
    assert all(reply["is_valid"] for reply in replies)


def test_stop_can_be_pressed_only_while_a_run_goes_on(ask) -> None:
    handlers, session = ask()
    started, refused = handlers.begin(*form(session)), handlers.begin(*form(Session()))
    assert [button["interactive"] for button in started] == [False, True]
    assert [button["interactive"] for button in refused] == [True, False]
    assert [button["interactive"] for button in handlers.rest()] == [True, False]


@pytest.mark.usefixtures("every_step")
def test_a_refused_form_leaves_the_run_that_goes_on_alone(ask) -> None:
    handlers, session = ask(WRITING, ANSWER)
    handlers.check(*form(session), ANN)
    running = run(handlers, form(session))
    next(running)
    handlers.check(*form(session, "<CUSTOM>"), ANN)
    assert [step["session"].prediction.stage for step in running] == [RunStage.DONE]


# The run


@pytest.fixture(scope="module")
def steps(predictor: Predictor, scene: Scene, cache: Path) -> list[dict[str, Any]]:
    """Everything that one run of the bundled checkpoint shows on a drawn scene."""
    path = cache / "scene.png"
    scene.image.save(path)
    handlers = Handlers(predictor, Settings())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_SECONDS_BETWEEN_UPDATES", 0)
        return list(run(handlers, form(taken(handlers, str(path))["session"])))


def test_boxes_come_one_after_another_while_the_model_writes(steps) -> None:
    counts = [len(step["stage"].boxes) for step in steps]
    assert all(before <= after for before, after in pairwise(counts))
    assert set(counts) == set(range(max(counts) + 1))
    assert max(counts) > 2
    assert [step["table"].boxes for step in steps] == [step["stage"].boxes for step in steps]


def test_the_stage_is_busy_until_the_answer_is_final(steps) -> None:
    assert [step["stage"].busy for step in steps] == [True] * (len(steps) - 1) + [False]


def test_the_status_says_what_is_being_done(steps) -> None:
    said = [step["status"][-1]["text"] for step in steps]
    order = ("Waiting for the model", "Looking at the picture", "Reading the question", "Writing", "Done in")
    found = [next(index for index, words in enumerate(order) if line.startswith(words)) for line in said]
    assert found == sorted(found)
    assert set(found) == set(range(len(order)))
    assert all(len(step["status"]) == 2 for step in steps)  # the checkpoint's line stays above


def test_only_the_final_answer_opens_what_is_below_the_picture(steps) -> None:
    later = ("session", "details", "has_regions", "style", "min_score", "labels", "raw", "timings")
    assert all(step[name] == SKIP for step in steps[:-1] for name in later)
    final = steps[-1]
    assert (final["details"]["visible"], final["has_regions"]["visible"]) == (True, True)
    assert final["style"]["value"] == ["box"]
    assert {"box", "corners", "blur"} <= {style for _, style in final["style"]["choices"]}
    assert "oriented-box" not in {style for _, style in final["style"]["choices"]}
    counts = final["session"].prediction.label_counts()
    assert final["labels"]["value"] == list(counts)
    assert final["labels"]["choices"] == [(f"{label} · {count}", label) for label, count in counts.items()]
    assert final["min_score"] == 0
    assert [kind for _, kind in final["raw"]][:3] == ["token", None, "location"]
    assert final["timings"][0]["text"].startswith("picture ")


def test_the_session_keeps_the_final_prediction(steps, scene) -> None:
    prediction = steps[-1]["session"].prediction
    assert (prediction.is_final, prediction.stage) == (True, RunStage.DONE)
    assert sorted(region.label for region in prediction.regions) == sorted(thing.kind for thing in scene.things)
    assert steps[-1]["answer"] == prediction.text


def test_the_picture_that_is_shown_at_the_end_has_the_boxes_drawn_on_it(steps) -> None:
    final = steps[-1]
    assert all(step["stage"].annotated is None for step in steps[:-1])
    assert (pixels(final["stage"].annotated.path) != pixels(final["session"].display_path)).any()
    assert final["stage"].alt.startswith("Found: ")


def test_a_run_asks_what_the_form_says(ask) -> None:
    handlers, session = ask(ANSWER)
    drawn = StageData(regions=DRAWN)
    list(handlers.run(session, "<REGION_TO_OCR>", "words", True, drawn, "tiny-florence2", "careful", 8, ANN))
    asked = {
        "phrase": "words",
        "regions": DRAWN,
        "checkpoint": "tiny-florence2",
        "decoding": "careful",
        "max_new_tokens": 8,
    }
    assert handlers._predictor.asked == [(session.path, "<REGION_TO_OCR>", asked)]


@pytest.mark.usefixtures("every_step")
def test_a_run_forgets_what_was_hidden_and_then_leaves_it_to_the_user(ask) -> None:
    handlers, session = ask(replace(WRITING, stage=RunStage.WAITING), WRITING, WRITING, ANSWER)
    steps = list(run(handlers, form(session)))
    assert [step["stage"].hidden for step in steps] == [[], None, None, []]
    assert [step["table"].hidden for step in steps] == [[], None, None, []]
    assert all(step["stage"].regions is None for step in steps)  # drawn regions are the user's all along


@pytest.mark.parametrize(
    ("task", "draw", "is_drawing"),
    [
        pytest.param("<REGION_TO_CATEGORY>", True, True, id="drawing"),
        pytest.param("<REGION_TO_CATEGORY>", False, False, id="scrolling"),
        pytest.param("<OD>", True, False, id="a task without regions"),
    ],
)
@pytest.mark.usefixtures("every_step")
def test_the_user_goes_on_drawing_during_a_run(ask, task: str, draw: bool, is_drawing: bool) -> None:
    handlers, session = ask(WRITING, ANSWER)
    inputs = form(session, task, draw=draw, regions=DRAWN)
    assert [step["stage"].draw for step in run(handlers, inputs)] == [is_drawing, is_drawing]


def test_an_answer_without_regions_has_neither_styles_nor_a_drawn_picture(ask) -> None:
    handlers, session = ask(replace(ANSWER, task="<CAPTION>", text="A car.", regions=()))
    (step,) = run(handlers, form(session, "<CAPTION>"))
    assert (step["details"]["visible"], step["has_regions"]["visible"]) == (True, False)
    assert (step["style"]["choices"], step["labels"]["choices"]) == ([], [])
    assert (step["stage"].annotated, step["stage"].alt, step["answer"]) == (None, "A car.", "A car.")


@pytest.mark.parametrize(
    ("task", "answer", "sentence"),
    [
        pytest.param("<OD>", "", "Nothing found.", id="nothing found"),
        pytest.param("<CAPTION>", "A car.", text.TABLE_EMPTY, id="a caption has no regions to be found"),
    ],
)
def test_an_empty_table_says_why(ask, task: str, answer: str, sentence: str) -> None:
    handlers, session = ask(replace(ANSWER, task=task, text=answer, regions=()))
    (step,) = run(handlers, form(session, task))
    assert step["table"].empty == sentence


def test_the_note_of_the_demo_model_is_not_told_twice(ask) -> None:
    handlers, session = ask()
    note = handlers._predictor.pool.status().checkpoint.note
    assert note
    handlers._predictor.script = (replace(ANSWER, notices=(note, "The answer was cut.")),)
    (step,) = run(handlers, form(session))
    assert step["notes"] == [{"text": "The answer was cut.", "tone": "warning"}]


# Stop


def test_a_run_that_is_stopped_in_the_queue_ends_at_once(predictor, steps) -> None:
    handlers, session = Handlers(predictor, Settings()), steps[-1]["session"]
    handlers.check(*form(session), ANN)
    handlers.stop(ANN)
    *_, last = run(handlers, form(session))
    assert (last["session"].prediction.stage, last["session"].prediction.regions) == (RunStage.STOPPED, ())
    assert not last["stage"].busy


@pytest.mark.usefixtures("every_step")
def test_stop_keeps_what_was_drawn(ask) -> None:
    handlers, session = ask(replace(WRITING, regions=(CAR,)), replace(WRITING, regions=(CAR, TREE)), ANSWER)
    running = run(handlers, form(session))
    next(running)
    handlers.stop(ANN)
    (last,) = running
    assert last["session"].prediction.regions == (CAR, TREE)
    assert last["status"][-1]["text"].startswith("Stopped")


@pytest.mark.usefixtures("every_step")
def test_stop_does_not_touch_the_run_of_another_session(ask) -> None:
    handlers, session = ask(WRITING, ANSWER)
    ann, bob = run(handlers, form(session), ANN), run(handlers, form(session), BOB)
    next(ann)
    next(bob)
    handlers.stop(ANN)
    assert [step["session"].prediction.stage for step in ann] == [RunStage.STOPPED]
    assert [step["session"].prediction.stage for step in bob] == [RunStage.DONE]


def test_stop_without_a_run_does_not_stop_the_next_one(ask) -> None:
    handlers, session = ask(ANSWER)
    handlers.stop(ANN)
    handlers.check(*form(session), ANN)
    (step,) = run(handlers, form(session))
    assert step["session"].prediction.stage is RunStage.DONE


def test_the_run_after_a_stopped_one_is_not_stopped(ask) -> None:
    handlers, session = ask(ANSWER)
    for stage in (RunStage.STOPPED, RunStage.DONE):
        handlers.check(*form(session), ANN)
        if stage is RunStage.STOPPED:
            handlers.stop(ANN)
        (step,) = run(handlers, form(session))
        assert step["session"].prediction.stage is stage


@pytest.mark.usefixtures("every_step")
def test_a_run_is_stopped_when_its_reader_goes(ask) -> None:
    handlers, session = ask(WRITING, WRITING, ANSWER)
    running = handlers.run(*question_of(form(session)), ANN)
    with closing(running):
        next(running)
    assert handlers._predictor.stops[0].is_set()


@pytest.mark.parametrize(
    "is_queued", [pytest.param(False, id="while it writes"), pytest.param(True, id="while it waits in the queue")]
)
@pytest.mark.usefixtures("every_step")
def test_a_new_picture_ends_the_run_and_the_old_answer_is_not_shown(ask, upload, is_queued: bool) -> None:
    handlers, session = ask(WRITING, WRITING, ANSWER)
    handlers.check(*form(session), ANN)
    running = run(handlers, form(session))
    if not is_queued:
        next(running)
    taken(handlers, upload((30, 30), "other.png"))
    assert list(running) == []  # what it showed would replace the new picture


@pytest.mark.usefixtures("every_step")
def test_a_new_run_of_the_same_session_ends_the_old_one(ask) -> None:
    handlers, session = ask(WRITING, ANSWER)
    old = run(handlers, form(session))
    next(old)
    handlers.check(*form(session), ANN)
    (new,) = list(run(handlers, form(session)))[-1:]
    list(old)
    assert handlers._predictor.stops[0].is_set()
    assert new["session"].prediction.stage is RunStage.DONE


# The answer, seen in another way


@pytest.fixture
def answered(ask) -> tuple[Handlers, Session]:
    handlers, session = ask()
    return handlers, replace(session, prediction=ANSWER)


@pytest.mark.parametrize(
    ("seen", "ids", "drawn"),
    [
        pytest.param({}, [0, 1, 2], [0, 1, 2], id="all"),
        pytest.param({"min_score": 0.5}, [0, 2], [0, 2], id="a region without a score is never hidden by the slider"),
        pytest.param({"min_score": 1}, [2], [2], id="no score is high enough"),
        pytest.param({"labels": ["tree"]}, [1], [1], id="one label, under the id it had"),
        pytest.param({"hidden": [0]}, [0, 1, 2], [1, 2], id="a hidden region keeps its row"),
        pytest.param({"hidden": [0], "labels": ["car"]}, [0, 2], [2], id="hidden while filtered"),
        pytest.param({"hidden": [7]}, [0, 1, 2], [0, 1, 2], id="hidden in another answer"),
        pytest.param({"labels": []}, [], [], id="no label"),
    ],
)
def test_filters_choose_what_is_listed_and_what_is_drawn(
    answered, seen: dict[str, Any], ids: list[int], drawn: list[int]
) -> None:
    handlers, session = answered
    stage, table = handlers.redraw(session, "<OD>", True, *view(**seen))
    assert [box["id"] for box in table.boxes] == [box["id"] for box in stage.boxes] == ids
    chosen = read_view(*view(**seen))
    assert [index for index, region in enumerate(ANSWER.regions) if chosen.shows(index, region)] == drawn
    assert (stage.annotated is None) is (not drawn)


def test_a_redraw_leaves_hidden_rows_and_drawn_regions_to_the_page(answered) -> None:
    handlers, session = answered
    stage, table = handlers.redraw(session, "<OD>", True, *view(hidden=[1]))
    assert (stage.hidden, stage.regions, table.hidden) == (None, None, None)


def test_an_emptied_table_says_that_it_was_filtered(answered) -> None:
    handlers, session = answered
    _stage, table = handlers.redraw(session, "<OD>", True, *view(labels=[]))
    assert table.empty == "Every region is filtered out."


def test_a_hidden_region_is_not_on_the_drawn_picture(answered) -> None:
    handlers, session = answered
    plain = pixels(session.display_path)
    stage, _ = handlers.redraw(session, "<OD>", True, *view(hidden=[1, 2]))
    drawn = np.abs(pixels(stage.annotated.path) - plain).max(axis=2) > 40  # more than JPEG does to a plain ground
    x_min, _y_min, x_max, _y_max = map(int, CAR.xyxy)
    assert drawn[:, x_min - 2 : x_max + 3].any()
    assert not drawn[:, 36:].any()


def test_a_style_changes_the_drawn_picture(answered) -> None:
    handlers, session = answered
    boxes, _ = handlers.redraw(session, "<OD>", True, *view(styles=["box"]))
    dark, _ = handlers.redraw(session, "<OD>", True, *view(styles=["background"]))
    assert pixels(dark.annotated.path).mean() < pixels(boxes.annotated.path).mean() - 5


def test_without_an_answer_there_is_nothing_to_redraw(ask) -> None:
    handlers, session = ask()
    assert handlers.redraw(session, "<OD>", True, *view()) == (SKIP, SKIP)


def test_seeing_and_saving_never_run_the_model(predictor, steps, monkeypatch) -> None:
    session, handlers = steps[-1]["session"], Handlers(predictor, Settings())
    labels = steps[-1]["labels"]["value"]
    with predictor.pool.acquire() as engine:
        before = engine.image_encodings
        asked: list[Any] = []
        monkeypatch.setattr(engine, "generate", lambda *arguments, **_: asked.append(arguments))
        for seen in ({"styles": ["corners"]}, {"min_score": 0.6}, {"labels": labels[:1]}, {"hidden": [0, 1]}):
            handlers.redraw(session, "<OD>", True, *view(**{"labels": labels, **seen}))
        handlers.save(session, "json", *view(labels=labels))
        assert (asked, engine.image_encodings) == ([], before)


# What is saved is what is shown


def json_labels(content: bytes) -> list[str]:
    return [region["label"] for region in json.loads(content)["regions"]]


def csv_labels(content: bytes) -> list[str]:
    return [row["label"] for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig")))]


def unzipped(content: bytes, ending: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in sorted(archive.namelist()) if name.endswith(ending)}


def crop_labels(content: bytes) -> list[str]:
    return [name.rpartition("-")[2].removesuffix(".png") for name in unzipped(content, ".png") if "crops/" in name]


def coco_labels(content: bytes) -> list[str]:
    written = json.loads(unzipped(content, "annotations.json")["annotations.json"])
    names = {category["id"]: category["name"] for category in written["categories"]}
    return [names[annotation["category_id"]] for annotation in written["annotations"]]


def yolo_labels(content: bytes) -> list[str]:
    (settings,), (lines,) = unzipped(content, "data.yaml").values(), unzipped(content, "street.txt").values()
    names = yaml.safe_load(settings)["names"]
    return [names[int(line.split()[0])] for line in lines.decode().splitlines()]


def voc_labels(content: bytes) -> list[str]:
    (xml,) = unzipped(content, ".xml").values()
    return [str(name.text) for name in ElementTree.fromstring(xml).findall("object/name")]


def drawn_labels(content: bytes) -> list[str]:
    """Tell which regions are drawn on the plain picture, by a pixel of the left edge of each box."""
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (60, 40)
        plain = (0, 0, 0, 0) if picture.mode == "RGBA" else (0x88, 0xAA, 0xCC)
        return [
            region.label
            for region in ANSWER.regions
            if picture.getpixel((int(region.xyxy[0]), int(region.xyxy[3]) - 4)) != plain
        ]


READERS: dict[str, Callable[[bytes], list[str]]] = {
    "png": drawn_labels,
    "overlay": drawn_labels,
    "crops": crop_labels,
    "json": json_labels,
    "csv": csv_labels,
    "coco": coco_labels,
    "yolo": yolo_labels,
    "voc": voc_labels,
}


def test_every_format_is_read_back_here() -> None:
    assert list(READERS) == [row.id for row in FORMATS]


@pytest.mark.parametrize(("format_id", "labels_of"), READERS.items(), ids=READERS.keys())
@pytest.mark.parametrize(
    ("seen", "labels"),
    [
        pytest.param({}, ["car", "tree", "car"], id="all"),
        pytest.param({"hidden": [0], "min_score": 0.5}, ["car"], id="one hidden, one filtered"),
    ],
)
def test_a_file_holds_what_is_shown(
    answered, cache, format_id: str, labels_of: Callable[[bytes], list[str]], seen: dict[str, Any], labels: list[str]
) -> None:
    handlers, session = answered
    path = handlers.save(session, format_id, *view(**seen))
    assert is_inside(path, cache)
    assert Path(path).name.startswith("street")
    assert labels_of(Path(path).read_bytes()) == labels


def test_there_is_nothing_to_save_before_an_answer(ask) -> None:
    handlers, session = ask()
    with pytest.raises(gr.Error, match="There is no answer to save yet"):
        handlers.save(session, "png", *view())


def test_a_new_answer_sets_every_control_to_what_was_drawn(steps) -> None:
    """The file that is saved is drawn from the controls, so that a control which a run forgets makes them differ."""
    controls = ("style", "has_labels", "opacity", "min_score", "labels")
    assert [name for name in controls if steps[-1].get(name, SKIP) == SKIP] == []


# Errors


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(EngineFailed("There is not enough memory. Close other programs."), id="engine"),
        pytest.param(CheckpointUnavailable("<b>That</b> is not a checkpoint."), id="checkpoint"),
        pytest.param(InputRejected("That is no way to decode.", field="decoding"), id="input"),
    ],
)
def test_a_failed_run_says_why_and_keeps_what_was_drawn(ask, error) -> None:
    handlers, session = ask(replace(WRITING, regions=(CAR,)), error)
    drawn, failed = run(handlers, form(session))
    assert failed["status"][-1] == {"text": str(error), "tone": "error"}
    assert [box["label"] for box in failed["stage"].boxes] == ["car"]
    assert (drawn["stage"].busy, failed["stage"].busy) == (True, False)
    assert (failed["answer"], failed["table"], failed["session"]) == (SKIP, SKIP, SKIP)


def test_a_run_that_fails_before_it_began_shows_the_plain_picture(ask) -> None:
    handlers, session = ask(CheckpointUnavailable("It is still loading."))
    (failed,) = run(handlers, form(session))
    assert (failed["stage"].image.path, failed["stage"].boxes) == (session.display_path, [])
    assert failed["status"][-1] == {"text": "It is still loading.", "tone": "error"}


def test_a_bug_is_a_sentence_too_and_only_where_it_was_met_is_logged(ask, caplog) -> None:
    handlers, session = ask(replace(WRITING, regions=(CAR,)), ZeroDivisionError("of Ann's secret"))
    *_, failed = run(handlers, form(session))
    said = failed["status"][-1]
    assert said["tone"] == "error"
    assert said["text"].startswith("Something is wrong with the playground itself (ZeroDivisionError). Try again")
    assert [box["label"] for box in failed["stage"].boxes] == ["car"]
    assert "ZeroDivisionError, most recent call last" in caplog.text
    assert "handlers.py" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("place", ["picture", "file"])
def test_a_full_disk_is_a_sentence(ask, upload, monkeypatch, place: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    handlers, session = ask()
    monkeypatch.setattr("gradio.processing_utils.save_bytes_to_cache", fail)
    if place == "picture":
        _, problem, *_ = handlers.take_picture(session.path, "<OD>", ANN)
        said = problem[0]["text"]
    else:
        with pytest.raises(gr.Error) as caught:
            handlers.save(replace(session, prediction=ANSWER), "png", *view())
        said = caught.value.message
    assert said == "The disk of the playground is full. Try again later, or tell whoever runs it."


def test_after_a_failure_the_session_can_run_again(ask) -> None:
    handlers, session = ask(EngineFailed("No memory."))
    handlers.check(*form(session), ANN)
    assert len(list(run(handlers, form(session)))) == 1
    handlers._predictor.script = (ANSWER,)
    (step,) = run(handlers, form(session))
    assert step["session"].prediction.stage is RunStage.DONE


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda h, _: h.choose_checkpoint("<img src=x>"), id="checkpoint"),
        pytest.param(lambda h, s: h.save(replace(s, prediction=ANSWER), "<img src=x>", *view()), id="format"),
        pytest.param(lambda h, s: list(api_of(h).run(s.path, "<img src=x>")), id="task"),
        pytest.param(lambda h, s: h.save(replace(s, prediction=ANSWER), "png", *view(styles=["<img>"])), id="style"),
        pytest.param(lambda h, s: api_of(h).export(s.path, {"<img>": 1}, "png"), id="prediction"),
        pytest.param(lambda h, s: api_of(h).export(s.path, {**ANSWER.to_dict(), "text": 1}, "<img>"), id="wire form"),
    ],
)
def test_what_a_sentence_quotes_is_escaped(ask, call: Callable[[Handlers, Session], Any]) -> None:
    handlers, session = ask()
    with pytest.raises(gr.Error) as caught:
        call(handlers, session)
    assert "<" not in caught.value.message


# The pace


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(streams.time, "monotonic", lambda: self.now)

    def at(self, *steps: tuple[float, Prediction]) -> Generator[Prediction, None, None]:
        for self.now, prediction in steps:
            yield prediction


def numbered(number: int, **changes: Any) -> Prediction:
    return replace(WRITING, text=str(number), **changes)


def test_at_most_ten_updates_a_second_are_passed_on(monkeypatch) -> None:
    clock = Clock(monkeypatch)
    tokens = [(index / 100, numbered(index)) for index in range(100)]  # a second, a token each hundredth
    passed = list(streams.paced(clock.at(*tokens)))
    assert 5 <= len(passed) <= 10
    assert passed[0].text == "0"


def test_each_new_stage_and_the_final_answer_are_passed_on_at_once(monkeypatch) -> None:
    stages = (RunStage.WAITING, RunStage.ENCODING_IMAGE, RunStage.ENCODING_PROMPT, RunStage.WRITING)
    begun = [(0.0, numbered(index, stage=stage)) for index, stage in enumerate(stages)]
    written = [(0.01, numbered(4)), (0.02, numbered(5)), (0.03, numbered(6, is_final=True))]
    passed = streams.paced(Clock(monkeypatch).at(*begun, *written))
    assert [prediction.text for prediction in passed] == ["0", "1", "2", "3", "6"]


def test_what_is_due_after_a_pause_is_passed_on(monkeypatch) -> None:
    passed = streams.paced(Clock(monkeypatch).at((0, numbered(0)), (0.05, numbered(1)), (0.2, numbered(2))))
    assert [prediction.text for prediction in passed] == ["0", "2"]


def test_a_reader_that_goes_ends_the_run() -> None:
    ended = []

    def predictions() -> Generator[Prediction, None, None]:
        try:
            yield WRITING
        finally:
            ended.append(True)

    paced = streams.paced(predictions())
    next(paced)
    paced.close()
    assert ended == [True]


# ZeroGPU


def worker(task: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Stand in for `spaces.GPU`: arguments and values are pickled, and of errors only gr.Error keeps its text."""

    def call(*arguments: Any) -> Iterator[Any]:
        running = task(*pickle.loads(pickle.dumps(arguments)))
        with closing(running):  # type: ignore[type-var]
            while True:
                try:
                    value = next(running)
                except StopIteration:
                    return
                except gr.Error:
                    raise
                except Exception as error:
                    raise gr.Error(type(error).__name__, title="ZeroGPU worker error") from error
                yield pickle.loads(pickle.dumps(value))

    return call


@pytest.fixture
def on_zero_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], Handlers]]:
    spaces = ModuleType("spaces")
    spaces.GPU = worker  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    monkeypatch.setattr(streams, "_zero_gpu_predictor", None)
    return lambda predictor: Handlers(predictor, Settings(on_zero_gpu=True))


@pytest.mark.usefixtures("every_step")
def test_a_run_in_the_process_of_zero_gpu_gives_the_same_answer(on_zero_gpu, predictor, steps) -> None:
    handlers = on_zero_gpu(predictor)
    *_, last = run(handlers, form(steps[-1]["session"]))
    assert last["session"].prediction.regions == steps[-1]["session"].prediction.regions


def test_a_picture_of_the_api_reaches_the_process_of_zero_gpu(on_zero_gpu, ask) -> None:
    _, session = ask()
    predictor = ScriptedPredictor(ANSWER)
    ((prediction, _drawn),) = api_of(on_zero_gpu(predictor), on_zero_gpu=True).run(session.path, "<OD>")
    (asked,) = predictor.asked
    assert isinstance(asked[0], InputImage)
    assert asked[0].resolution_wh == (60, 40)
    assert prediction == ANSWER.to_dict()


@pytest.mark.usefixtures("every_step")
def test_on_zero_gpu_stop_takes_effect_at_the_next_value(on_zero_gpu, ask) -> None:
    _, session = ask()
    predictor = ScriptedPredictor(WRITING, replace(WRITING, regions=(CAR,)), WRITING, ANSWER)
    handlers = on_zero_gpu(predictor)
    running = run(handlers, form(session))
    next(running)
    handlers.stop(ANN)
    (last,) = running
    assert (last["session"].prediction.stage, last["session"].prediction.regions) == (RunStage.STOPPED, (CAR,))
    assert predictor.stops == [None]  # an event of this process is not seen in the other


@pytest.mark.parametrize(
    "prediction",
    [
        pytest.param(ANSWER, id="boxes"),
        pytest.param(replace(ANSWER, regions=(), notices=("Cut.",), is_truncated=True), id="text"),
        pytest.param(
            replace(ANSWER, regions=(Region("a", (0, 0, 9, 9), xyxyxyxy=(0, 0, 9, 0, 9, 9, 0, 9)),)), id="quads"
        ),
        pytest.param(
            replace(ANSWER, regions=(Region("a", (0, 0, 9, 9), polygons=(((0, 0), (9, 0), (9, 9)),)),)), id="polygons"
        ),
    ],
)
def test_predictions_travel_between_processes(prediction: Prediction) -> None:
    assert pickle.loads(pickle.dumps(prediction)) == prediction


def test_a_sentence_for_the_user_survives_the_process_of_zero_gpu(on_zero_gpu, ask) -> None:
    _, session = ask()
    handlers = on_zero_gpu(ScriptedPredictor(EngineFailed("There is not enough memory.")))
    (failed,) = run(handlers, form(session))
    assert failed["status"][-1] == {"text": "There is not enough memory.", "tone": "error"}


# The API


def test_the_tasks_are_listed_with_what_they_need(ask) -> None:
    handlers, _ = ask()
    rows = api_of(handlers).tasks()
    assert [row["id"] for row in rows] == list(NEEDS)
    assert rows[0] == {
        "id": "<OD>",
        "title": "Find every object",
        "group": "Find",
        "input": "none",
        "output": "labeled boxes",
    }
    assert rows[3]["input"] == "classes"
    assert json.loads(api_of(handlers).list_tasks()) == rows


@pytest.mark.usefixtures("every_step")
def test_the_api_streams_and_only_its_last_value_has_a_picture(ask) -> None:
    handlers, session = ask(WRITING, ANSWER)
    (first, nothing), (last, drawn) = api_of(handlers).run(session.path, "<OD>")
    assert (first["is_final"], nothing, last) == (False, None, ANSWER.to_dict())
    assert pixels(drawn).shape == (40, 60, 3)


def test_the_tool_answers_in_json_text(ask) -> None:
    handlers, session = ask(ANSWER)
    answer = api_of(handlers).ask_florence2(session.path)
    assert json.loads(answer) == ANSWER.to_dict()


def test_the_api_without_a_picture_says_so(ask) -> None:
    handlers, _ = ask()
    with pytest.raises(gr.Error, match="picture"):
        list(api_of(handlers).run(None, "<OD>"))


def test_the_export_names_every_format() -> None:
    ids = [row.id for row in FORMATS]
    assert f"One of {', '.join(ids)}." in str(Api.export.__doc__)


def test_a_prediction_from_outside_is_written_as_a_file(ask, cache) -> None:
    handlers, session = ask()
    path = api_of(handlers).export(session.path, ANSWER.to_dict(), "json")
    assert is_inside(path, cache)
    assert json_labels(Path(path).read_bytes()) == ["car", "tree", "car"]


# The status


def test_the_status_follows_a_checkpoint_until_it_is_settled(ask) -> None:
    handlers, _ = ask()
    lines, banner, timer = handlers.poll("florence-2-base")
    assert [line["tone"] for line in lines] == ["plain"]
    assert (banner, timer.active) == ([], True)


def test_a_ready_checkpoint_is_not_asked_again(predictor) -> None:
    lines, banner, timer = Handlers(predictor, Settings()).poll("")
    assert [line["tone"] for line in lines] == ["good"]
    assert "tiny demo model" in banner[0]["text"]
    assert timer.active is False


def test_a_view_is_read_from_the_controls() -> None:
    assert read_view(["box"], False, 0.25, 0.5, ["car"], RegionTableData(hidden=[2, 3])) == View(
        drawing.Look(styles=("box",), labels=False, opacity=0.25), 0.5, frozenset({"car"}), frozenset({2, 3})
    )


def test_a_picture_that_is_no_longer_kept_is_a_sentence_and_not_a_crash(ask) -> None:
    handlers, session = ask(ANSWER)
    Path(session.display_path).unlink()
    Path(session.path).unlink()
    (failed,) = run(handlers, form(session))
    assert failed["status"][-1]["tone"] == "error"
    assert failed["status"][-1]["text"].startswith("No picture")
    with pytest.raises(gr.Error, match="No picture"):
        handlers.redraw(replace(session, prediction=ANSWER), "<OD>", False, *view())


class ScriptedPool:
    """A pool whose checkpoint passes through states, one a look."""

    current_name = "tiny-florence2"

    def __init__(self, *states: State) -> None:
        self.states = list(states)
        self.requested: list[str] = []

    def request(self, name: str) -> None:
        self.requested.append(name)

    def status(self, name: str = "") -> Status:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return Status(resolve(BUNDLED), state, None, f"Tiny demo model is {state.value}.")


def waiting(monkeypatch, *states: State, **settings: Any) -> tuple[Handlers, Iterator[Any]]:
    monkeypatch.setattr("playground.ui.handlers._SECONDS_BETWEEN_LOOKS", 0)
    predictor = ScriptedPredictor()
    predictor.pool = ScriptedPool(*states)  # type: ignore[assignment]
    handlers = Handlers(predictor, Settings(**settings))  # type: ignore[arg-type]
    return handlers, handlers.wait(*form(Session()), ANN)


def test_a_run_waits_for_its_checkpoint_outside_the_models_queue(monkeypatch) -> None:
    handlers, looks = waiting(monkeypatch, *[State.DOWNLOADING] * 6, State.READY)
    assert "downloading" in next(looks)[0]["text"]
    assert "ready" in list(looks)[-1][0]["text"]
    assert handlers._predictor.pool.requested == [""]


def test_a_checkpoint_that_fails_ends_the_wait_in_its_sentence_and_is_not_tried_again(monkeypatch) -> None:
    handlers, looks = waiting(monkeypatch, *[State.DOWNLOADING] * 6, State.FAILED)
    seen = [next(looks) for _ in range(4)]  # each looks twice: to decide, and to show
    with pytest.raises(gr.Error, match="Tiny demo model is failed"):
        next(looks)
    assert seen[0][-1]["text"] == text.WAITING
    assert text.WAITING not in [line["text"] for line in seen[-1]]
    assert handlers._predictor.pool.requested == [""]


def test_stop_ends_the_wait_for_a_checkpoint(monkeypatch) -> None:
    handlers, looks = waiting(monkeypatch, State.DOWNLOADING)
    handlers._stops.expect(ANN.session_hash)
    next(looks)
    handlers.stop(ANN)
    assert len(list(looks)) <= 1


def test_the_wait_for_a_checkpoint_is_bounded_and_says_what_to_do(monkeypatch) -> None:
    _, looks = waiting(monkeypatch, State.DOWNLOADING, load_wait_seconds=0)
    with pytest.raises(gr.Error, match=r"Tiny demo model is still loading after 0 seconds\. Try again later"):
        list(looks)
