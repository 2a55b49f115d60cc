"""What the page shows of a link that it was opened with."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from playground.pictures.reader import InputImage
from playground.tasks import Task
from playground.ui import scene, text
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
    if name := linked_checkpoint(link, checkpoints):
        checkpoint["value"] = name
    return {"checkpoint": checkpoint}


def linked_checkpoint(link: Link | None, checkpoints: list[tuple[str, str]]) -> str:
    """Return the checkpoint that a link names, where there is such a one; else nothing."""
    named = link.question.checkpoint if link else ""
    return named if named in [name for _, name in checkpoints] else ""


def not_here(
    link: Link | None, query: str, tasks: Sequence[Task], checkpoints: list[tuple[str, str]]
) -> list[text.Line]:
    """Return what a link asks for that is not to be had here, as a sentence; the page opens all the same."""
    if link is None:
        said = "This link holds no question that can be read. Ask one here, and copy a new link."
        return [text.line(said, "warning")] if Link.is_meant(query) else []
    task, checkpoint = link.question.task, link.question.checkpoint
    missing = [f"the task {task[:80]!r}"] if task not in [row.id for row in tasks] else []
    if checkpoint and not linked_checkpoint(link, checkpoints):
        missing.append(f"the checkpoint {checkpoint[:80]!r}")
    if link.has_lost_its_picture:
        missing.append("a picture")
    if not missing:
        return []
    are = "is" if len(missing) == 1 else "are"
    said = f"This link asks for {' and '.join(missing)}, which {are} not here. Choose what there is instead."
    return [text.line(said, "warning")]
