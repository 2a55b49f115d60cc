"""Arguments that a call leaves out at its end: they have their defaults, as with Gradio's client library.

Over plain HTTP Gradio refuses such a call without a word, so that an endpoint could never take one argument more.
Knows no endpoint.
"""

from typing import Any

import gradio as gr


def fill_in_arguments(app: gr.Blocks) -> None:
    """Let calls of the public endpoints be short: what is missing is what the components begin with."""
    queue: Any = app._queue
    enter = queue.push

    async def enter_with_all(body: Any, request: Any, username: str | None) -> Any:
        function: Any = app.fns.get(body.fn_index)
        if function and function.api_visibility == "public":
            missing = function.inputs[len(body.data) :]
            body.data = [*body.data, *(component.value for component in missing)]
        return await enter(body, request, username)

    queue.push = enter_with_all
