"""A journal to files, where its order or its sources decide what comes out."""

import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from fpdf import FPDF
from PIL import Image
from pypdfium2 import PdfDocument

from playground.annotate.answers import Answers
from playground.annotate.beside import Beside, write_beside
from playground.annotate.job import run_job
from playground.annotate.journal import Journal
from playground.annotate.outputs import WrittenFile, write_output
from playground.annotate.own_text import OwnTextFirst
from playground.annotate.reading import SourceReader
from playground.annotate.sources import find_sources
from playground.annotate.splits import Split, read_split
from playground.errors import EngineFailed, ExportRejected, SettingsInvalid
from playground.export import Affixes
from playground.pictures.reader import read_image
from playground.pictures.workers import PictureWorkers
from playground.question import Question
from playground.reading_order import lines_in_order
from playground.regions import Region
from playground.results import Prediction
from tests.annotate.doubles import QUESTION, GroupPredictor, run

READ = replace(QUESTION, task="<OCR_WITH_REGION>")


class ColorReader(GroupPredictor):
    """Reads off each picture how red it is, and fails at the redness of 70."""

    def answers(self, images: Sequence[Any], question: Question) -> list[Prediction]:
        answers = []
        for image, answer in zip(images, super().answers(images, question), strict=True):
            red = round(image.pixels.getpixel((2, 2))[0], -1)
            if red == 70 and not self.num_asked > 8:
                raise EngineFailed("The machine ran out of memory while answering.")
            region = Region(f"red {red}", (1.0, 2.0, 5.0, 6.0), 0.9, xyxyxyxy=(1.0, 2.0, 5.0, 2.0, 5.0, 6.0, 1.0, 6.0))
            answers.append(replace(answer, text="", regions=(region,)))
        return answers


def document(path: Path, reds: Sequence[int]) -> Path:
    first, *rest = [Image.new("RGB", (40, 30), (red, 0, 0)) for red in reds]
    first.save(path, save_all=True, append_images=rest)
    return path


def written(folder: Path, format_id: str) -> tuple[Path, list[str]]:
    journal = Journal(folder, READ)
    try:
        file = write_output(journal, SourceReader(read_image), format_id, READ, shown_from=0.0)
        assert file is not None
        return file.path, file.left_out
    finally:
        journal.close()


@pytest.mark.parametrize("name", ["predictions", "Predictions", "reviews"])
def test_no_file_takes_the_place_of_one_of_the_jobs_own(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    run(ColorReader(), [document(tmp_path / "a.pdf", [10, 20])], out, READ)
    for _ in range(2):
        path, _left_out = written(out, "json")
        assert path == out / f"{name}-json.jsonl"


def test_the_pages_of_a_document_are_one_file_in_their_order_whenever_they_were_answered(tmp_path: Path) -> None:
    first, second = document(tmp_path / "a.pdf", [10, 70, 30]), document(tmp_path / "b.pdf", [40, 50])
    out, reader = tmp_path / "job", ColorReader()
    run(reader, [first], out, READ)
    assert written(out, "txt") == (
        out / "job.txt",
        [f"{first}, page 2: The machine ran out of memory while answering."],
    )
    assert (out / "job.txt").read_text() == "red 10\n\fred 30\n"

    run(reader, [second], out, READ)
    journal = Journal(out, READ)
    journal.forget_errors()
    journal.close()
    reader.num_asked = 100
    run(reader, [first, second], out, READ)
    path, left_out = written(out, "txt")
    assert (path.name, left_out) == ("job-txt.zip", [])
    with zipfile.ZipFile(path) as archive:
        read = {name: archive.read(name).decode() for name in archive.namelist()}
    assert read == {"a.txt": "red 10\n\fred 70\n\fred 30\n", "b.txt": "red 40\n\fred 50\n"}


@pytest.mark.parametrize(("format_id", "name"), [("pdf", "job.pdf"), ("alto", "job-alto.xml"), ("md", "job.md")])
def test_one_document_is_a_file_of_its_own(tmp_path: Path, format_id: str, name: str) -> None:
    run(ColorReader(), [document(tmp_path / "a.pdf", [10])], tmp_path / "job", READ)
    path, _ = written(tmp_path / "job", format_id)
    assert path.name == name


def test_a_page_that_holds_text_is_not_read_where_its_own_is_wanted(tmp_path: Path) -> None:
    pdf = FPDF(unit="pt")
    pdf.set_font("Helvetica", size=14)
    for _ in range(2):
        pdf.add_page(format=(300, 200))
        pdf.text(20, 40, "Minutes of the meeting,")
        pdf.text(20, 60, "page one of two")
        with pdf.rotation(90, 280, 150):
            pdf.text(280, 150, "draft")
    pdf.add_page(format=(300, 200))
    made = PdfDocument(bytes(pdf.output()))
    made[1].set_rotation(90)
    made.save(tmp_path / "a.pdf")

    reader = ColorReader()
    with closing(PictureWorkers()) as workers:
        journal = Journal(tmp_path / "job", READ)
        sources = SourceReader(workers.read)
        list(run_job(OwnTextFirst(reader, READ), sources, find_sources([tmp_path / "a.pdf"]), READ, journal=journal))
        file = write_output(journal, sources, "pdf", READ, shown_from=0.0)
        first, second, third = (row.prediction for row in journal.rows())
        journal.close()
    assert file is not None
    assert (reader.num_asked, third.regions[0].label) == (1, "red 260")
    for answer, angle in ((first, 0), (second, 90)):
        lines = lines_in_order(answer.regions)
        assert [line.text for line in lines] == ["Minutes of the meeting,", "page one of two", "draft"]
        assert [round(line.angle) for line in lines] == [angle, angle, angle - 90]
        assert answer.notices == ("This is the text that the page itself holds; the model was not asked.",)
    before, after = (PdfDocument(path)[0].get_textpage() for path in (tmp_path / "a.pdf", file.path))
    places = [text.get_charbox(text.search("meeting").get_next()[0]) for text in (before, after)]
    assert places[0] == pytest.approx(places[1], abs=6), "within a letter"
    with pytest.raises(SettingsInvalid, match="answers no <OD>"):
        OwnTextFirst(reader, QUESTION)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param({str(n): 1 for n in range(10)}, [8, 1, 1], id="ten pictures"),
        pytest.param({"film": 80, "a": 10, "b": 10}, [80, 10, 10], id="a film and two others"),
        pytest.param({"film": 98, "a": 1, "b": 1}, [98, 1, 1], id="each part has something"),
        pytest.param({f"{n}.pdf": 7 for n in range(100)}, [560, 70, 70], id="documents"),
    ],
)
def test_a_split_keeps_the_pictures_of_a_file_together_and_comes_near_its_shares(sizes, expected) -> None:
    split = read_split("80/10/10")
    assert split is not None
    parts = split.assign(sizes)
    assert parts == split.assign(dict(reversed(sizes.items()))), "whatever order they come in"
    counts = Counter(dict.fromkeys(("train", "val", "test"), 0))
    for file, part in parts.items():
        counts[part] += sizes[file]
    assert [*counts.values()] == expected


def test_a_split_that_makes_no_sense_is_a_sentence() -> None:
    assert read_split("") is None
    assert read_split("3/1") == Split({"train": 0.75, "val": 0.25})
    for text in ("80", "80/0/20", "a/b", "-1/2", "1/2/3/4", "80/20/"):
        with pytest.raises(SettingsInvalid, match="is no split"):
            read_split(text)
    with pytest.raises(ExportRejected, match="needs as many files, but there is 1"):
        Split({"train": 0.5, "val": 0.5}).assign({"film": 9})


def test_a_data_set_is_divided_by_files(tmp_path: Path) -> None:
    documents = [document(tmp_path / f"{name}.pdf", [shade + n for n in range(0, 40, 10)])
                 for name, shade in (("a", 10), ("b", 100), ("c", 180))]  # fmt: skip
    run(ColorReader(), documents, tmp_path / "job", READ)
    journal = Journal(tmp_path / "job", READ)
    for name in ("yolo", "coco", "voc"):
        file = write_output(journal, SourceReader(read_image), name, READ, shown_from=0.0, split=read_split("34/33/33"))
        assert file is not None
        with zipfile.ZipFile(file.path) as archive:
            archive.extractall(tmp_path / name)
    journal.close()
    settings = yaml.safe_load((tmp_path / "yolo/data.yaml").read_text())
    seen = {}
    for part in ("train", "val", "test"):
        assert settings[part] == f"images/{part}"
        pictures = {path.stem for path in (tmp_path / "yolo" / settings[part]).iterdir()}
        assert pictures == {path.stem for path in (tmp_path / "yolo/labels" / part).iterdir()}
        seen[part] = {stem[0] for stem in pictures}
        assert len(pictures) == 4
        assert pictures == {path.stem for path in (tmp_path / "coco/images" / part).iterdir()}
        assert pictures == set((tmp_path / f"voc/ImageSets/Main/{part}.txt").read_text().split())
        data = json.loads((tmp_path / f"coco/annotations/instances_{part}.json").read_text())
        assert pictures == {Path(row["file_name"]).stem for row in data["images"]}
        assert [row["image_id"] for row in data["annotations"]] == [row["id"] for row in data["images"]] == [1, 2, 3, 4]
        assert len(data["categories"]) == 12, "the classes of all parts are the same"
    assert sorted(name for names in seen.values() for name in names) == ["a", "b", "c"], "each document in one part"


def test_captions_are_written_beside_the_pictures_and_again_without_harm(tmp_path: Path) -> None:
    for red in (10, 20):
        Image.new("RGB", (40, 30), (red, 0, 0)).save(tmp_path / f"{red}.png")
    (tmp_path / "20.txt").write_text("by hand\n")
    pdf = document(tmp_path / "a.pdf", [30])
    run(ColorReader(), [tmp_path / "10.png", tmp_path / "20.png", pdf], tmp_path / "job", READ)
    answers = Answers(tmp_path / "job")

    def beside(mode: str) -> WrittenFile:
        return write_beside(answers, READ, Beside(mode), Affixes("xyz, "), shown_from=0.0)

    left_out = beside("new").left_out
    assert left_out == [
        f"{tmp_path / '20.txt'}: It is there already. Say --captions-beside overwrite, or append.",
        f"{pdf}, page 1: There is no place beside it. Write --format captions.",
    ]
    for _ in range(2):
        assert beside("append").num_pictures == 2
        assert (tmp_path / "20.txt").read_text() == "by hand\nxyz, red 20\n"
    assert beside("overwrite").num_pictures == 2
    assert [(tmp_path / f"{red}.txt").read_text() for red in (10, 20)] == ["xyz, red 10\n", "xyz, red 20\n"]
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["10.png", "10.txt", "20.png", "20.txt", "a.pdf"]
