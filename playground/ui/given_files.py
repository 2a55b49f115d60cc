"""Files of any kind, as pages and programs give them: only those that were uploaded are taken."""

from collections.abc import Iterable
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from playground.errors import PlaygroundError, SourceRejected
from playground.pictures.reader import is_inside
from playground.ui.server.files import check_kept


def uploaded(paths: Iterable[str]) -> list[str]:
    """Return the paths of files that were uploaded. Raises SourceRejected or ImageRejected for any other."""
    taken = list(dict.fromkeys(paths))
    for path in taken:
        if not isinstance(path, str) or not is_inside(path, get_upload_folder()):
            raise SourceRejected(
                "A file is not among those that were uploaded. Upload it, then send what the upload returned."
            )
        check_kept(path)
    return taken


class GivenFilesField(gr.File):
    """A `gr.File` whose handlers get the paths of its files, of which there is a list even where it takes only one."""

    # Without a constructor of its own: Gradio tells the page what the parameters of that are called.

    def get_block_name(self) -> str:
        """The page has one component for this class and its parent."""
        return "file"

    def preprocess(self, payload: Any) -> list[str]:
        """Pass on what was uploaded, and nothing else on this machine. Raises gr.Error for the user."""
        files = payload.root if hasattr(payload, "root") else [payload] if payload else []
        try:
            return uploaded(file.path for file in files)
        except PlaygroundError as error:
            raise gr.Error(str(error), print_exception=False) from error
