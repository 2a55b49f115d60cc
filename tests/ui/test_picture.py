"""The field for a picture as programs see it: forged requests for what nobody uploaded, and kinds of pictures."""

import base64
import html
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from playground import paths
from playground.pictures.limits import Limits
from playground.pictures.workers import PictureWorkers
from playground.predictor import Predictor
from playground.settings import Settings
from tests.live import Http, running
from tests.ui.examples import BEACH, TRUTH, assert_finds

MEGABYTE = 1024 * 1024
META = {"_type": "gradio.FileData"}
NOT_UPLOADED = "That picture is not among the uploaded files. Upload it, then send what the upload returned."

Save = Callable[[Image.Image, Path], Any]


def ask(http: Http, path: Path) -> tuple[str, Any]:
    """Ask for the objects of a picture; returns the prediction, or the sentence that refuses it."""
    event, answer = http.call("run", {"path": http.uploaded(path)}, "<OD>")
    return event, answer[0] if event == "complete" else html.unescape(answer["error"])


# Pictures that nobody uploaded


@pytest.fixture(scope="module")
def places(url: str, cache: Path) -> dict[str, str]:
    """A picture outside the upload cache, a link in the cache to it, a path that climbs to it; a page of the server."""
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
def test_no_function_opens_what_was_not_uploaded(http: Http, places: dict[str, str], forgery: Any) -> None:
    functions = http.functions_taking("image")
    assert {"run", "export", "take_picture"} <= {function["name"] for function in functions}
    for function in functions:
        is_done, answer = http.forge(function, "image", in_place(forgery, places))
        assert not is_done, (function["name"], answer)
        assert "data" not in answer, function["name"]
        said = answer.get("error") or json.loads(answer["text"])["detail"]  # the second before anything is queued
        refusals = (NOT_UPLOADED, "cannot be used. Upload a picture to", "No picture is fetched from an address.")
        assert any(refusal in said for refusal in refusals), (function["name"], said)


def test_what_was_uploaded_is_opened(http: Http) -> None:
    """The other half of the test above: forged calls are refused for the picture's sake alone."""
    picture = {"path": http.uploaded(BEACH)}
    is_done = {f["name"]: http.forge(f, "image", picture)[0] for f in http.functions_taking("image")}
    assert is_done["run"]
    assert is_done["take_picture"]


def test_a_file_in_another_input_is_not_opened(http: Http, places: dict[str, str]) -> None:
    file = {"path": places["OUTSIDE"], "meta": META}
    event, _ = http.call("run", {"path": http.uploaded(BEACH)}, "<REGION_TO_OCR>", "", [file])
    assert event == "error"
    question = {"task": "<REGION_TO_OCR>", "regions": [file]}
    event, _ = http.call("run", {"path": http.uploaded(BEACH)}, "<OD>", "", [], "", "greedy", None, question)
    assert event == "error"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", str(paths.EXAMPLES.parents[1] / "app.py"), "assets/examples/beach.png", ".git/config"]
)
def test_files_of_the_server_are_not_served(http: Http, path: str) -> None:
    assert http.get(f"/file={path}").status_code in (403, 404)


# Data URLs and files over the limit


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize("field", ["path", "url"])
def test_a_data_url_is_a_picture(http: Http, field: str) -> None:
    event, (prediction, _) = http.call("run", {field: data_url(BEACH.read_bytes())}, "<OD>")
    assert event == "complete"
    assert_finds(prediction, "beach.png")


@pytest.mark.parametrize(
    ("make_url", "sentence"),
    [
        pytest.param(lambda: data_url(b"hello", "text/plain"), "This file is no picture of a kind", id="text"),
        pytest.param(lambda: data_url(b"<svg/>", "image/svg+xml"), "This file is an SVG drawing.", id="SVG"),
        pytest.param(lambda: "data:image/png;base64,§§", "The picture's data URL is not valid", id="not base64"),
        pytest.param(lambda: "data:image/png,abc", "The picture's data URL is not valid", id="without base64"),
    ],
)
def test_a_bad_data_url_is_refused(http: Http, make_url: Callable[[], str], sentence: str) -> None:
    event, answer = http.call("run", {"url": make_url()}, "<OD>")
    assert event == "error"
    assert html.unescape(answer["error"]).startswith(sentence)


@pytest.fixture
def strict(predictor: Predictor, tmp_path: Path) -> Iterator[Http]:
    """A server that takes 1 MB, and keeps it for a second."""
    limited = Predictor(predictor.engines, read=PictureWorkers(Limits(max_megabytes=1)).read)
    settings = Settings(offline=True, max_megabytes=1, keep_files_seconds=1)
    with running(limited, settings, tmp_path) as url:
        yield Http(url)


def test_more_than_the_limit_is_refused(strict: Http) -> None:
    event, answer = strict.call("run", {"url": data_url(bytes(2 * MEGABYTE))}, "<OD>")
    assert event == "error"
    assert answer["error"].startswith("The file has 2.0 MB; the limit is 1.")
    refused = strict.upload("a.png", bytes(MEGABYTE + 1))
    assert refused.status_code == 413
    assert refused.text == "File size exceeded maximum allowed size of 1048576 bytes."


def test_files_are_deleted_when_their_time_is_over(strict: Http) -> None:
    uploaded = Path(strict.upload("a.png", b"not one of the examples, which stay").json()[0])
    assert uploaded.is_file()
    deadline = time.monotonic() + 60
    while uploaded.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
def test_boxes_are_those_of_the_upright_picture(
    http: Http, tmp_path: Path, name: str, save: Save, resolution_wh: list[int]
) -> None:
    with Image.open(paths.EXAMPLES / "night.png") as picture:
        save(picture.convert("RGB"), tmp_path / name)
    event, prediction = ask(http, tmp_path / name)
    assert (event, prediction["resolution_wh"]) == ("complete", resolution_wh)
    assert_finds(prediction, "night.png")


@pytest.mark.parametrize(
    ("save", "sentence"),
    [
        pytest.param(lambda path: Image.new("1", (30_000, 300)).save(path),
                     "The picture has 30000 x 300 pixels; the limit for a side is 20000.", id="30000 pixels wide"),
        pytest.param(lambda path: path.write_text("hello"),
                     "This file is no picture of a kind that is known here, or it is damaged or cut short. Accepted",
                     id="text"),
        pytest.param(lambda path: path.write_bytes(BEACH.read_bytes()[:3000]),
                     "The file is cut short. Fetch or save it again, and try that.", id="half a file"),
    ],
)  # fmt: skip
def test_a_bad_picture_is_refused_and_the_next_one_answered(
    http: Http, tmp_path: Path, save: Callable[[Path], Any], sentence: str
) -> None:
    bad = tmp_path / "bad.png"
    save(bad)
    event, said = ask(http, bad)
    assert event == "error"
    assert said.startswith(sentence)
    event, prediction = ask(http, BEACH)
    assert (event, prediction["resolution_wh"]) == ("complete", TRUTH["beach.png"]["resolution_wh"])
