"""A scan of many pages, in as a PDF, out as one in which every word that was read is found at its place.

Pages of drawn signs, which the bundled model reads, and pages that it does not: printed ones, one that lies sideways,
blank ones, photographs. Of these the file says so, page by page.

    python -m tests.holds.scan --count 30
"""

import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from supervision import box_iou_batch

from playground.annotate import command
from playground.annotate.journal import Journal
from playground.checkpoints.catalog import BUNDLED, resolve
from playground.choosing import chosen
from playground.question import Question
from playground.reading_order import Word, lines_in_order
from playground.scenes.scene import make_scene
from playground.scenes.words import choose_word
from tests.holds import command as holds

SIDE = 512
_SEED = 2_000_000  # of scenes from which nothing was learned
_SCALE = 72 / 200  # points of a pixel, as pages are drawn and written
_OVERLAP = 0.75  # intersection over union: a quad need not be a rectangle, and letters in a PDF are
_BLANK, _SIDEWAYS, _PHOTOGRAPH, _COLUMNS, _PRINTED = range(
    1, 6
)  # which page of ten is of which kind; others have signs


@dataclass(frozen=True)
class Sheet:
    """A page as it was made: its picture, and the words on it that the model was taught to read."""

    picture: Image.Image
    words: tuple[str, ...] = ()


def make_sheet(number: int, seed: int) -> Sheet:
    """Make the page of a number, counted from 0."""
    rng = random.Random(f"{seed}:{number}")
    if number % 10 == _BLANK:
        return Sheet(Image.new("RGB", (SIDE, SIDE), "white"))
    if number % 10 == _PHOTOGRAPH:
        grain = np.random.default_rng(rng.randrange(1 << 30)).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        return Sheet(Image.fromarray(grain).filter(ImageFilter.GaussianBlur(24)))
    if number % 10 in (_COLUMNS, _PRINTED):
        return Sheet(_printed(rng, columns=2 if number % 10 == _COLUMNS else 1))
    scene = make_scene(_SEED + seed * 1000 + number, resolution_wh=(SIDE, SIDE), sign_share=1.0)
    words = tuple(thing.writing.label for thing in scene.things if thing.writing)
    if number % 10 == _SIDEWAYS:
        return Sheet(scene.image.transpose(Image.Transpose.ROTATE_270), words)
    return Sheet(scene.image, words)


def _printed(rng: random.Random, *, columns: int) -> Image.Image:
    """Return a page in black on white, in another size of type each time."""
    page = Image.new("RGB", (SIDE, SIDE), "white")
    pen, size = ImageDraw.Draw(page), rng.randint(16, 30)
    for column in range(columns):
        for row in range(9):
            place = (30 + column * SIDE // columns, 40 + row * 48)
            pen.text(place, choose_word(rng).capitalize(), fill="black", font=ImageFont.load_default(size))
    return page


def places(sheet: pypdfium2.PdfPage, text: str) -> Iterator[tuple[float, float, float, float]]:
    """Yield where a text is in a page, as boxes in pixels of its picture."""
    written, height = sheet.get_textpage(), sheet.get_height()
    search = written.search(text, match_case=True)
    while place := search.get_next():
        corners = [written.get_charbox(index) for index in range(place[0], place[0] + place[1])]
        lefts, bottoms, rights, tops = zip(*corners, strict=True)
        box = (min(lefts), height - max(tops), max(rights), height - min(bottoms))
        yield tuple(value / _SCALE for value in box)  # type: ignore[misc]  # of four numbers


def is_at_its_place(sheet: pypdfium2.PdfPage, word: Word) -> bool:
    xs, ys = word.xyxyxyxy[::2], word.xyxyxyxy[1::2]
    expected = np.array([[min(xs), min(ys), max(xs), max(ys)]])
    found = np.array([*places(sheet, word.text)]).reshape(-1, 4)
    return bool(len(found)) and bool(box_iou_batch(expected, found).max() >= _OVERLAP)


def carry_out(order: holds.Order) -> Mapping[str, Any]:
    """Make a scan of so many pages, read it with the command, and look for every word."""
    began, failures = time.monotonic(), []
    sheets = [make_sheet(number, order.seed) for number in range(order.count)]
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "scan.pdf"), Path(folder, "read")
        first, *rest = [sheet.picture for sheet in sheets]
        first.save(source, save_all=True, append_images=rest, resolution=200)
        typed = [str(source), "--task", "<OCR_WITH_REGION>", "--out", str(out), "--format", "pdf,txt", "--offline"]
        command.carry_out(command.read_job_command([*typed, "--checkpoint", BUNDLED], {}))
        texts = (out / "read.txt").read_text("utf-8").split("\f")
        journal = Journal(out, Question("<OCR_WITH_REGION>", checkpoint=BUNDLED))
        with pypdfium2.PdfDocument(out / "read.pdf") as document:
            notes = document.get_metadata_dict()["Subject"]
            if len(document) != order.count or len(texts) != order.count:
                failures.append(f"{len(document)} pages and {len(texts)} texts came out")
            read, right, empty = 0, 0, 0
            for number, (row, page, sheet) in enumerate(zip(journal.rows(), document, sheets, strict=True), start=1):
                assert row.prediction is not None
                shown = chosen(row.prediction, shown_from=resolve(BUNDLED).min_score)
                words = [word for line in lines_in_order(shown.regions) for word in line.words]
                failures += [f"page {number}: {word}" for word in words if not is_at_its_place(page, word)]
                is_said = f"Page {number}: " in notes
                if (not words and not is_said) or (words and is_said):
                    failures.append(f"page {number}: {len(words)} words were read, and it is said that {notes}")
                read, empty = read + len(words), empty + (not words)
                right += sum(word.text in sheet.words for word in words)
        journal.close()
    return {
        "pages": order.count, "words_on_signs": sum(len(sheet.words) for sheet in sheets), "words_read": read,
        "read_right": right, "pages_said_to_be_unread": empty, "seconds": round(time.monotonic() - began, 1),
        "failures": failures,
    }  # fmt: skip


if __name__ == "__main__":
    holds.main("scan", str(__doc__).splitlines()[0], carry_out, count=30)
