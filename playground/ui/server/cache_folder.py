"""The folder of one running program for what is uploaded and made: its own, only for its user, gone with the program.

Two programs never touch each other's files, and what a killed one has left is neither served nor kept by the next, but
for what is to outlive a program, which the next one takes over. Knows the system's locks, nothing of Gradio.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playground.errors import SettingsInvalid

with suppress(ImportError):
    import fcntl

# Not on Windows: what a killed program has left there stays, unserved, among the temporary files.
_CAN_LOCK = "fcntl" in globals()

_PREFIX = "florence-2-playground-"


_Kept = Callable[[Path], Collection[str]]


def _nothing(_: Path) -> Collection[str]:
    return ()


@contextmanager
def own_folder(parent: str = "", kept: _Kept = _nothing) -> Iterator[Path]:
    """Hold a folder that nobody else can read, remove those of dead programs, and remove it at the end.

    It lies in `parent`, or in the system's folder for temporary files. What `kept` returns of a folder in `parent`
    outlives its program: it stays at the end, and the next program takes the folder with it for its own. Raises
    SettingsInvalid where none can be made.
    """
    kept = kept if parent else _nothing
    try:
        if parent:
            os.makedirs(parent, mode=0o700, exist_ok=True)
        # Resolved: Gradio compares paths whose links have been followed.
        within = Path(parent or tempfile.gettempdir()).resolve()
        folder, lock = _take_over(within, kept) or _locked_folder(within)
    except OSError as error:
        place = parent or "the folder for temporary files"
        raise SettingsInvalid(
            f"No folder for uploads can be made in {place} ({error.strerror}). Let PLAYGROUND_CACHE_FOLDER name a "
            "folder that this user can write to."
        ) from error
    try:
        yield folder
    finally:
        _remove_all_but(kept(folder), folder)
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


def _take_over(parent: Path, kept: _Kept) -> tuple[Path, int] | None:
    """Remove what this user's programs have left that ended without a chance to do it themselves.

    Returns the newest of their folders in which something is kept, which is locked now; None where there is none.
    """
    taken = None
    for folder in sorted(parent.glob(f"{_PREFIX}*"), key=_age) if _CAN_LOCK else ():
        with suppress(OSError):
            found = folder.lstat()
            is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if is_ours and (lock := _lock(folder)) is not None:
                files = kept(folder)
                _remove_all_but(files, folder)
                if files and taken is None:
                    taken = folder, lock
                else:
                    os.close(lock)
    return taken


def _age(folder: Path) -> float:
    with suppress(OSError):
        return -folder.lstat().st_mtime
    return 0.0


def _remove_all_but(files: Collection[str], folder: Path) -> None:
    """Remove what is in a folder but for some files, and the folder where nothing is left."""
    if not files:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for where, _, names in os.walk(folder, topdown=False):
        for name in names:
            if (path := os.path.join(where, name)) not in files:
                with suppress(OSError):
                    os.unlink(path)
        with suppress(OSError):  # not empty
            os.rmdir(where)
