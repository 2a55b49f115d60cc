"""The folder of an adapter while it is taught: of one process at a time, with a save from which the teaching goes on.

Knows nothing of what a save holds.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from playground.checkpoints.files import ADAPTER_WEIGHTS
from playground.errors import SettingsInvalid

STATE = "teaching.pt"  # until it is done
_LOCK = ".lock"


def check_out(folder: Path) -> None:
    """Raise SettingsInvalid where a folder holds an adapter that is done, or can be none."""
    try:
        is_done = (folder / ADAPTER_WEIGHTS).exists() and not (folder / STATE).is_file()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_be_written(folder, error) from error
    if is_done:
        raise SettingsInvalid(f"{folder} holds an adapter already. Choose another folder, or delete it.")


def _cannot_be_written(folder: Path, error: OSError) -> SettingsInvalid:
    return SettingsInvalid(
        f"{folder} cannot be written ({error.strerror or error}). Make room, or choose another folder."
    )


class OutFolder:
    """A folder that belongs to this teaching until it is given back, or its process ends."""

    def __init__(self, folder: Path) -> None:
        """Take it. Raises SettingsInvalid where that cannot be."""
        check_out(folder)
        self.path = folder
        self._lock = FileLock(folder / _LOCK, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise SettingsInvalid(
                f"Another process is teaching in {folder}. Wait until it ends, or choose another folder."
            ) from None
        except OSError as error:
            raise _cannot_be_written(folder, error) from error

    def give_back(self) -> None:
        """Let others have it."""
        with suppress(OSError):  # Windows does so by itself when it is released
            (self.path / _LOCK).unlink(missing_ok=True)
        self._lock.release()

    def read_state(self) -> dict[str, Any] | None:
        """Return what was saved, if anything was. Raises SettingsInvalid where it cannot be read."""
        import torch

        file = self.path / STATE
        if not file.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # of a damaged file torch raises whatever comes
            raise SettingsInvalid(
                f"{file}, from which this teaching would go on, is damaged or cannot be read. Delete it to begin "
                "anew, or choose another folder."
            ) from error
        return state

    def write_state(self, state: dict[str, Any]) -> None:
        """Write all that a teaching needs to go on, whole or not at all. Raises SettingsInvalid."""
        import torch

        unfinished = self.path / f"{STATE}.new"
        with self.writing():
            try:
                torch.save(state, unfinished)
                unfinished.replace(self.path / STATE)
            except RuntimeError as error:  # as torch tells of a full disk
                raise OSError("there is no room") from error
            finally:
                unfinished.unlink(missing_ok=True)

    def forget_state(self) -> None:
        """Go on from nothing any more: it is done."""
        (self.path / STATE).unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Say in a sentence what keeps files from being written."""
        try:
            yield
        except OSError as error:
            raise _cannot_be_written(self.path, error) from error
