"""The code that puts the question of the page into somebody's own page, as a widget. The browser writes it."""

from typing import Any

import gradio as gr

_INFO = "Paste it into a page. Which sites may show it, whoever runs this playground says: docs/hosting.md tells how."


def embed_code() -> dict[str, Any]:
    """Return what shows the code, folded away."""
    with gr.Accordion("Embed this", open=False, elem_id="embed") as embed:
        code = gr.Textbox(
            label="The widget with this question",
            info=_INFO,
            lines=4,
            max_lines=4,
            buttons=["copy"],
            interactive=False,
            elem_id="embed-code",
        )
    return {"embed": embed, "embed_code": code}


def wire_embed(on: dict[str, Any]) -> None:
    """Write the code when it is unfolded: the question and the looks are those of that moment."""
    asked = [on[name] for name in ("task", "phrase", "checkpoint", "style", "has_labels")]
    options: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    on["embed"].expand(None, asked, on["embed_code"], js="embedCode", **options)
