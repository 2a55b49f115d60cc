"""Pages of a few components, served by this process, for tests that need no more of the app."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.data_classes import FileData
from PIL import Image


@contextmanager
def serving(demo: gr.Blocks, **options: Any) -> Iterator[str]:
    """Serve a page; gives its address. `options` are those of `launch`."""
    demo.launch(prevent_thread_lock=True, quiet=True, **options)
    try:
        yield str(demo.local_url)
    finally:
        demo.close(verbose=False)


def flat_picture(color: str, resolution_wh: tuple[int, int], cache: str) -> FileData:
    """Return a picture of one color, as a file in a folder that the page may serve."""
    picture = Image.new("RGB", resolution_wh, color)
    return FileData(path=processing_utils.save_pil_to_cache(picture, cache, format="png"))
