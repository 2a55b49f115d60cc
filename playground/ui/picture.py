"""The field that takes a picture: Gradio's image field, but every file goes through our intake.

Gradio's own preprocessing clips 16 bits, blackens transparency, keeps GPS, and opens any path that a raw request names.
Here the handler gets a path inside Gradio's upload cache, or bytes; nothing is decoded. Knows nothing of the page.
"""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from playground.errors import ImageRejected
from playground.export import stem_of
from playground.pictures.reader import is_inside
from playground.ui.server.files import check_kept


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that came: a path in the upload cache or bytes, and the name that its file has with the sender.

    Gradio's own path has lost what some system refuses in a name. A sender who is no browser may leave the name out.
    """

    source: str | bytes
    file_name: str = ""

    @property
    def name(self) -> str:
        """The name of the picture, without an extension."""
        path = self.source if isinstance(self.source, str) else ""
        return stem_of(self.file_name or path) or "picture"

    @property
    def original(self) -> Path | bytes:
        """The file as it was uploaded, for the data sets that take it unchanged."""
        return Path(self.source) if isinstance(self.source, str) else self.source


class Picture(gr.Image):
    """A `gr.Image` whose handlers get an `Upload` or None."""

    def get_block_name(self) -> str:
        """The page has one component for this class and its parent."""
        return "image"

    def preprocess(self, payload: Any) -> Upload | None:  # type: ignore[override]
        """Pass on what was uploaded, and nothing else on this machine. Raises gr.Error for the user."""
        if payload is None:
            return None
        try:
            return Upload(_read(payload.path, payload.url), payload.orig_name or "")
        except ImageRejected as error:
            raise gr.Error(str(error), print_exception=False) from error


def _read(path: str | None, url: str | None) -> str | bytes:
    if path and is_inside(path, get_upload_folder()):
        check_kept(path)
        return path
    for source in (path, url):
        if source and source.startswith("data:"):
            return read_data_url(source)
    raise ImageRejected("That picture is not among the uploaded files. Upload it, then send what the upload returned.")


def read_data_url(url: str) -> bytes:
    """Return the bytes that a data URL holds. Raises ImageRejected."""
    try:
        _, content = url.split(";base64,", 1)
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise ImageRejected("The picture's data URL is not valid base64. Upload it as a file instead.") from None
