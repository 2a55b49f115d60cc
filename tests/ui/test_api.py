"""The running app as programs see it: the public endpoints, what they refuse, and what a forged request gets."""

import base64
import csv
import html
import io
import json
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from live import Http, running
from PIL import ExifTags, Image

from playground.predictor import Predictor
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import TASKS, InputKind

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "assets" / "examples"
TRUTH = json.loads((EXAMPLES / "truth.json").read_text("utf-8"))
MEADOW = EXAMPLES / "meadow.png"  # a white kite, a white star, a red tree and a brown car
BOXES = {thing["label"]: thing["xyxy"] for thing in TRUTH["meadow.png"]["things"]}
BEACH = EXAMPLES / "beach.png"  # 900 x 900: a rocket, a ball and an umbrella
LABELS = ["rocket", "ball", "umbrella"]  # in the order of the answer
META = {"_type": "gradio.FileData"}
ASK = ("<OD>", "", [], "", "greedy", 1024)  # what /run takes after the picture
NOT_UPLOADED = "That picture is not among the uploaded files. Upload it, then send what the upload returned."


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("server") / "cache"


@pytest.fixture(scope="module")
def url(predictor: Predictor, cache: Path) -> Iterator[str]:
    cache.mkdir()
    with running(predictor, Settings(checkpoint="tiny-florence2", device="cpu", offline=True), cache) as address:
        yield address


@pytest.fixture(scope="module")
def http(url: str) -> Http:
    return Http(url)


@pytest.fixture(scope="module")
def new_client(url: str, tmp_path_factory) -> Callable[[], Client]:
    downloads = tmp_path_factory.mktemp("downloads")
    return lambda: Client(url, verbose=False, analytics_enabled=False, download_files=downloads)


@pytest.fixture(scope="module")
def client(new_client: Callable[[], Client]) -> Client:
    return new_client()


@pytest.fixture(scope="module")
def ask(client: Client) -> Callable[..., dict[str, Any]]:
    """Ask about a picture; returns the final prediction."""

    def predict(picture: Path, task: str = "<OD>", **inputs: Any) -> dict[str, Any]:
        return client.predict(handle_file(picture), task, **inputs, api_name="/run")[0]

    return predict


@pytest.fixture(scope="module")
def answered(ask: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The prediction about the beach: three regions."""
    return ask(BEACH)


def iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(x_max - x_min) * (y_max - y_min) for x_min, y_min, x_max, y_max in (a, b)]
    return shared / (sum(areas) - shared)


def assert_finds(prediction: dict[str, Any], things: list[dict[str, Any]]) -> None:
    """Every thing has exactly one region, with its label and nearly its box."""
    regions = prediction["regions"]
    assert sorted(region["label"] for region in regions) == sorted(thing["label"] for thing in things)
    for thing in things:
        assert max(iou(r["xyxy"], thing["xyxy"]) for r in regions if r["label"] == thing["label"]) > 0.7, thing


# What is public


def test_only_run_tasks_and_export_are_public(client):
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert sorted(endpoints["named_endpoints"]) == ["/export", "/run", "/tasks"]
    assert endpoints["unnamed_endpoints"] == {}


def test_tasks_lists_all_of_them(client):
    listed = client.predict(api_name="/tasks")
    assert [row["id"] for row in listed] == [task.id for task in TASKS]
    assert listed[0] == {
        "id": "<OD>", "title": "Find every object", "group": "Find", "input": "none", "output": "labeled boxes",
    }  # fmt: skip


# Asking


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_every_object_of_an_example_is_found_and_drawn(client, name):
    *partial, (final, annotated) = client.submit(handle_file(EXAMPLES / name), api_name="/run")
    assert partial
    assert [prediction["is_final"] for prediction, _ in partial] == [False] * len(partial)
    assert [drawn for _, drawn in partial] == [None] * len(partial)
    assert final["is_final"]
    assert final["resolution_wh"] == TRUTH[name]["resolution_wh"]
    assert_finds(final, TRUTH[name]["things"])
    with Image.open(annotated) as picture:
        assert list(picture.size) == TRUTH[name]["resolution_wh"]


def test_boxes_arrive_one_by_one(client, monkeypatch):
    monkeypatch.setattr("playground.ui.streams._SECONDS_BETWEEN_UPDATES", 0)
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
def test_a_phrase_is_found(ask, task, phrase, labels):
    regions = ask(MEADOW, task, phrase=phrase)["regions"]
    assert sorted(region["label"].removeprefix("a ") for region in regions) == labels
    for region in regions:
        assert iou(region["xyxy"], BOXES[region["label"].split()[-1]]) > 0.7


def test_drawn_regions_are_named_each(ask):
    prediction = ask(MEADOW, "<REGION_TO_CATEGORY>", regions=[BOXES["kite"], BOXES["car"]])
    assert prediction["text"] == "1. kite\n2. car"
    assert [region["label"] for region in prediction["regions"]] == ["kite", "car"]


def test_a_drawn_region_is_outlined(ask):
    (region,) = ask(MEADOW, "<REGION_TO_SEGMENTATION>", regions=[BOXES["car"]])["regions"]
    assert len(region["polygons"][0]) >= 3
    assert iou(region["xyxy"], BOXES["car"]) > 0.7


def test_a_caption_is_grounded(ask):
    prediction = ask(MEADOW, "<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>")
    assert prediction["text"] == TRUTH["meadow.png"]["caption"]
    labels = sorted(region["label"].removeprefix("a ") for region in prediction["regions"])
    assert labels == ["car", "kite", "star", "tree"]


def test_a_careful_answer_is_drafted_first(client, monkeypatch):
    monkeypatch.setattr("playground.ui.streams._SECONDS_BETWEEN_UPDATES", 0)
    *partial, (final, _) = client.submit(handle_file(MEADOW), "<OD>", decoding="careful", api_name="/run")
    assert any(prediction["is_draft"] for prediction, _ in partial)
    assert not final["is_draft"]
    assert_finds(final, TRUTH["meadow.png"]["things"])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_every_task_answers(ask, task):
    inputs = {"phrase": "a red tree" if task.input_kind.is_text else ""}
    inputs["regions"] = [BOXES["tree"]] if task.input_kind is InputKind.REGIONS else []
    prediction = ask(MEADOW, task.id, **inputs, max_new_tokens=8)
    assert prediction["is_final"]
    is_told = any("has not learnt" in notice for notice in prediction["notices"])
    assert is_told == (task.id in ("<CUSTOM>", "<OCR>+<CROP>"))


def test_two_clients_get_their_own_answers(new_client):
    pictures = ["snow-wide.png", "street-tall.png"]
    jobs = [new_client().submit(handle_file(EXAMPLES / name), api_name="/run") for name in pictures]
    for name, job in zip(pictures, jobs, strict=True):
        for prediction, _ in job:
            assert prediction["resolution_wh"] == TRUTH[name]["resolution_wh"]
        assert_finds(prediction, TRUTH[name]["things"])


# Files out


def in_zip(path: Path, pattern: str) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name).decode() for name in sorted(archive.namelist()) if re.fullmatch(pattern, name)]


def names_in_zip(path: Path, folder: str) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return sorted(name.removeprefix(folder) for name in archive.namelist() if name.startswith(folder))


def labels_in_csv(path: Path) -> list[str]:
    return [row["label"] for row in csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))]


def labels_in_coco(path: Path) -> list[str]:
    (written,) = map(json.loads, in_zip(path, r"annotations\.json"))
    names = {category["id"]: category["name"] for category in written["categories"]}
    return [names[annotation["category_id"]] for annotation in written["annotations"]]


@pytest.mark.parametrize(
    ("format_", "read", "expected"),
    [
        pytest.param("png", lambda path: Image.open(path).size, (900, 900), id="png"),
        pytest.param("overlay", lambda path: Image.open(path).mode, "RGBA", id="overlay"),
        pytest.param("crops", lambda path: [name[4:-4] for name in names_in_zip(path, "crops/")],
                     LABELS, id="crops"),
        pytest.param("csv", labels_in_csv, LABELS, id="csv"),
        pytest.param("coco", labels_in_coco, LABELS, id="coco"),
        pytest.param("yolo", lambda path: len(in_zip(path, r"labels/.*\.txt")[0].splitlines()), 3, id="yolo"),
        pytest.param("voc", lambda path: re.findall("<name>(.*)</name>", in_zip(path, r".*\.xml")[0]),
                     LABELS, id="voc"),
    ],
)  # fmt: skip
def test_a_prediction_becomes_a_file(client, answered, format_, read, expected):
    file = client.predict(handle_file(BEACH), answered, format_, api_name="/export")
    assert read(Path(file)) == expected


def test_json_is_the_wire_form(client, answered):
    file = client.predict(handle_file(BEACH), answered, "json", api_name="/export")
    assert Prediction.from_dict(json.loads(Path(file).read_text("utf-8"))) == Prediction.from_dict(answered)


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
        pytest.param({"task": "<REGION_TO_OCR>"}, "Mark a region: drag on the picture", id="no region"),
        pytest.param({"task": "<REGION_TO_OCR>", "regions": [[9, 9, 9, 50]]}, "Region 1 has no area", id="flat region"),
        pytest.param({"task": "<REGION_TO_OCR>", "regions": [[0, 0, None, 9]]}, "Region 1 must be four", id="hole"),
        pytest.param({"task": "<REGION_TO_OCR>", "regions": {"a": 1}}, "Mark a region", id="not a list"),
        pytest.param({"checkpoint": "../../etc"}, "'../../etc' is not a checkpoint", id="checkpoint"),
        pytest.param({"decoding": "random"}, "'random' is no way to decode; choose one of: ", id="decoding"),
        pytest.param({"max_new_tokens": 0}, "The limit of new tokens must be a number", id="limit"),
        pytest.param({"max_new_tokens": None}, "The limit of new tokens must be a number", id="no limit"),
    ],
)
def test_run_refuses_with_a_sentence(ask, inputs, sentence):
    assert refused(lambda: ask(BEACH, **inputs)).startswith(sentence)


def test_run_asks_for_a_picture(client):
    assert refused(lambda: client.predict(None, "<OD>", api_name="/run")).startswith("There is no picture.")


@pytest.mark.parametrize("number", [float("nan"), float("inf")], ids=str)
def test_numbers_that_json_does_not_have_are_refused(http, number):
    region = [0, 0, number, 50]
    picture = {"path": http.uploaded(BEACH)}
    event, answer = http.call("run", picture, "<REGION_TO_OCR>", "", [region], "", "greedy", 1024)
    assert event == "error"
    assert answer["error"].startswith("Region 1 must be four numbers [x_min, y_min, x_max, y_max] in pixels")


def test_markup_in_an_error_is_harmless(http):
    event, answer = http.call("run", {"path": http.uploaded(BEACH)}, "<img src=x onerror=alert(1)>", *ASK[1:])
    assert event == "error"
    assert "&lt;img src=x onerror=alert(1)&gt;" in answer["error"]
    assert "<" not in answer["error"]


def forge(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda prediction: {**prediction, **changes}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda prediction: [prediction], "it must be an object, but got list", id="a list"),
        pytest.param(lambda _: None, "it must be an object, but got NoneType", id="nothing"),
        pytest.param(lambda _: {"task": "<OD>"}, "'regions' is missing", id="no regions"),
        pytest.param(forge(regions=[{"label": "a", "xyxy": [1, 2, 3]}]), "xyxy must have 4 numbers", id="3 corners"),
        pytest.param(forge(regions=[{"label": "a", "xyxy": [5, 0, 1, 9]}]), "xyxy must be ordered", id="inside out"),
        pytest.param(forge(stage="<b>"), "'<b>' is not a valid Stage", id="stage"),
    ],
)
def test_export_refuses_a_forged_prediction(client, answered, change, reason):
    sentence = refused(lambda: client.predict(handle_file(BEACH), change(answered), "json", api_name="/export"))
    assert sentence.startswith(f"This is not a prediction of the playground: {reason}")


def test_export_refuses_another_picture(client, answered):
    sentence = refused(lambda: client.predict(handle_file(MEADOW), answered, "json", api_name="/export"))
    assert sentence.startswith("The prediction is about a picture of 900 x 900 pixels, but this one has 720 x 720.")


@pytest.mark.parametrize("format_", ["<b>", None, 5], ids=str)
def test_export_refuses_an_unknown_format(client, answered, format_):
    sentence = refused(lambda: client.predict(handle_file(BEACH), answered, format_, api_name="/export"))
    assert sentence == f"'{format_}' is not a format. Formats: png, overlay, crops, json, csv, coco, yolo, voc."


def test_the_queue_cannot_be_skipped(http):
    assert http.post("/run/run", {"data": [{"path": http.uploaded(BEACH)}, *ASK]}).status_code == 404


# Pictures that nobody uploaded


@pytest.fixture(scope="module")
def places(url: str, cache: Path) -> dict[str, str]:
    """A picture beside the upload cache, a link in the cache to it, a path that climbs to it; a page of the server."""
    outside = cache.parent / "private.png"
    shutil.copy(BEACH, outside)
    link = cache / "0123" / "link.png"
    link.parent.mkdir()
    link.symlink_to(outside)
    return {
        "OUTSIDE": str(outside),
        "LINK": str(link),
        "CLIMB": f"{link.parent}/../../private.png",
        "PAGE": f"{url}/theme.css",
    }


def in_place(forgery: Any, places: dict[str, str]) -> Any:
    text = json.dumps(forgery)
    for name, place in places.items():
        text = text.replace(name, place)
    return json.loads(text)


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    "forgery",
    [
        pytest.param({"path": "/etc/passwd"}, id="a file of the system"),
        pytest.param({"path": "/etc/passwd", "meta": META}, id="a file of the system with meta"),
        pytest.param({"path": "OUTSIDE"}, id="a picture outside the cache"),
        pytest.param({"path": "OUTSIDE", "meta": META}, id="a picture outside the cache with meta"),
        pytest.param({"path": "OUTSIDE", "url": "OUTSIDE", "meta": META}, id="a picture as path and url"),
        pytest.param({"path": "LINK"}, id="a link out of the cache"),
        pytest.param({"path": "LINK", "meta": META}, id="a link out of the cache with meta"),
        pytest.param({"path": "CLIMB"}, id="a path that climbs out of the cache"),
        pytest.param({"path": "CLIMB", "meta": META}, id="a path that climbs out of the cache with meta"),
        pytest.param({"path": "assets/examples/beach.png"}, id="a path below the working folder"),
        pytest.param({"path": "file://OUTSIDE"}, id="a file address as path"),
        pytest.param({"url": "file://OUTSIDE"}, id="a file address"),
        pytest.param({"path": "file://OUTSIDE", "url": "file://OUTSIDE", "meta": META}, id="a file address with meta"),
        pytest.param({"url": "PAGE"}, id="an address of the server"),
        pytest.param({"path": "PAGE", "url": "PAGE", "meta": META}, id="an address of the server with meta"),
        pytest.param({"path": "http://169.254.169.254/a", "meta": META}, id="an address of the cloud"),
        pytest.param("OUTSIDE", id="only a text"),
        pytest.param({"path": ["OUTSIDE"]}, id="a list for a path"),
        pytest.param({"path": "LINK\0.png"}, id="a zero byte"),
        pytest.param({"path": ""}, id="an empty path"),
        pytest.param({}, id="an empty object"),
    ],
)
def test_no_function_opens_what_was_not_uploaded(http, places, forgery):
    functions = http.functions_taking("image")
    assert {"run", "export", "take_picture"} <= {function["name"] for function in functions}
    for function in functions:
        is_done, answer = http.forge(function, "image", in_place(forgery, places))
        assert not is_done, (function["name"], answer)
        assert "data" not in answer, function["name"]
        assert answer.get("error") in (None, NOT_UPLOADED), function["name"]  # None where Gradio itself refuses


def test_what_was_uploaded_is_opened(http):
    """The other half of the test above: forged calls are refused for the picture's sake alone."""
    picture = {"path": http.uploaded(BEACH)}
    is_done = {f["name"]: http.forge(f, "image", picture)[0] for f in http.functions_taking("image")}
    assert is_done["run"]
    assert is_done["take_picture"]


def test_a_file_in_another_input_is_not_opened(http, places):
    file = {"path": places["OUTSIDE"], "meta": META}
    event, _ = http.call("run", {"path": http.uploaded(BEACH)}, "<REGION_TO_OCR>", "", [file], "", "greedy", 1024)
    assert event == "error"


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "app.py"), "assets/examples/beach.png", ".git/config"])
def test_files_of_the_server_are_not_served(http, path):
    assert http.get(f"/file={path}").status_code in (403, 404)


@pytest.mark.parametrize("field", ["path", "url"])
def test_a_data_url_is_a_picture(http, field):
    event, (prediction, _) = http.call("run", {field: data_url(BEACH.read_bytes())}, *ASK)
    assert event == "complete"
    assert_finds(prediction, TRUTH["beach.png"]["things"])


@pytest.mark.parametrize(
    ("make_url", "sentence"),
    [
        pytest.param(lambda: data_url(bytes(21 * 1024 * 1024)), "The file has 21.0 MB; the limit is 20.", id="21 MB"),
        pytest.param(lambda: data_url(b"hello", "text/plain"), "This file is not a picture", id="text"),
        pytest.param(lambda: data_url(b"<svg/>", "image/svg+xml"), "This file is an SVG drawing.", id="SVG"),
        pytest.param(lambda: "data:image/png;base64,§§", "The picture's data URL is not valid", id="not base64"),
        pytest.param(lambda: "data:image/png,abc", "The picture's data URL is not valid", id="without base64"),
    ],
)
def test_a_bad_data_url_is_refused(http, make_url, sentence):
    event, answer = http.call("run", {"url": make_url()}, *ASK)
    assert event == "error"
    assert html.unescape(answer["error"]).startswith(sentence)


def test_an_upload_over_the_limit_is_refused(http):
    answer = http.upload("a.png", bytes(20 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.text == "File size exceeded maximum allowed size of 20971520 bytes."


def test_files_are_deleted_when_their_time_is_over(predictor, tmp_path):
    with running(predictor, Settings(checkpoint="tiny-florence2", offline=True, keep_files_seconds=1), tmp_path) as url:
        uploaded = Path(Http(url).upload("a.png", b"not one of the examples, which stay").json()[0])
        assert uploaded.is_file()
        deadline = time.monotonic() + 15
        while uploaded.exists():
            assert time.monotonic() < deadline
            time.sleep(0.2)


# Kinds of pictures


def png16(rgb: Image.Image, path: Path) -> None:
    cv2.imwrite(str(path), np.asarray(rgb)[..., ::-1].astype(np.uint16) * 257)


def transparent(rgb: Image.Image, path: Path) -> None:
    """Around the picture, black that is fully transparent: white on paper."""
    framed = Image.new("RGBA", (rgb.width + 40, rgb.height), (0, 0, 0, 0))
    framed.paste(rgb, (0, 0))
    framed.save(path)


def rotated(rgb: Image.Image, path: Path) -> None:
    """Lie on the side, and say in the metadata that it has to be turned clockwise to be seen."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    rgb.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)


@pytest.mark.parametrize(
    ("name", "save", "resolution_wh"),
    [
        pytest.param("a.png", png16, [1024, 768], id="16 bits"),
        pytest.param("a.png", transparent, [1064, 768], id="transparent"),
        pytest.param("a.jpg", rotated, [1024, 768], id="lying on its side"),
        pytest.param("a.gif", lambda rgb, path: rgb.save(path), [1024, 768], id="GIF"),
        pytest.param("a.gif", lambda rgb, path: rgb.save(path, "PNG"), [1024, 768], id="PNG named GIF"),
    ],
)
def test_boxes_are_those_of_the_upright_picture(ask, tmp_path, name, save, resolution_wh):
    with Image.open(EXAMPLES / "night.png") as picture:
        save(picture.convert("RGB"), tmp_path / name)
    prediction = ask(tmp_path / name)
    assert prediction["resolution_wh"] == resolution_wh
    assert_finds(prediction, TRUTH["night.png"]["things"])


@pytest.mark.parametrize(
    ("save", "sentence"),
    [
        pytest.param(lambda path: Image.new("1", (10_000, 10_000)).save(path),
                     "The file has 100.0 megapixels (10000 x 10000); the limit is 40. Scale it down and try again.",
                     id="100 megapixels in 12 KB"),
        pytest.param(lambda path: path.write_text("hello"),
                     "This file is not a picture, or it is damaged or cut short. Accepted are JPEG, PNG, ", id="text"),
        pytest.param(lambda path: path.write_bytes(BEACH.read_bytes()[:3000]),
                     "The file is cut short. Fetch or save it again, and try that.", id="half a file"),
    ],
)  # fmt: skip
def test_a_bad_picture_is_refused_and_the_next_one_answered(ask, tmp_path, save, sentence):
    bad = tmp_path / "bad.png"
    save(bad)
    assert refused(lambda: ask(bad)).startswith(sentence)
    assert_finds(ask(BEACH), TRUTH["beach.png"]["things"])


# The examples of the README


def example(language: str, word: str, url: str) -> str:
    """Return the block of the README in a language that holds a word, for the app that runs here."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if word in block)
    return block.replace("http://127.0.0.1:7860", url)


def test_the_client_example_of_the_readme_works(url, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(example("python", "gradio_client", url), {})
    assert "'label': 'tree'" in capsys.readouterr().out


def test_the_curl_example_of_the_readme_works(url):
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("curl or bash is not on PATH.")
    script = f"export no_proxy=127.0.0.1\n{example('sh', 'curl', url)}"
    output = subprocess.run([bash, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    *_, last = output.strip().split("\n\n")
    event, content = (line.partition(": ")[2] for line in last.splitlines())
    assert event == "complete"
    assert_finds(json.loads(content)[0], TRUTH["meadow.png"]["things"])
