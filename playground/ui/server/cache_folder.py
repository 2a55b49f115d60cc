"""The folder of one running program for what is uploaded and made: its own, only for its user, gone with the program.

Two programs never touch each other's files, and what a killed one has left is neither served nor kept by the next.
Knows the system's locks, nothing of Gradio.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playground.errors import SettingsInvalid

with suppress(ImportError):
    import fcntl

# Not on Windows: what a killed program has left there stays, unserved, among the temporary files.
_CAN_LOCK = "fcntl" in globals()

_PREFIX = "florence-2-playground-"


@contextmanager
def own_folder(parent: str = "") -> Iterator[Path]:
    """Make a folder that nobody else can read, remove those of dead programs, and remove it at the end.

    It lies in `parent`, or in the system's folder for temporary files. Raises SettingsInvalid where none can be made.
    """
    try:
        if parent:
            os.makedirs(parent, mode=0o700, exist_ok=True)
        # Resolved: Gradio compares paths whose links have been followed.
        within = Path(parent or tempfile.gettempdir()).resolve()
        _remove_dead(within)
        folder, lock = _locked_folder(within)
    except OSError as error:
        place = parent or "the folder for temporary files"
        raise SettingsInvalid(
            f"No folder for uploads can be made in {place} ({error.strerror}). Let PLAYGROUND_CACHE_FOLDER name a "
            "folder that this user can write to."
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked_folder(parent: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))  # for this user alone, 0700
        if not _CAN_LOCK:
            return folder, None
        lock = _lock(folder)
        if lock is not None and folder.is_dir():
            return folder, lock
        if lock is not None:  # a program that starts in this moment took the folder for a dead one
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives; returns the descriptor, or None where another one holds it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_dead(parent: Path) -> None:
    """Remove the folders of this user's programs that ended without a chance to do it themselves."""
    if not _CAN_LOCK:
        return
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if is_ours and (lock := _lock(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
