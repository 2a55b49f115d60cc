"""Texts out: captions and what was read, as plain text, in tables, in pictures and in what is written into them."""

import io
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from playground.errors import ExportRejected
from playground.export import DRAWN_FORMATS, Affixes, Annotated, as_counts, files
from playground.pictures.reader import InputImage
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from tests.export.samples import ALL, CAR, NOTE, SIGN, TREE, described, files_of, noise, predict, rows_of, written

CAPTION = "A red car stands before a tree. It is noon, and nobody is there.\n停车"
DRAWN = ("png", "jpeg")


def said(text: str = CAPTION, *regions: Region, task: str = "<CAPTION>") -> Prediction:
    return replace(predict(*regions, question=Question(task)), text=text)


def save(format_id: str, prediction: Prediction) -> bytes:
    return written([Annotated("street", prediction, noise())], format_id)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize(
    ("prediction", "text"),
    [
        pytest.param(said(), CAPTION + "\n", id="caption"),
        pytest.param(said("STOP\n停", task="<OCR>"), "STOP\n停\n", id="what was read"),
        pytest.param(said("", task="<OCR>"), "", id="nothing read"),
        pytest.param(said("car, tree", CAR, TREE, task="<OD>"), "car\ntree\n", id="things found"),
        pytest.param(said("2 × STOP", SIGN, replace(SIGN, label="two\nlines"), task="<OCR_WITH_REGION>"),
                     "STOP two lines\n", id="what was read, with its place"),
        pytest.param(said("", task="<OD>"), "", id="nothing found"),
        pytest.param(said(CAPTION, CAR, task="<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>"), CAPTION + "\n",
                     id="caption with its things"),
        pytest.param(said("1. car", CAR, task="<REGION_TO_CATEGORY>"), "car\n", id="names of regions"),
        pytest.param(said("Paris", task="<CUSTOM>"), "Paris\n", id="a prompt of one's own"),
        pytest.param(said("car", CAR, task="<CUSTOM>"), "car\n", id="a prompt of one's own that finds things"),
        pytest.param(said("Paris", task="<NO_SUCH_TASK>"), "Paris\n", id="a task that is not in the table"),
    ],
)  # fmt: skip
def test_the_text_of_an_answer(prediction: Prediction, text: str) -> None:
    assert save("txt", prediction).decode("utf-8") == text


def test_several_texts_lie_beside_their_pictures_names() -> None:
    pictures = [Annotated("名前", said(), noise()), Annotated("été", said("", task="<OCR>"), noise())]
    assert files_of(written(pictures, "txt")) == {"名前.txt": (CAPTION + "\n").encode(), "été.txt": b""}


def test_captions_to_train_on_lie_beside_their_pictures() -> None:
    pictures = [
        Annotated("a", said(), noise(), affixes=Affixes("photo of xyz, ", ", 35 mm")),
        Annotated("b", said("2 × car", CAR, CAR, TREE, task="<OD>"), noise(1), affixes=Affixes("xyz, ")),
        Annotated("c", replace(said(), is_unsure=True), noise(2), affixes=Affixes("xyz, ")),
    ]
    files = files_of(written(pictures, "captions"))
    assert list(files) == ["a.png", "a.txt", "b.png", "b.txt", "c.png", "README.txt"]
    assert files["a.txt"].decode() == f"photo of xyz, {CAPTION}, 35 mm\n"
    assert files["b.txt"].decode() == "xyz, car, tree\n"


def test_a_table_of_counts_has_a_row_for_each_picture_and_a_column_for_each_class(monkeypatch) -> None:
    asked = Question("<OPEN_VOCABULARY_DETECTION>", "dog, tree")
    pictures = [
        Annotated("=a", said("", CAR, CAR, TREE, task="<OD>"), noise()),
        Annotated("b", predict(CAR, question=asked), noise()),
        Annotated("c", replace(predict(), is_unsure=True), noise()),
    ]
    rows = rows_of(written(pictures, "counts"))
    assert rows == [
        {
            "picture": "'=a",
            "regions": "3",
            "lowest_score": "0.875",
            "is_unsure": "no",
            "car": "2",
            "tree": "1",
            "dog": "0",
        },
        {
            "picture": "b",
            "regions": "1",
            "lowest_score": "0.875",
            "is_unsure": "no",
            "car": "1",
            "tree": "0",
            "dog": "0",
        },
        {"picture": "c", "regions": "0", "lowest_score": "", "is_unsure": "yes", "car": "0", "tree": "0", "dog": "0"},
    ]
    monkeypatch.setattr(as_counts, "_MAX_CLASSES", 1)
    assert [(row["car"], row["others"]) for row in rows_of(written(pictures, "counts"))] == [
        ("2", "1"), ("1", "0"), ("0", "0"),
    ]  # fmt: skip


def test_a_table_has_a_row_for_a_text() -> None:
    (row,) = rows_of(save("csv", said()))
    assert (row.pop("text"), row.pop("is_unsure")) == (CAPTION, "no")
    assert set(row.values()) == {""}
    grounded = rows_of(save("csv", said(CAPTION, CAR, task="<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>")))
    assert [(row["label"], row["text"]) for row in grounded] == [("", CAPTION), ("car", "")]
    assert rows_of(save("csv", said("=1+1")))[0]["text"] == "'=1+1"


def test_a_table_of_several_pictures_says_whose_text_it_is() -> None:
    pictures = [Annotated("a", said(), noise()), Annotated("-b", said("", task="<OCR>"), noise())]
    rows = rows_of(written(pictures, "csv"))
    assert [(row["picture"], row["text"]) for row in rows] == [("a", CAPTION), ("'-b", "")]


@pytest.mark.parametrize("format_id", [*DRAWN, "overlay"])
def test_a_text_is_written_into_the_file(format_id: str) -> None:
    note = f"Florence-2 Playground: tiny-florence2 answered <CAPTION>. {NOTE}"
    assert described(opened(save(format_id, said()))) == f"{CAPTION}\n\n{note}"


@pytest.mark.parametrize("format_id", DRAWN)
def test_an_annotated_picture_of_a_caption_has_it_in_a_band_under_the_picture(format_id: str) -> None:
    drawn, picture = opened(save(format_id, said())), noise().pixels
    left = (drawn.width - picture.width) // 2
    whole = drawn.convert("RGB").crop((left, 0, left + picture.width, picture.height))
    assert np.abs(np.asarray(whole).astype(int) - np.asarray(picture)).mean() < (1 if format_id == "png" else 40)
    band = np.asarray(drawn.convert("L"))[picture.height :]
    assert band.shape[0] > 40
    assert (band > 250).mean() > 0.7
    assert band.min() < 60


@pytest.mark.parametrize("format_id", [*DRAWN, "overlay"])
@pytest.mark.parametrize("prediction", [said("car", CAR, task="<OD>"), said("", task="<CAPTION>"), said("  \n")])
def test_without_a_text_there_is_no_band(format_id: str, prediction: Prediction) -> None:
    assert opened(save(format_id, prediction)).size == (160, 120)


@pytest.mark.parametrize("format_id", ALL)
def test_a_text_of_which_the_model_is_not_sure_is_in_no_picture_and_marked_in_data(format_id: str) -> None:
    unsure = replace(said(task="<CAPTION>"), is_unsure=True)
    if format_id == "crops":  # of regions alone
        return
    content = save(format_id, unsure)
    if format_id in DRAWN_FORMATS:
        assert opened(content).size == noise().pixels.size
        assert CAPTION not in described(opened(content))
    elif format_id == "txt":
        assert content.decode("utf-8") == f"[unsure] {CAPTION}\n"
    elif format_id == "csv":
        assert [(row["text"], row["is_unsure"]) for row in rows_of(content)] == [(CAPTION, "yes")]
    elif format_id == "json":
        assert (json.loads(content)["text"], json.loads(content)["is_unsure"]) == (CAPTION, True)
    elif format_id in ("md", "pdf", "hocr", "alto", "counts"):
        assert b"noon" not in content
    else:  # sets to train on, whose readers skip any mark
        assert not any(b"noon" in data for data in files_of(content).values())


# JPEG


@pytest.fixture(scope="module")
def photograph() -> InputImage:
    """Twelve megapixels as a camera has them: soft shapes, and grain."""
    rng = np.random.default_rng(0)
    soft = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(
        (4000, 3000), Image.Resampling.BICUBIC
    )
    grain = rng.normal(0, 8, (3000, 4000, 1))
    return InputImage(Image.fromarray((np.asarray(soft) + grain).clip(0, 255).astype(np.uint8)), "digest")


def test_a_photograph_of_3_megabytes_stays_one(photograph: InputImage) -> None:
    camera = io.BytesIO()
    photograph.pixels.save(camera, "JPEG", quality=85)
    image = InputImage(Image.open(camera).convert("RGB"), "digest")
    content = written([Annotated("photo", replace(said(task="<OD>"), resolution_wh=(4000, 3000)), image)], "jpeg")
    assert 2e6 < len(camera.getvalue()) < 4e6
    assert len(content) < 2 * len(camera.getvalue())
    difference = np.asarray(opened(content)).astype(int) - np.asarray(image.pixels)
    assert np.sqrt((difference**2).mean()) < 3  # of 255


def test_a_jpeg_that_would_be_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MAX_JPEG_SIDE", 150)
    with pytest.raises(ExportRejected, match=r"at most 150 pixels a side\. Save it as PNG\."):
        save("jpeg", said())


@pytest.mark.parametrize("format_id", DRAWN)
@pytest.mark.parametrize("make", [lambda: "词" * 100_000, lambda: "\ud800"], ids=["long", "half a character"])
def test_any_text_can_be_written(format_id: str, make: Callable[[], str]) -> None:
    assert described(opened(save(format_id, said(make()))))
