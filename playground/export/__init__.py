"""Files out: pictures and their predictions in each of `FORMATS`. Knows nothing of the page and of models.

Adding a format is adding a file and a row here.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from playground.drawing import Look
from playground.errors import ExportRejected
from playground.export.annotated import Annotated, DocumentPage, VideoFrame, check_pictures
from playground.export.as_alto import ALTO
from playground.export.as_captions import CAPTIONS
from playground.export.as_coco import COCO
from playground.export.as_coco_results import COCO_RESULTS
from playground.export.as_counts import COUNTS
from playground.export.as_createml import CREATEML
from playground.export.as_crops import CROPS
from playground.export.as_csv import CSV
from playground.export.as_cvat import CVAT
from playground.export.as_hocr import HOCR
from playground.export.as_jpeg import JPEG
from playground.export.as_json import JSON
from playground.export.as_label_studio import LABEL_STUDIO
from playground.export.as_labelme import LABELME
from playground.export.as_markdown import MARKDOWN
from playground.export.as_mot import MOT
from playground.export.as_mp4 import MP4
from playground.export.as_overlay import OVERLAY
from playground.export.as_pdf import PDF
from playground.export.as_png import PNG
from playground.export.as_timeline import TIMELINE
from playground.export.as_tracks import TRACKS
from playground.export.as_txt import TXT
from playground.export.as_voc import VOC
from playground.export.as_yolo import YOLO
from playground.export.format import Format
from playground.export.names import safe_name, stem_of
from playground.export.texts import Affixes, caption_of, holds_read_text, text_shown
from playground.results import Prediction

__all__ = [
    "DRAWN_FORMATS", "FORMATS", "VIDEO_FORMATS", "Affixes", "Annotated", "DocumentPage", "Format", "VideoFrame",
    "caption_of", "export", "file_name", "formats_for", "holds_read_text", "stem_of", "text_shown",
]  # fmt: skip

FORMATS: tuple[Format, ...] = (
    PNG, JPEG, OVERLAY, CROPS, TXT, MARKDOWN, PDF, HOCR, ALTO, JSON, CSV, COUNTS, COCO, COCO_RESULTS, YOLO, VOC,
    LABELME, CREATEML, LABEL_STUDIO, CVAT, CAPTIONS,
)  # fmt: skip
VIDEO_FORMATS = (MP4, TRACKS, MOT, TIMELINE)  # of frames of videos alone
DRAWN_FORMATS = (PNG.id, JPEG.id, OVERLAY.id)  # in which an answer becomes pixels
_BY_ID = {row.id: row for row in (*FORMATS, *VIDEO_FORMATS)}


def export(
    pictures: Iterable[Annotated],
    format_id: str,
    target: str | Path | BinaryIO,
    look: Look,
    *,
    as_several: bool = False,
) -> None:
    """Write pictures with their predictions, one in memory at a time.

    Of one picture png, jpeg, overlay, csv, json and documents are a file of their own. Of several, png, jpeg, overlay
    and documents are a ZIP with a file each, csv is one table that begins with a column for the picture, and json has
    a line for each picture (JSON Lines). All others are a ZIP of all pictures together. Names are made unique. Pages of
    one document that follow one another are one document; alone they are no several pictures. With `as_several`,
    one picture or document is written as several would be.

    A stream is written from its first byte to its last without seeking. A path holds the whole file, or, when this
    raises, what it held before. Raises ExportRejected for an unknown format, for no picture, for a picture that its
    prediction is not about, and for what a format cannot hold at all.
    """
    row = _row(format_id)
    checked = check_pictures(
        pictures, look, has_pixels=row.has_pixels, as_several=as_several, by_document=row.is_document or row.is_film
    )
    if isinstance(target, str | Path):
        with _whole_file(Path(target)) as stream:
            row.write(checked, stream)
    else:
        row.write(checked, target)


def formats_for(prediction: Prediction) -> tuple[Format, ...]:
    """Return the formats that hold something of an answer, in the order in which they are offered."""
    return tuple(row for row in FORMATS if row.holds.something_of(prediction))


def file_name(name: str, format_id: str, *, count: int = 1) -> str:
    """Return a safe name for the file of `count` pictures. Raises ExportRejected for an unknown format."""
    row = _row(format_id)
    extension = row.extension if count == 1 else row.extension_of_several
    return f"{safe_name(name, fallback='picture')}{row.suffix}.{extension}"


def _row(format_id: str) -> Format:
    if format_id not in _BY_ID:
        known = ", ".join(row.id for row in FORMATS)
        raise ExportRejected(f"{str(format_id)[:80]!r} is not a format. Formats: {known}.")
    return _BY_ID[format_id]


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
