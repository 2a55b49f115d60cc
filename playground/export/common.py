"""What the formats share: the row and the value that describe one, names, notes, PNG, JSON and ZIP. Knows no format."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from playground.drawing import Look
from playground.pictures.reader import InputImage
from playground.results import Prediction

_MAX_NAME_LETTERS = 40


@dataclass(frozen=True, slots=True)
class Export:
    """What is saved: a picture, the prediction about it, the look of the drawing, and a name for the file."""

    image: InputImage
    prediction: Prediction
    look: Look
    name: str


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. `suffix` tells two files of one extension apart; `cannot_carry` is said to the user."""

    id: str
    title: str
    extension: str
    write: Callable[[Export], bytes]
    cannot_carry: str
    suffix: str = ""


def safe_name(text: str, *, fallback: str) -> str:
    """Return letters, digits, `_` and `-` of a text, of any script: nothing that a path or a shell would read."""
    return re.sub(r"[^\w]+", "-", text[:1000]).strip("-_")[:_MAX_NAME_LETTERS].rstrip("-_") or fallback


def provenance(prediction: Prediction) -> str:
    """Return who answered what, and the notices that belong to the answer."""
    answered = f"Florence-2 Playground: {prediction.checkpoint} answered {prediction.task}."
    return " ".join((answered, *prediction.notices)).encode("utf-8", "replace").decode("utf-8")


def readme(export: Export, cannot_carry: str) -> str:
    """Return the text that lies beside the files of an archive."""
    return f"{provenance(export.prediction)}\n\n{cannot_carry}\n"


def wire_json(prediction: Prediction) -> bytes:
    """Return what `Prediction.from_dict` reads, as UTF-8."""
    text = json.dumps(prediction.to_dict(), ensure_ascii=False, indent=2)
    return (text + "\n").encode("utf-8", "replace")  # half of a surrogate pair has no UTF-8


def png(image: Image.Image, *, description: str = "") -> bytes:
    """Return a picture as PNG, with a description in its text chunk."""
    info = PngInfo()
    if description:
        info.add_text("Description", description)
    content = io.BytesIO()
    # A photograph of 12 megapixels takes twice as long at Pillow's default level, to become a tenth smaller.
    image.save(content, "PNG", pnginfo=info, compress_level=1)
    return content.getvalue()


def zip_files(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files by their paths."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return content.getvalue()


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder by their paths in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
