"""Jobs over HTTP: what is given is checked, a job goes on when nobody listens, and its key finds it again."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.live import Http
from tests.ui.examples import BEACH, MEADOW


def given(*paths: str) -> list[dict[str, Any]]:
    return [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]


def test_a_zip_is_a_job_that_its_key_alone_finds_again(http: Http) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(BEACH, "day/beach.png")
        archive.write(MEADOW, "day/meadow.png")
        archive.writestr("day/broken.png", b"no picture")
    (path,) = http.upload("day.zip", packed.getvalue()).json()
    event, (progress, (written,)) = http.call("annotate", given(path), "<OD>", "", None, "json")
    assert (event, progress["state"], progress["answered"], progress["failed"]) == ("complete", "done", 2, 1)
    assert sorted(row["name"] for row in progress["last"]) == ["beach", "broken", "meadow"]
    lines = http.get(f"/file={written['path']}").text.splitlines()
    assert [json.loads(line)["checkpoint"] for line in lines] == ["tiny-florence2"] * 2
    (again, _) = http.call("job", progress["job"])[1]
    assert again["answered"] == 2
    assert "no such job" in http.call("job", progress["job"][::-1])[1]["error"]
    assert http.call("job", progress["job"], "delete")[1][0]["state"] == "deleted"
    assert {http.get(f"/file={gone}").status_code for gone in (path, written["path"])} <= {403, 404}
    assert "no such job" in http.call("job", progress["job"])[1]["error"]


@pytest.mark.parametrize("path", ["/etc/hostname", "nowhere.png"])
def test_no_file_is_taken_that_was_not_uploaded(http: Http, path: str) -> None:
    for value in (given(path), [{"path": path}]):
        event, content = http.call("annotate", value, "<OD>")
        assert event == "error"
        assert "job" not in str(content)


def test_what_cannot_be_done_is_a_sentence(http: Http, tmp_path: Path) -> None:
    listed = http.upload("list.txt", b"/etc/hostname").json()
    picture = http.uploaded(BEACH)
    for call, said in (
        (("annotate", [], "<OD>"), "no file"),
        (("annotate", given(*listed), "<OD>"), "no file of pictures"),
        (("annotate", given(picture), "<NOTHING>"), "<NOTHING>"),
        (("annotate", given(picture), "<REGION_TO_OCR>"), "none are drawn here"),
        (("annotate", given(picture), "<OD>", "", None, "gif"), "not a format"),
        (("annotate", given(picture), "<OPEN_VOCABULARY_DETECTION>", ["tree"]), "phrase must be text"),
        (("annotate", given(picture), "<OD>", "", None, None), "'none' is not a format"),
        (("annotate", given(picture), "<OD>", "", None, "csv", 0), "input should be a JSON object, but got 0"),
        (("annotate", picture, "<OD>"), "Upload files to /gradio_api/upload, and send their paths as ["),
        (("job", "key", "dance"), "cannot be done"),
        (("job", "key", None), "cannot be done"),
        (("job", "key", "follow", "json", "no"), "must be true or false, but got"),
    ):
        event, content = http.call(*call)
        assert (event, said in content["error"]) == ("error", True), (call, content)
