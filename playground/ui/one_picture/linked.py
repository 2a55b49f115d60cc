"""What the page shows of a link that it was opened with."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from playground.pictures.reader import InputImage
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


def checkpoint_of(link: Link | None, checkpoints: list[tuple[str, str]]) -> Updates:
    """Return the choice of a checkpoint, with that of a link where there is such a one."""
    checkpoint: Any = gr.update(choices=checkpoints)  # with what was found since the page was built
    if link and link.question.checkpoint in [name for _, name in checkpoints]:
        checkpoint["value"] = link.question.checkpoint
    return {"checkpoint": checkpoint}
