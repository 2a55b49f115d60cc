"""What an answer can be saved as: of all kinds of file those that hold something of it."""

from typing import Any

import gradio as gr

from playground.export import formats_for
from playground.results import Prediction
from playground.ui import text


def formats_offered(prediction: Prediction, liked: str) -> Any:
    """The choice of a kind of file; the one that the user likes stays where it is there."""
    rows = formats_for(prediction)
    chosen = liked if liked in [row.id for row in rows] else rows[0].id
    choices: list[Any] = [(row.title, row.id) for row in rows]
    return gr.update(choices=choices, value=chosen, info=text.cannot_carry(chosen))
