"""The public endpoints, as plain calls and as programs see them over HTTP: what they answer and what they refuse."""

import html
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from playground import paths
from playground.drawing import annotate
from playground.export import FORMATS, file_name
from playground.question import Question
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import TASKS, InputKind
from playground.ui.api import Api
from playground.ui.picture import Upload
from tests.live import Http
from tests.ui.doubles import ANSWER, CAR, WRITING, ScriptedPredictor
from tests.ui.examples import BEACH, BOXES, LABELS, MEADOW, TRUTH, assert_finds, iou

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def new_client(url: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Client]:
    downloads = tmp_path_factory.mktemp("downloads")
    return lambda: Client(url, verbose=False, analytics_enabled=False, download_files=downloads)


@pytest.fixture(scope="module")
def client(new_client: Callable[[], Client]) -> Client:
    return new_client()


@pytest.fixture(scope="module")
def ask(client: Client) -> Ask:
    """Ask about a picture; returns the final prediction."""

    def predict(picture: Path, task: str = "<OD>", **inputs: Any) -> dict[str, Any]:
        return client.predict(handle_file(picture), task, **inputs, api_name="/run")[0]

    return predict


@pytest.fixture(scope="module")
def answered(ask: Ask) -> dict[str, Any]:
    """The prediction about the beach: three regions."""
    return ask(BEACH)


def api_of(*script: Prediction) -> Api:
    return Api(ScriptedPredictor(*script), Settings())


# What is public


def test_only_what_the_api_page_lists_is_public(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)
    names = ["/annotate", "/export", "/find_more", "/job", "/run", "/sharpen", "/tasks"]
    assert sorted(endpoints["named_endpoints"]) == names
    assert endpoints["unnamed_endpoints"] == {}


def test_tasks_lists_all_of_them_to_a_client_and_over_plain_http(client: Client, http: Http) -> None:
    listed = client.predict(api_name="/tasks")
    assert [row["id"] for row in listed] == [task.id for task in TASKS]
    assert listed[0] == {
        "id": "<OD>", "title": "Find every object", "group": "Find", "input": "none", "output": "labeled boxes",
    }  # fmt: skip
    assert http.call("tasks") == ("complete", [listed])
    assert json.loads(api_of().list_tasks()) == listed


def test_the_export_names_every_format() -> None:
    assert f"One of {', '.join(row.id for row in FORMATS)}." in " ".join(str(Api.export.__doc__).split())


# Asking


@pytest.mark.usefixtures("every_step")
def test_what_the_model_is_not_sure_of_is_in_the_data_but_not_drawn(upload: Callable[..., str]) -> None:
    ghost = replace(CAR, score=0.01)
    for unsure in (replace(ANSWER, regions=(ghost,)), replace(ANSWER, regions=(CAR,), is_unsure=True)):
        api, picture = api_of(unsure), Upload(upload())
        *_, (said, drawn) = api.run(picture, "<OD>")
        assert len(said["regions"]) == 1
        for path in (drawn, api.export(picture, said, "png")):
            with Image.open(path) as shown:
                (low, high), *_ = shown.convert("RGB").getextrema()
                assert high - low <= 2  # nothing but the ground, as JPEG keeps it
        assert len(json.loads(Path(api.export(picture, said, "json")).read_text("utf-8"))["regions"]) == 1


@pytest.mark.usefixtures("every_step")
def test_an_answer_whose_drawing_would_take_too_long_is_drawn_small(
    upload: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotate, "MAX_PAINTED_MEGAPIXELS", 0.01)
    outlined = replace(CAR, polygons=(((4.0, 4.0), (20.0, 4.0), (20.0, 16.0)),))
    *_, (_, drawn) = api_of(replace(ANSWER, regions=(outlined,))).run(Upload(upload((2400, 1600))), "<OD>")
    with Image.open(drawn) as picture:
        assert picture.size == (1600, 1067)


@pytest.mark.usefixtures("every_step")
def test_the_answer_is_streamed_and_only_its_last_value_has_a_picture(upload: Callable[..., str]) -> None:
    (first, nothing), (last, drawn) = api_of(WRITING, ANSWER).run(Upload(upload()), "<OD>")
    assert (first["is_final"], nothing, last) == (False, None, ANSWER.to_dict())
    assert drawn is not None
    with Image.open(drawn) as picture:
        assert picture.size == (60, 40)


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_every_object_of_an_example_is_found_and_drawn(client: Client, name: str) -> None:
    *partial, (final, annotated) = client.submit(handle_file(paths.EXAMPLES / name), api_name="/run")
    assert partial
    assert [prediction["is_final"] for prediction, _ in partial] == [False] * len(partial)
    assert [drawn for _, drawn in partial] == [None] * len(partial)
    assert final["is_final"]
    assert final["resolution_wh"] == TRUTH[name]["resolution_wh"]
    assert_finds(final, name)
    with Image.open(annotated) as picture:
        assert list(picture.size) == TRUTH[name]["resolution_wh"]


@pytest.mark.usefixtures("every_step")
def test_boxes_arrive_one_by_one(client: Client) -> None:
    counts = [len(prediction["regions"]) for prediction, _ in client.submit(handle_file(MEADOW), api_name="/run")]
    assert sorted(set(counts)) == [0, 1, 2, 3, 4]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("task", "phrase", "labels"),
    [
        pytest.param("<OPEN_VOCABULARY_DETECTION>", "kite", ["kite"], id="classes"),
        pytest.param("<CAPTION_TO_PHRASE_GROUNDING>", TRUTH["meadow.png"]["caption"],
                     ["car", "kite", "star", "tree"], id="sentence"),
        pytest.param("<REFERRING_EXPRESSION_SEGMENTATION>", "the tree, the kite",
                     ["the kite", "the tree"], id="expressions"),
    ],
)  # fmt: skip
def test_a_phrase_is_found(ask: Ask, task: str, phrase: str, labels: list[str]) -> None:
    regions = ask(MEADOW, task, phrase=phrase)["regions"]
    assert sorted(region["label"].removeprefix("a ") for region in regions) == labels
    for region in regions:
        assert iou(region["xyxy"], BOXES[region["label"].split()[-1]]) > 0.7


def test_drawn_regions_are_named_each(ask: Ask) -> None:
    prediction = ask(MEADOW, "<REGION_TO_CATEGORY>", regions=[BOXES["kite"], BOXES["car"]])
    assert prediction["text"] == "1. kite\n2. car"
    assert [region["label"] for region in prediction["regions"]] == ["kite", "car"]


def test_a_drawn_region_is_outlined(ask: Ask) -> None:
    (region,) = ask(MEADOW, "<REGION_TO_SEGMENTATION>", regions=[BOXES["car"]])["regions"]
    assert len(region["polygons"][0]) >= 3
    assert iou(region["xyxy"], BOXES["car"]) > 0.7


def test_a_caption_is_grounded(ask: Ask) -> None:
    prediction = ask(MEADOW, "<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>")
    assert prediction["text"] == TRUTH["meadow.png"]["caption"]
    labels = sorted(region["label"].removeprefix("a ") for region in prediction["regions"])
    assert labels == ["car", "kite", "star", "tree"]


@pytest.mark.usefixtures("every_step")
def test_a_careful_answer_is_drafted_first(client: Client) -> None:
    *partial, (final, _) = client.submit(handle_file(MEADOW), "<OD>", decoding="careful", api_name="/run")
    assert any(prediction["is_draft"] for prediction, _ in partial)
    assert not final["is_draft"]
    assert_finds(final, "meadow.png")


def test_every_task_answers(http: Http) -> None:
    not_learned, picture = set(), {"path": http.uploaded(MEADOW)}
    for task in TASKS:
        phrase = "a red tree" if task.input_kind.is_text else ""
        regions = [BOXES["tree"]] if task.input_kind is InputKind.REGIONS else []
        event, answer = http.call("run", picture, task.id, phrase, regions, "", "greedy", 8)
        assert event == "complete", task.id
        prediction = answer[0]
        assert prediction["is_final"], task.id
        if any("has not learned" in notice for notice in prediction["notices"]):
            not_learned.add(task.id)
    assert not_learned == {"<CUSTOM>", "<OCR>+<CROP>"}


def test_two_clients_get_their_own_answers(new_client: Callable[[], Client]) -> None:
    pictures = ["snow-wide.png", "street-tall.png"]
    jobs = [new_client().submit(handle_file(paths.EXAMPLES / name), api_name="/run") for name in pictures]
    for name, job in zip(pictures, jobs, strict=True):
        for prediction, _ in job:
            assert prediction["resolution_wh"] == TRUTH[name]["resolution_wh"]
        assert_finds(prediction, name)


# The question as one object


def test_a_prediction_carries_the_question_that_was_asked(answered: dict[str, Any]) -> None:
    assert answered["question"] == {
        "task": "<OD>", "phrase": "", "regions": [], "checkpoint": "", "decoding": "greedy", "max_new_tokens": None,
    }  # fmt: skip


def test_a_question_takes_the_place_of_the_single_fields(upload: Callable[..., str]) -> None:
    api = api_of(ANSWER)
    question = Question("<REGION_TO_CATEGORY>", "", ((1.0, 2.0, 30.0, 20.0),), "", "careful", 9)
    fields: Any = {"task": "<CUSTOM>", "phrase": "a", "decoding": "greedy", "max_new_tokens": 5}
    ((prediction, _),) = api.run(Upload(upload()), **fields, question=question.to_dict())
    assert Question.from_dict(prediction["question"]) == question


def test_the_question_of_a_prediction_can_be_asked_again(ask: Ask) -> None:
    inputs = {"phrase": "kite, car", "decoding": "careful"}
    first = ask(MEADOW, "<OPEN_VOCABULARY_DETECTION>", **inputs)
    assert ask(MEADOW, question=first["question"]) | {"timings_ms": {}} == first | {"timings_ms": {}}


@pytest.mark.parametrize(
    ("fields", "rest"),
    [
        pytest.param(("<OD>", "", [], "", "greedy", 1024), {"max_new_tokens": 1024.0}, id="seven"),
        pytest.param(("<OD>", "", [], "", "greedy", None), {"max_new_tokens": None}, id="seven, without a limit"),
        pytest.param(("<OD>",), {}, id="two"),
        pytest.param(("<NOPE>", "", [], "", "", 0, {"task": "<OD>"}), {"decoding": "greedy"}, id="a question"),
    ],
)
def test_arguments_that_are_left_out_have_their_defaults(http: Http, fields: Any, rest: dict[str, Any]) -> None:
    event, answer = http.call("run", {"path": http.uploaded(BEACH)}, *fields)
    assert event == "complete"
    assert [region["label"] for region in answer[0]["regions"]] == LABELS
    assert answer[0]["question"].items() >= {"task": "<OD>", **rest}.items()


# Files out


def test_a_prediction_becomes_a_file_of_every_format(client: Client, answered: dict[str, Any]) -> None:
    for row in FORMATS:
        file = client.predict(handle_file(BEACH), answered, row.id, api_name="/export")
        assert Path(file).name == file_name("beach", row.id)
        assert Path(file).stat().st_size > 0


@pytest.mark.parametrize("name", ["名前", "été", "сад 2", "सड़क", "IMG_20260711_183012_BURST001_COVER", "a.b #1"])
def test_a_file_has_the_name_of_the_picture(
    client: Client, answered: dict[str, Any], tmp_path: Path, name: str
) -> None:
    picture = shutil.copy(BEACH, tmp_path / f"{name}.png")
    file = client.predict(handle_file(picture), answered, "coco", api_name="/export")
    assert Path(file).name == f"{name}-coco.zip"
    with zipfile.ZipFile(file) as archive:
        assert f"{name}.png" in {Path(path).name for path in archive.namelist()}


def test_how_others_see_the_file_is_found_out_where_pictures_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    predictor, looked_at = ScriptedPredictor(ANSWER), []
    predictor.look_plainly = lambda source, **_: looked_at.append(source)
    picture = BEACH.read_bytes()
    answer = ANSWER.to_dict() | {"resolution_wh": [900, 900]}
    Api(predictor, Settings()).export(Upload(picture), answer, "voc")
    assert looked_at == [picture]


@pytest.mark.parametrize(
    ("orig_name", "name"),
    [
        pytest.param("a?$ {1}.png", "a_$ {1}.json", id="the sender's, which the path has lost in part"),
        pytest.param("", "a 1.json", id="the path's"),
    ],
)
def test_over_plain_http_the_name_is_the_original_one_or_that_of_the_path(
    http: Http, answered: dict[str, Any], orig_name: str, name: str
) -> None:
    path = http.upload("a?$ {1}.png", BEACH.read_bytes()).json()[0]
    _, (file,) = http.call("export", {"path": path, "orig_name": orig_name}, answered, "json")
    assert file["orig_name"] == name
    assert httpx.get(file["url"]).status_code == 200


def test_json_is_the_wire_form(client: Client, answered: dict[str, Any]) -> None:
    file = client.predict(handle_file(BEACH), answered, "JSON", api_name="/export")
    assert Prediction.from_dict(json.loads(Path(file).read_text("utf-8"))) == Prediction.from_dict(answered)


def test_a_prediction_from_before_there_were_questions_is_still_written(
    client: Client, answered: dict[str, Any]
) -> None:
    old = {name: value for name, value in answered.items() if name not in ("question", "digest")}
    old["regions"] = [{k: v for k, v in region.items() if k != "source"} for region in old["regions"]]
    file = client.predict(handle_file(BEACH), old, "json", api_name="/export")
    written = json.loads(Path(file).read_text("utf-8"))
    assert written["question"]["task"] == written["task"] == "<OD>"
    assert [region["label"] for region in written["regions"]] == LABELS


# What is refused


def refused(call: Callable[[], Any]) -> str:
    """Return the sentence with which a call is refused."""
    with pytest.raises(AppError) as caught:
        call()
    return html.unescape(str(caught.value))


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        pytest.param({"task": "<NOPE>"}, "'<NOPE>' is not a task of this playground. Tasks: <OD>, ", id="task"),
        pytest.param({"task": "<OPEN_VOCABULARY_DETECTION>", "phrase": " , "}, "Type the names", id="phrase"),
        pytest.param({"task": "<OPEN_VOCABULARY_DETECTION>", "phrase": ["a"]}, "The phrase must be text", id="names"),
        pytest.param({"task": "<REGION_TO_OCR>"}, "Mark a region: drag on the picture", id="no region"),
        pytest.param({"task": "<REGION_TO_OCR>", "regions": [[9, 9, 9, 50]]}, "Region 1 has no area", id="flat region"),
        pytest.param({"task": "<REGION_TO_OCR>", "regions": [[0, 0, None, 9]]}, "Region 1 must be four", id="hole"),
        pytest.param({"task": "<REGION_TO_OCR>", "regions": {"a": 1}}, "The regions must be a list", id="not a list"),
        pytest.param({"checkpoint": "../../etc"}, "'../../etc' is not a checkpoint", id="checkpoint"),
        pytest.param({"decoding": "random"}, "'random' is no way to decode; choose one of: ", id="decoding"),
        pytest.param({"max_new_tokens": 0}, "The limit of new tokens must be a whole number", id="limit"),
        pytest.param({"question": {"task": "<NOPE>"}}, "'<NOPE>' is not a task of this playground.", id="asked task"),
        pytest.param({"question": {"task": "<REGION_TO_OCR>"}}, "Mark a region: drag on", id="asked without a region"),
    ],
)
def test_run_refuses_with_a_sentence(ask: Ask, inputs: dict[str, Any], sentence: str) -> None:
    assert refused(lambda: ask(BEACH, **inputs)).startswith(sentence)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        pytest.param([], "input should be a JSON object, but got list", id="list"),
        pytest.param(5, "input should be a JSON object, but got 5", id="number"),
        pytest.param({}, "task: field required", id="no task"),
        pytest.param({"task": 5}, "task: input should be a valid string, but got 5", id="task"),
        pytest.param({"task": "<OD>", "phrase": ["<b>"]}, "phrase: input should be a valid string", id="phrase"),
        pytest.param({"task": "<OD>", "regions": [[1, 2, 3]]}, "regions[0][3]: field required", id="region"),
        pytest.param({"task": "<OD>", "min_score": 0.3}, "there is no 'min_score', but 'min_scores'", id="misspelled"),
        pytest.param({"task": "<OD>", "max_new_tokens": "9"}, "max_new_tokens: input should be a valid number",
                     id="limit"),
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused_with_what_is_wrong(http: Http, question: Any, reason: str) -> None:
    event, answer = http.call("run", {"path": http.uploaded(BEACH)}, "<OD>", "", [], "", "greedy", None, question)
    assert event == "error"
    assert html.unescape(answer["error"]).startswith(f"This is not a question of the playground: {reason}")


def test_run_and_export_ask_for_a_picture(client: Client) -> None:
    assert refused(lambda: client.predict(None, "<OD>", api_name="/run")).startswith("There is no picture.")
    asked = (None, ANSWER.to_dict(), "json")
    assert refused(lambda: client.predict(*asked, api_name="/export")).startswith("There is no picture.")


@pytest.mark.parametrize("number", [float("nan"), float("inf")], ids=str)
def test_numbers_that_json_does_not_have_are_refused(http: Http, number: float) -> None:
    picture = {"path": http.uploaded(BEACH)}
    event, answer = http.call("run", picture, "<REGION_TO_OCR>", "", [[0, 0, number, 50]])
    assert event == "error"
    assert answer["error"].startswith("Region 1 must be four numbers [x_min, y_min, x_max, y_max] in pixels")


def test_an_error_is_plain_text_for_a_program_and_without_markup_for_the_page(http: Http) -> None:
    event, answer = http.call("run", {"path": http.uploaded(BEACH)}, "<img src=x onerror=alert(1)>")
    assert (event, answer["error"].startswith("'<img src=x onerror=alert(1)>' is not a task")) == ("error", True)
    for row in http.functions():
        if row["name"] == "choose_checkpoint":
            _, answer = http.join(row, ["<img src=x>", False, 64, 512, "<OD>", ""])
            assert answer["error"].startswith("Value: &lt;img src=x&gt; is not in the list")
            return
    raise AssertionError("the page has no such function")


@pytest.mark.parametrize("picture", ["/etc/passwd", str(BEACH), 5, [], {"path": 7}], ids=str)
def test_what_is_no_picture_value_is_refused_with_what_is_one(http: Http, picture: Any) -> None:
    event, answer = http.call("run", picture, "<OD>")
    assert event == "error"
    assert answer["error"].startswith("The value of 'image' cannot be used. Upload a picture to /gradio_api/upload")


def test_a_call_with_too_few_values_is_refused_with_their_number(http: Http) -> None:
    (row,) = (row for row in http.functions() if row["name"] == "redraw")
    _, answer = http.join(row, [])
    assert answer["error"].startswith("This call takes ")
    assert answer["error"].endswith("values, but got 0. Send one for each input.")


def forge(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda prediction: {**prediction, **changes}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda prediction: [prediction], "it must be an object, but got list", id="a list"),
        pytest.param(lambda _: None, "it must be an object, but got NoneType", id="nothing"),
        pytest.param(lambda _: {"task": "<OD>"}, "checkpoint: field required", id="only a task"),
        pytest.param(forge(regions=[{"label": "a", "xyxy": [1, 2, 3]}]), "regions[0].xyxy[3]: field", id="3 corners"),
        pytest.param(forge(regions=[{"label": "a", "xyxy": [5, 0, 1, 9]}]), "regions[0]: xyxy must", id="inside out"),
        pytest.param(forge(stage="<b>"), "stage: input should be", id="stage"),
    ],
)
def test_export_refuses_a_forged_prediction(client: Client, answered: dict[str, Any], change: Any, reason: str) -> None:
    sentence = refused(lambda: client.predict(handle_file(BEACH), change(answered), "json", api_name="/export"))
    assert sentence.startswith(f"This is not a prediction of the playground: {reason}")


def test_export_refuses_another_picture(client: Client, answered: dict[str, Any]) -> None:
    sentence = refused(lambda: client.predict(handle_file(MEADOW), answered, "json", api_name="/export"))
    assert sentence.startswith("The prediction is about a picture of 900 x 900 pixels, but this one has 720 x 720.")


@pytest.mark.parametrize("format_", ["<b>", None, 5], ids=str)
def test_export_refuses_an_unknown_format(client: Client, answered: dict[str, Any], format_: Any) -> None:
    sentence = refused(lambda: client.predict(handle_file(BEACH), answered, format_, api_name="/export"))
    assert sentence == f"'{str(format_).lower()}' is not a format. Formats: {', '.join(row.id for row in FORMATS)}."


def test_the_queue_cannot_be_skipped(http: Http) -> None:
    asked = {"data": [{"path": http.uploaded(BEACH)}, "<OD>"]}
    assert http.post("/run/run", asked).status_code == 404


def test_more_of_what_a_box_holds_is_found(http: Http) -> None:
    picture = {"path": http.uploaded(MEADOW), "meta": {"_type": "gradio.FileData"}}
    event, (prediction,) = http.call("find_more", picture, [list(BOXES["tree"])], "")
    assert event == "complete"
    assert [region["label"] for region in prediction["regions"]] == ["tree"]
    assert prediction["regions"][0]["score"] > 0.8
    event, told = http.call("find_more", picture, [], "")
    assert (event, "Mark a region" in str(told)) == ("error", True)
