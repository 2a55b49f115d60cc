"""What the program says in its terminal, whatever terminal that is: a lost line never ends a server."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType, TracebackType
from typing import NoReturn, TextIO

from playground.errors import PlaygroundError

_SECONDS_LATER = 0.1


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


def end_as_by_ctrl_c() -> None:
    """Let a host that ends the program, or a terminal that is closed, do what Ctrl+C does at that moment."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _as_by_ctrl_c)
    report = sys.unraisablehook
    sys.unraisablehook = lambda args: comes_again(args.exc_value) or report(args)


def wait_for_ctrl_c() -> NoReturn:
    """Wait until the program is to end. Not for a lock: on Windows no Ctrl+C ends that."""
    while True:
        time.sleep(1)


def comes_again(error: BaseException | None) -> bool:
    """Whether what a destructor met was such an end: Python would only report it, so it comes a moment later again."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    threading.Timer(_SECONDS_LATER, os.kill, (os.getpid(), signal.SIGTERM)).start()
    return True


def _as_by_ctrl_c(number: int, frame: FrameType | None) -> None:
    does = signal.getsignal(signal.SIGINT)
    (does if callable(does) else signal.default_int_handler)(number, frame)  # a script in the background ignores it


def say(line: str, *, is_aside: bool = False) -> None:
    """Write a line, `is_aside` to the standard error, or go on without where that cannot be."""
    stream = sys.stderr if is_aside else sys.stdout
    try:
        print(line, file=stream, flush=True)
    except (OSError, ValueError):
        _discard(stream)


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
