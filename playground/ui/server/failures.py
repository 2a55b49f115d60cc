"""What goes wrong becomes one sentence at every door, and the log learns where, not about whose picture.

Gradio prints the exception, which may quote what came, and tells the client nothing. A toast of the page keeps markup,
and the sentence may quote what came, so there it is escaped; a program gets it as it is. Knows no handler.
"""

import errno
import html
import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.route_utils import FnIndexInferError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse

from playground.errors import PlaygroundError, StorageFull
from playground.ui.server.disk import DISK_FULL

_App = Callable[[Any, Any, Any], Awaitable[None]]

_logger = logging.getLogger(__name__)


def sentence_of(error: BaseException) -> str:
    """Return what the user is to read. Where a bug was met goes to the log, without what it says of whose question."""
    if isinstance(error, PlaygroundError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    name = type(error).__name__
    _logger.error("%s, most recent call last:\n%s", name, "".join(traceback.format_tb(error.__traceback__)))
    return (
        f"Something is wrong with the playground itself ({name}). Try again; if it stays so, please report it with "
        "what `python app.py --check` prints."
    )


def tell_failures(app: gr.Blocks) -> None:
    """Let every call of a function end in an answer or in a sentence, whoever calls: page, API or MCP."""
    blocks: Any = app
    process = blocks.process_api

    async def process_or_tell(block_fn: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return await process(block_fn, *arguments, **options)
        except Exception as error:
            function = app.fns[block_fn] if isinstance(block_fn, int) else block_fn
            is_program = getattr(function, "api_visibility", "") == "public"
            raise _failure(error, is_program=is_program) from None

    blocks.process_api = process_or_tell


def _failure(error: Exception, *, is_program: bool) -> gr.Error:
    """Return the error that Gradio passes on as it is and prints nothing of."""
    sentence = error.message if isinstance(error, gr.Error) else _sentence_of_input(error) or sentence_of(error)
    told = _Told(sentence if is_program else html.escape(sentence, quote=False), print_exception=False)
    if isinstance(error, gr.Error):
        told.title, told.duration, told.visible = error.title, error.duration, error.visible
    return told


class _Told(gr.Error):
    """An error whose text is the sentence: Gradio's own is its representation, with quotes."""

    def __str__(self) -> str:
        return str(self.message)


def _sentence_of_input(error: Exception) -> str:
    """Return what is wrong where Gradio, and no function of ours, refused what came; else nothing."""
    if isinstance(error, PlaygroundError | OSError):
        return ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        values = frame.f_locals
        match frame.f_code.co_name:
            case "validate_inputs":
                needed, got = len(values["dep_inputs"]), len(values["inputs"])
                return f"This call takes {needed} values, but got {got}. Send one for each input."
            case "preprocess_data" if "block" in values:
                block = values["block"]
                what = _UPLOADED.get(block.get_block_name(), _OTHER)
                return f"The value of {block.label or block.get_block_name()!r} cannot be used. {what}"
    return ""


_UPLOADED = {
    kind: f"Upload {what} to /gradio_api/upload, and send {sent}; a path alone is not enough."
    for kind, what, sent in (
        ("image", "a picture", 'its path as {"path": "...", "meta": {"_type": "gradio.FileData"}}'),
        ("file", "files", 'their paths as [{"path": "...", "meta": {"_type": "gradio.FileData"}}]'),
    )
}
_OTHER = "Send one of the type that /gradio_api/info names."


_NO_ENDPOINT = "There is no endpoint of this name or number. /gradio_api/info lists them."
_NO_CALL = 'A call is a JSON object with its values in a list: {"data": [...]}. /gradio_api/info says which.'


async def tell_no_call(_request: Any, _error: Exception) -> JSONResponse:
    """Answer a body that is JSON, but not what a route takes: FastAPI's own answer is a list of its findings."""
    return JSONResponse({"detail": _NO_CALL, "error": _NO_CALL}, 422)


def _is_no_endpoint(error: Exception) -> bool:
    """Whether Gradio found no function under the name or the number that was asked for."""
    *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
    looks_up = Path(frame.f_code.co_filename).name in ("routes.py", "route_utils.py") and frame.f_code.co_name in (
        "get_fn",
        "_",
    )
    return looks_up and isinstance(error, KeyError | FnIndexInferError)


def _sentence_of_names(error: Exception) -> str:
    """Return what Gradio finds wrong with the names of a call's values; else nothing."""
    *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
    is_found = isinstance(error, TypeError) and frame.f_code.co_name == "construct_args"
    return f"{str(error).partition('. Please')[0]}. /gradio_api/info says what it takes." if is_found else ""


class FailuresAsSentences:
    """ASGI middleware that answers with a sentence where a route failed before it had said anything.

    A stream that somebody asks for whose call is answered, or never was, has said so when Gradio lets it fail: it ends.
    """

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_and_note(message: Any) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except ClientDisconnect:
            pass  # nobody is left to be told
        except Exception as error:
            if _is_no_endpoint(error) and not has_begun:
                await JSONResponse({"detail": _NO_ENDPOINT, "error": _NO_ENDPOINT}, 404)(scope, receive, send)
                return
            if has_begun and isinstance(error.__cause__, HTTPException):
                await send({"type": "http.response.body", "more_body": False})
                return
            if not has_begun and (sentence := _sentence_of_names(error)):
                await JSONResponse({"detail": sentence, "error": sentence}, 422)(scope, receive, send)
                return
            sentence = sentence_of(error)
            if not has_begun:
                status = 507 if isinstance(error, StorageFull) or sentence == DISK_FULL else 500
                await PlainTextResponse(sentence, status)(scope, receive, send)
