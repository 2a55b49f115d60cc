"""What the page of many pictures asks about the files: pages, passwords and times, where files with such are given."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from playground.export import FORMATS, VIDEO_FORMATS
from playground.pictures.frames import VIDEO_EXTENSIONS
from playground.tasks import Group, Task
from playground.ui.parts import Components
from playground.ui.wiring import Updates

_DOCUMENTS = (".pdf", ".zip")  # a ZIP may hold one
_WITH_PAGES = (*_DOCUMENTS, ".tif", ".tiff")
SHOWN = ("sources", "of_documents", "of_pages", "of_videos", "format")
FIRST_FORMAT = "coco"
_OF_WHAT_IS_READ = ("txt", "pdf")  # without places, and with them


def format_for(task: Task, chosen: str) -> str:
    """Return the format that is mostly wanted of a task, for what is read a document; another that was chosen stays."""
    if chosen not in (FIRST_FORMAT, *_OF_WHAT_IS_READ):
        return chosen
    plain, placed = _OF_WHAT_IS_READ
    return FIRST_FORMAT if task.group is not Group.READ else plain if task.output_kind.is_text else placed


def shown_for(paths: Sequence[str], format: str = FIRST_FORMAT) -> Updates:
    """Return what of the accordion is shown for these files, and the formats in which their answers can be saved.

    `format` is the one that is chosen; it stays where these files have it.
    """
    has_documents, has_pages, has_videos = (
        any(path.lower().endswith(ends) for path in paths) for ends in (_DOCUMENTS, _WITH_PAGES, VIDEO_EXTENSIONS)
    )
    rows = (*FORMATS, *VIDEO_FORMATS) if has_videos else FORMATS
    chosen = format if format in {row.id for row in rows} else FIRST_FORMAT
    return {
        "sources": gr.update(visible=has_pages or has_videos),
        "of_documents": gr.update(visible=has_documents),
        "of_pages": gr.update(visible=has_pages),
        "of_videos": gr.update(visible=has_videos),
        "format": gr.update(choices=[(row.title, row.id) for row in rows], value=chosen),
    }


def source_options() -> Components:
    """Put the accordion into the form; it is seen once there are such files."""
    components: Components = {}
    options: dict[str, Any] = {"interactive": True, "max_lines": 1}
    with gr.Accordion("Pages, passwords and times", open=False, visible=False, elem_id="sources") as sources:
        with gr.Column(visible=False) as components["of_pages"]:
            components["pages"] = gr.Textbox(
                "", label="Pages", placeholder="1-30, 40", info="Of every document; all of them without it.",
                elem_id="pages", **options,
            )  # fmt: skip
        with gr.Column(visible=False) as components["of_documents"]:
            components["password"] = gr.Textbox(
                "", label="Password of PDFs", type="password", elem_id="password", **options
            )  # fmt: skip
            components["own_text"] = gr.Checkbox(
                False, label="Take the text that a page holds, instead of reading it", interactive=True,
                elem_id="own-text",
            )  # fmt: skip
        with gr.Column(visible=False) as components["of_videos"]:
            components["every"] = gr.Textbox(
                "", label="A frame each", placeholder="1s", info="Seconds, such as 0.5s, or a number of frames.",
                elem_id="every", **options,
            )  # fmt: skip
            with gr.Row():
                components["start"] = gr.Textbox(
                    "", label="From", placeholder="0:00", min_width=90, elem_id="start", **options
                )  # fmt: skip
                components["end"] = gr.Textbox(
                    "", label="To", placeholder="1:30", min_width=90, elem_id="end", **options
                )  # fmt: skip
    return {**components, "sources": sources}
