"""Documents out: pages of what was read as one file, each word of it found at its place, and what was not read said."""

import io
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from playground.drawing import Look
from playground.errors import ExportRejected
from playground.export import Annotated, documents, export
from playground.export.annotated import DocumentPage
from playground.pictures.reader import InputImage
from playground.question import Question
from playground.reading_order import Word, lines_in_order
from playground.regions import Region
from tests.export.samples import CAR, NOTE, files_of, noise, predict, written
from tests.test_reading_order import PROSE, text

READ = Question("<OCR_WITH_REGION>")
FORMATS = ("txt", "md", "pdf", "hocr", "alto")
SCALE = 72 / 200

COLUMNS = tuple(replace(region, score=0.5) for region in PROSE)
TURNED = (
    text("sideways 停车", 150, 100, angle=-90, score=0.25),
    replace(text("*corrected* 𐍈 улица", 20, 30, angle=20), source="edited"),
    text("- dash", 10, 100, score=1.0),
)
BLANK: tuple[Region, ...] = ()


def page(number: int, *regions: Region, name: str = "scan", document: str = "a.pdf") -> Annotated:
    prediction = replace(predict(*regions, question=READ), resolution_wh=(240, 120), text="")
    image = noise()
    wide = replace(image, pixels=image.pixels.resize((240, 120)))
    return Annotated(f"{name}-p{number:03}", prediction, wide, page=DocumentPage(document, name, number))


def scan() -> list[Annotated]:
    unsure = page(4)
    return [
        page(1, *COLUMNS),
        page(2, *TURNED),
        page(3),
        replace(unsure, prediction=replace(unsure.prediction, is_unsure=True)),
    ]


def found(pdf: pypdfium2.PdfPage, word: Word) -> list[list[float]]:
    """Where a word is in a page, as boxes in pixels of the picture."""
    written, boxes = pdf.get_textpage(), []
    search = written.search(word.text, match_case=True)
    while place := search.get_next():
        start, count = place
        corners = [written.get_charbox(index) for index in range(start, start + count)]
        lefts, bottoms, rights, tops = zip(*corners, strict=True)
        height = pdf.get_height()
        boxes.append([value / SCALE for value in (min(lefts), height - max(tops), max(rights), height - min(bottoms))])
    return boxes


def opened(content: bytes) -> pypdfium2.PdfDocument:
    return pypdfium2.PdfDocument(content)


def test_every_word_of_every_page_is_found_at_its_place_in_the_pdf() -> None:
    pages = scan()
    pdf = opened(written(pages, "pdf"))
    assert len(pdf) == 4
    for picture, sheet in zip(pages, pdf, strict=True):
        assert sheet.get_size() == pytest.approx((240 * SCALE, 120 * SCALE))
        words = [word for line in lines_in_order(picture.prediction.regions) for word in line.words]
        assert len(words) in (0, 7, 48)
        assert {word.text for word in words} <= set(sheet.get_textpage().get_text_bounded().split())
        for word in words:
            if word.text == "𐍈":  # which pdfium writes out and does not search for
                continue
            box = [min(word.xyxyxyxy[::2]), min(word.xyxyxyxy[1::2]), max(word.xyxyxyxy[::2]), max(word.xyxyxyxy[1::2])]
            assert any(place == pytest.approx(box, abs=0.2) for place in found(sheet, word)), word
    assert " ".join(pdf[0].get_textpage().get_text_bounded().split()).startswith(
        "A heading over both of the two columns left line number 0 left line number 1"
    )
    assert pdf.get_metadata_dict()["Subject"].splitlines()[1:] == [
        "Page 3: Nothing was read here.",
        "Page 4: The model is not sure of what it read here, and it is left out.",
    ]
    assert NOTE in pdf.get_metadata_dict()["Subject"]
    assert isinstance(pages[1].image, InputImage)
    drawn, picture = pdf[1].render(scale=1 / SCALE).to_pil().convert("RGB"), pages[1].image.pixels
    coarse = [np.asarray(one.resize((12, 6), Image.Resampling.BOX), dtype=int) for one in (drawn, picture)]
    assert np.abs(coarse[0] - coarse[1]).max() < 20, "the picture is seen, and none of the text"


def test_the_text_of_a_document_says_what_was_not_read_and_what_is_turned() -> None:
    pages = written(scan(), "txt").decode().split("\f")
    assert pages[0].split("\n\n")[1].splitlines() == [f"left line number {n}" for n in range(4)]
    assert pages[2:] == [
        "[Page 3: Nothing was read here.]\n",
        "[Page 4: The model is not sure of what it read here, and it is left out.]\n",
    ]
    markdown = written(scan(), "md").decode()
    assert markdown.startswith("# scan\n\n## Page 1\n\nA heading over both of the two columns\n\nleft line number 0\n")
    turned = (
        "*(slanted by 20°, falling)*\n\\*corrected\\* 𐍈 улица\n\n"
        "*(sideways, read upwards)*\nsideways 停车\n\n\\- dash\n"
    )
    assert f"## Page 2\n\n{turned}\n## Page 3\n\n*Nothing was read here.*\n\n## Page 4\n\n*The model is not" in markdown


@pytest.mark.parametrize("format_id", FORMATS)
def test_of_several_documents_each_is_a_file_and_pictures_are_files_of_their_own(format_id: str) -> None:
    def pictures() -> Iterator[Annotated]:
        yield from (page(1, *TURNED), page(2))
        yield page(1, *COLUMNS, document="b.pdf")
        yield from (replace(page(1, CAR), name=name, page=None) for name in ("sign", "Sign"))

    content = io.BytesIO()
    export(pictures(), format_id, content, Look(("box",)), as_several=True)
    ending = {"alto": "xml"}.get(format_id, format_id)
    files = files_of(content.getvalue())
    assert list(files) == [f"{name}.{ending}" for name in ("scan", "scan-2", "sign", "Sign-2")]
    assert files[f"scan.{ending}"] == written([page(1, *TURNED), page(2)], format_id), "the same bytes each time"
    with pytest.raises(ExportRejected, match="pages of several documents"):
        written([page(1), page(2), page(1, document="b.pdf")], format_id)


def test_scores_and_corrections_are_kept_where_there_is_a_place() -> None:
    hocr = ElementTree.fromstring(written(scan(), "hocr").decode().partition('-transitional.dtd">')[2])
    lines = [row for row in hocr.iter() if row.get("class") == "ocr_line"]
    assert [row.get("title") for row in lines[-3:]] == [
        "bbox 17 30 109 72; textangle -20", "bbox 150 45 160 100; textangle 90", "bbox 10 100 40 110",
    ]  # fmt: skip
    assert [row.get("data-corrected") for row in lines[-3:]] == ["true", None, None]
    assert lines[-2][0].get("title").endswith("; x_wconf 25")
    assert lines[-3][0].get("title").count(";") == 0, "no score was measured"

    alto = written(scan(), "alto").decode()
    assert 'CONTENT="dash" ' in alto
    assert 'WC="1.0000"' in alto
    assert alto.count('CS="true"') == 1
    assert 'ROTATION="90"' in alto
    assert 'PHYSICAL_IMG_NR="3" WIDTH="240" HEIGHT="120" QUALITY_DETAIL="Nothing was read here."' in alto


@pytest.mark.parametrize("format_id", FORMATS)
def test_a_caption_has_no_place_and_a_covered_text_is_in_no_file(format_id: str) -> None:
    caption = Annotated("street", replace(predict(), text="A quiet street."), noise())
    caption = replace(caption, prediction=replace(caption.prediction, question=Question("<CAPTION>")))
    content = written([caption], format_id)
    if format_id in ("txt", "md", "hocr"):
        assert b"A quiet street" in content
    elif format_id == "alto":
        assert b'QUALITY_DETAIL="What was read has no places."' in content
    else:
        assert "has no places, and cannot be searched" in opened(content).get_metadata_dict()["Subject"]

    covered = io.BytesIO()
    export([page(1, *COLUMNS)], format_id, covered, Look(("cover",)))
    is_pdf, content = format_id == "pdf", covered.getvalue()
    shown = opened(content)[0].get_textpage().get_text_bounded() if is_pdf else content.decode()
    assert "column" not in shown


@pytest.mark.parametrize("format_id", FORMATS)
def test_a_page_of_too_many_words_is_refused(monkeypatch: pytest.MonkeyPatch, format_id: str) -> None:
    monkeypatch.setattr(documents, "_MAX_WORDS", 30)
    with pytest.raises(ExportRejected, match="has 48 words; at most 30 are saved"):
        written(scan(), format_id)
