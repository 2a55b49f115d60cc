"""The parts that several pages have, and what they look like at a moment. Knows no handler."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engines import Engines
from playground.paths import EXAMPLES
from playground.ui import text
from playground.ui.picture import Picture
from playground.ui.wiring import Updates

# Drawn scenes are for the model that knows nothing else; a photograph shows that it knows what it does not know.
PHOTOGRAPHS = sorted((EXAMPLES / "photographs").glob("*.jpg"))
ASTRONAUT = EXAMPLES / "photographs" / "astronaut.jpg"
SCENES = [*(path for path in sorted(EXAMPLES.glob("*.png")) if path.stem != "desert-large"), ASTRONAUT]
_STRIP_HEIGHT = 92  # pixels of the field for the next picture

Components = dict[str, Any]  # by the names that handlers know them by


def picture_field(*, has_camera: bool = True) -> Picture:
    """Return the field that takes a picture, as it is before there is one."""
    return Picture(
        sources=["upload", "webcam", "clipboard"] if has_camera else ["upload", "clipboard"],
        label="Picture",
        elem_id="picture",
        height=210,
        buttons=[],
        webcam_options=gr.WebcamOptions(mirror=False),  # what was held before the lens can be read
        placeholder="Drop or paste a picture here\nor click to choose one",
    )


def phrase_field(elem_id: str = "phrase", **options: Any) -> gr.Textbox:
    """Return the field for names or a sentence. A phone is not to begin them with a capital, which is another name."""
    as_typed = gr.InputHTMLAttributes(autocapitalize="none")
    return gr.Textbox("", label="Phrase", visible=False, elem_id=elem_id, html_attributes=as_typed, **options)


class TextAsSent(gr.Textbox):
    """A text that programs send. `gr.Textbox` would make one of a list of names, and ask for its brackets too."""

    def get_block_name(self) -> str:
        return "textbox"

    def preprocess(self, payload: Any) -> Any:
        return payload


def strip() -> Any:
    """The field for pictures, where it takes the next one."""
    return gr.update(value=None, height=_STRIP_HEIGHT, show_label=False, placeholder=text.NEXT_PICTURE)


def example_pictures(paths: Sequence[Path] = SCENES, *, elem_id: str = "examples", visible: bool = True) -> gr.Dataset:
    """Return pictures that come with the playground, to be clicked."""
    return gr.Dataset(
        show_label=False,
        components=[gr.Image(visible=False)],
        samples=[[str(path)] for path in paths],
        type="index",
        samples_per_page=20,
        elem_id=elem_id,
        visible=visible,
    )


def run_and_stop() -> Components:
    """Return the two buttons of a run."""
    with gr.Row(elem_id="actions"):
        return {
            "run": gr.Button("Run", variant="primary", min_width=90, scale=3, elem_id="run"),
            "stop": gr.Button("Stop", min_width=90, interactive=False, elem_id="stop"),
        }


def buttons(*, is_running: bool) -> Updates:
    """Run and Stop, of which one can be pressed."""
    return {
        "run": gr.update(interactive=not is_running),
        "stop": gr.update(interactive=is_running, variant="stop" if is_running else "secondary"),
    }


def chosen_checkpoint(engines: Engines, name: str) -> Any:
    """Return what a list of checkpoints shows: those that may be asked for by now, with one of them chosen."""
    choices = checkpoint_choices(engines)
    return gr.update(choices=choices, value=name if name in dict(choices).values() else "")


def checkpoint_choices(engines: Engines) -> list[tuple[str, str]]:
    """Return the checkpoints that may be asked for, as choices."""
    return [("Automatic", ""), *engines.names()]
