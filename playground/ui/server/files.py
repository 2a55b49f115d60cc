"""Files of Gradio's cache, the only folder that the page serves. Knows pictures and exports, no component."""

from io import BytesIO
from pathlib import Path

from gradio.context import LocalContext
from gradio.utils import get_upload_folder
from PIL import Image

from playground import drawing
from playground.export import Annotated, export, file_name
from playground.ui.server.disk import disk_of
from playground.ui.server.patience import within

_JPEG_QUALITY = 90
_EXPORT_SECONDS = 30.0


def save_jpeg(picture: Image.Image, name: str, *, folder: Path | None = None) -> str:
    """Write a picture for showing, into the folder of a job where one is given; returns its path."""
    data = BytesIO()
    picture.save(data, "JPEG", quality=_JPEG_QUALITY)
    return save_bytes(data.getvalue(), f"{name}.jpg", folder=folder)


def save_png(picture: Image.Image, name: str) -> str:
    """Write a picture pixel by pixel; returns its path."""
    data = BytesIO()
    picture.save(data, "PNG", compress_level=4)
    return save_bytes(data.getvalue(), f"{name}.png")


def save_export(picture: Annotated, look: drawing.Look, format_id: str) -> str:
    """Write a picture with its prediction in one of the export formats; returns its path. Raises ExportRejected."""
    content = BytesIO()
    with within(_EXPORT_SECONDS):
        export([picture], format_id, content, look)
    return save_bytes(content.getvalue(), file_name(picture.name, format_id))


def check_kept(path: str) -> None:
    """Raise ImageRejected, which says so, for a picture that is not kept any more."""
    disk_of(get_upload_folder()).check_kept(path)


def save_bytes(content: bytes, name: str, *, folder: Path | None = None) -> str:
    """Write a file for whoever asked, under the hash of its content; returns its path. Raises StorageFull."""
    return disk_of(get_upload_folder()).save(content, name, LocalContext.request.get(None), folder=folder)
