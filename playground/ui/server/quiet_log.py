"""The log of a server that people ask about their pictures: it says where something went wrong, never what came.

Exceptions and messages of libraries quote what they were given: of those that see a visitor's picture, phrase or file
name, the log has the place in the code and the kind of the error. So nobody can write a line of it either.
"""

import asyncio
import logging
import sys
import threading
import traceback
import warnings
from typing import Any

from gradio import queueing

from playground.console import comes_again

# What they say is about this program and its checkpoints: no value of a visitor reaches it.
_OUTSPOKEN = ("playground", "huggingface_hub")

_logger = logging.getLogger(__name__)


def keep_the_log_quiet() -> None:
    """Let nothing of a visitor reach stdout or stderr of this process, whoever writes it."""
    logging.setLogRecordFactory(_record)
    traceback.print_exc = _print_exc
    threading.excepthook = lambda args: _say_where("A thread", args.exc_value)
    sys.unraisablehook = _unraisable
    warnings.showwarning = lambda _, category, filename, lineno, *__: _logger.warning(
        "%s at %s:%d", category.__name__, filename, lineno
    )
    queueing.print = lambda *_: None  # type: ignore[attr-defined]  # it prints the errors of checks


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    if not comes_again(args.exc_value):
        _say_where("A destructor", args.exc_value)


def place_of(error: BaseException | None) -> str:
    """Return the kind of an error and where it was met, without its text."""
    if error is None:
        return "no error"
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join([type(error).__name__, *(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))])


def _record(*arguments: Any, **options: Any) -> logging.LogRecord:
    record = logging.LogRecord(*arguments, **options)
    if record.name.partition(".")[0] in _OUTSPOKEN:
        return record
    said = f"{record.levelname} of {record.name}, at {record.pathname}:{record.lineno}"
    error = record.exc_info[1] if record.exc_info else None
    record.msg, record.args = (f"{said}: {place_of(error)}" if error else said), ()
    record.exc_info = record.exc_text = record.stack_info = None
    return record


def _print_exc(*_: Any, **__: Any) -> None:
    _say_where("A failure", sys.exc_info()[1])


def _say_where(what: str, error: BaseException | None) -> None:
    if not isinstance(error, SystemExit | asyncio.CancelledError):  # who has gone away is no failure
        _logger.error("%s: %s", what, place_of(error))
