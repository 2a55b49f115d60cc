"""What the program says in its terminal, whatever terminal that is: a lost line never ends a server."""

import os
import signal
import sys
from contextlib import suppress
from types import TracebackType
from typing import TextIO

from playground.errors import PlaygroundError


def accept_any_terminal() -> None:
    """Let characters that a terminal does not have be written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end_plainly_when_interrupted() -> None:
    """Let a Ctrl+C that nothing else takes end the program with one line, from here on: call it before what imports."""
    show = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            show(kind, error, trace)
            return
        with suppress(OSError, ValueError, AttributeError):  # a terminal that is gone, or none
            sys.stdout.flush()
            sys.stderr.write("Ended.\n")
            sys.stderr.flush()
        # Not by SystemExit: to wait for threads that load a model would take seconds, or abort the process.
        os._exit(128 + signal.SIGINT)

    sys.excepthook = end


def say(line: str) -> None:
    """Write a line, or go on without where that cannot be."""
    try:
        print(line, flush=True)
    except (OSError, ValueError):
        _discard(sys.stdout)


def clock_time(seconds: float) -> str:
    """Return a time as m:ss, or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def report(line: str) -> None:
    """Write a line that the program was asked for. Raises PlaygroundError where it is lost, SystemExit where unread."""
    try:
        print(line, flush=True)
    except OSError as error:
        _lost(error)


def flush() -> None:
    """Write what is still held back, as `report` does: a library may have said something."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        _lost(error)


def _lost(error: OSError) -> None:
    _discard(sys.stdout)
    if isinstance(error, BrokenPipeError):  # `| head` has read what it wanted
        raise SystemExit(0) from None
    raise PlaygroundError(
        f"The output could not be written ({error.strerror}). Write it to another place, or make room."
    ) from None


def _discard(stream: TextIO) -> None:
    """Let what is still in the buffer go nowhere, so that the end of the program does not fail on it once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
