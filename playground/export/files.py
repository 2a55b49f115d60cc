"""What files are made of: PNG, JPEG, JSON, ZIP, and the notes that lie beside an answer. Knows no format."""

import io
import json
import zipfile
from typing import Any, BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from playground.errors import ExportRejected
from playground.export.annotated import VideoFrame
from playground.export.texts import text_shown
from playground.results import Prediction

_JPEG_QUALITY = 90
_MAX_JPEG_SIDE = 65_500  # pixels; libjpeg's
_MAX_JPEG_COMMENT = 65_000  # bytes


def png_bytes(image: Image.Image, *, description: str = "") -> bytes:
    """Return a picture as PNG, with a description in its text chunk."""
    info = PngInfo()
    if description:
        info.add_text("Description", description)
    content = io.BytesIO()
    # A photograph of 12 megapixels takes twice as long at Pillow's default level, to become a tenth smaller.
    image.save(content, "PNG", pnginfo=info, compress_level=1)
    return content.getvalue()


def jpeg_bytes(image: Image.Image, *, description: str) -> bytes:
    """Return a picture as JPEG, with a description in its comment. Raises ExportRejected where it is too long."""
    if max(image.size) > _MAX_JPEG_SIDE:
        raise ExportRejected(f"A JPEG has at most {_MAX_JPEG_SIDE} pixels a side. Save it as PNG.")
    content = io.BytesIO()
    comment = description.encode("utf-8")[:_MAX_JPEG_COMMENT].decode("utf-8", "ignore").encode("utf-8")
    # Colors at full resolution: lines of one pixel and small letters keep theirs.
    image.save(content, "JPEG", quality=_JPEG_QUALITY, subsampling="4:4:4", comment=comment)
    return content.getvalue()


def json_bytes(prediction: Prediction) -> bytes:
    """Return what `Prediction.from_dict` reads, as UTF-8."""
    text = json.dumps(prediction.to_dict(), ensure_ascii=False, indent=2)
    return (text + "\n").encode("utf-8", "replace")  # half of a surrogate pair has no UTF-8


def json_line(stem: str, prediction: Prediction, frame: VideoFrame | None = None) -> bytes:
    """Return a prediction on one line, with the name of its picture and, of a frame of a video, its place.

    `Prediction.from_dict` skips these.
    """
    place = {"video": frame.name, "frame": frame.number, "seconds": frame.seconds} if frame else {}
    text = json.dumps({"picture": stem, **place, **prediction.to_dict()}, ensure_ascii=False)
    return (text + "\n").encode("utf-8", "replace")


def open_zip(stream: BinaryIO) -> zipfile.ZipFile:
    """Return an archive that is written to a stream as its files are added; of the same files it has the same bytes."""
    return _UndatedZip(stream, "w", zipfile.ZIP_DEFLATED)


class _UndatedZip(zipfile.ZipFile):
    def writestr(
        self,
        zinfo_or_arcname: str | zipfile.ZipInfo,
        data: Any,
        compress_type: int | None = None,
        compresslevel: int | None = None,
    ) -> None:
        """Add a file; one that is given by its name has no time of its own, which is 1980 in a ZIP."""
        info = zinfo_or_arcname if isinstance(zinfo_or_arcname, zipfile.ZipInfo) else zipfile.ZipInfo(zinfo_or_arcname)
        info.external_attr = info.external_attr or 0o600 << 16  # who may read it, as zipfile writes it
        super().writestr(info, data, self.compression if compress_type is None else compress_type, compresslevel)


def add_packed(archive: zipfile.ZipFile, path: str, content: bytes) -> None:
    """Add a picture to an archive, as it is: compressing it again takes two thirds of the time, and saves nothing."""
    archive.writestr(path, content, zipfile.ZIP_STORED)


class Provenance:
    """Who answered what, and the notices that belong to the answers; of many pictures each note once."""

    def __init__(self) -> None:
        self._notes: dict[str, None] = {}

    def add(self, prediction: Prediction) -> None:
        """Take what is to be said of one more prediction."""
        self._notes[provenance(prediction)] = None

    def __str__(self) -> str:
        return "\n".join(self._notes)

    def add_readme(self, archive: zipfile.ZipFile, *notes: str) -> None:
        """Add the text that lies beside the files of an archive, a paragraph a note."""
        archive.writestr("README.txt", "\n\n".join((str(self), *notes)) + "\n")


def provenance(prediction: Prediction) -> str:
    """Return who answered what, and the notices that belong to the answer."""
    answered = f"Florence-2 Playground: {prediction.checkpoint} answered {prediction.task}."
    return " ".join((answered, *prediction.notices)).encode("utf-8", "replace").decode("utf-8")


def description(prediction: Prediction) -> str:
    """Return what is written into a drawn picture: the text that is shown, and who answered."""
    text = text_shown(prediction).encode("utf-8", "replace").decode("utf-8")
    return "\n\n".join(filter(None, (text, provenance(prediction))))
