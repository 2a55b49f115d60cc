"""What the page shows of a link that it was opened with."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from playground.pictures.reader import InputImage
from playground.question import DECODINGS
from playground.ui import scene
from playground.ui.link import Link
from playground.ui.picture import Upload
from playground.ui.session import Item
from playground.ui.taking import remember
from playground.ui.wiring import Updates


def item_of(link: Link, read_image: Callable[[str], InputImage]) -> Item:
    """Return the picture that a link is about; none where it holds only a question."""
    if link.seed is not None:
        path = scene.save_scene(scene.draw_scene(link.seed))
    elif link.example:
        path = str(link.example)
    else:
        return Item()
    return remember(Upload(path), read_image(path), seed=link.seed)


def form_of(link: Link | None, checkpoints: list[tuple[str, str]]) -> Updates:
    """Return what a link says of the settings; what the form cannot hold stays as it is."""
    checkpoint: Any = gr.update(choices=checkpoints)  # with what was found since the page was built
    if link is None:
        return {"checkpoint": checkpoint}
    if link.question.checkpoint in [name for _, name in checkpoints]:
        checkpoint["value"] = link.question.checkpoint
    decoding = {"decoding": link.question.decoding} if link.question.decoding in DECODINGS else {}
    return {"checkpoint": checkpoint, **decoding}
