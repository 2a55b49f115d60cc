"""A journal to files, where its order or its sources decide what comes out."""

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from playground.annotate.journal import Journal
from playground.annotate.outputs import write_output
from playground.annotate.reading import SourceReader
from playground.errors import EngineFailed
from playground.pictures.reader import read_image
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from tests.annotate.doubles import QUESTION, GroupPredictor, run

READ = replace(QUESTION, task="<OCR_WITH_REGION>")


class ColorReader(GroupPredictor):
    """Reads off each picture how red it is, and fails at the redness of 70."""

    def predict_together(self, images: Sequence[Any], question: Question, **options: Any) -> list[Prediction]:
        answers = []
        for image, answer in zip(images, super().predict_together(images, question, **options), strict=True):
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
