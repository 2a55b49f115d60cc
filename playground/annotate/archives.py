"""Pictures in a ZIP: its members one by one, and none that reaches out of it, is a link, or unpacks to more than a
picture may have."""

import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from playground.annotate.buckets import is_url, open_url
from playground.errors import ImageRejected
from playground.pictures.limits import DEFAULT_LIMITS, MEGABYTE, Limits, check_file_size

_MAX_MEMBERS = 200_000
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive; `problem` says why it is not read."""

    name: str
    problem: str = ""


def is_archive(path: str) -> bool:
    """Whether a file is taken for an archive, by its name."""
    return path.lower().endswith(".zip")


class Archive:
    """An archive that is open. Safe to read from several threads."""

    def __init__(self, path: str, limits: Limits = DEFAULT_LIMITS, *, may_be_empty: bool = False) -> None:
        """Open an archive, whose files are within the limits, and may or may not be empty. Raises ImageRejected."""
        self._limits = limits
        self._may_be_empty = may_be_empty
        self._file = open_url(path) if is_url(path) else None
        try:
            self._zip = zipfile.ZipFile(self._file or path)
        except OSError as error:
            raise ImageRejected(f"The archive cannot be opened ({error.strerror}). Check that it is there.") from error
        # Fed with damaged archives, zipfile raises nearly everything.
        except Exception as error:
            raise ImageRejected("The archive is damaged or no ZIP. Pack it again.") from error
        count = len(self._zip.filelist)
        if count > _MAX_MEMBERS:
            self.close()
            raise ImageRejected(f"The archive has {count} files; at most {_MAX_MEMBERS} are read. Unpack it first.")

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        if self._file:
            self._file.close()

    def members(self) -> Iterator[Member]:
        """Yield the files in their order; of two of one name the last counts, as in any program that unpacks."""
        for name, info in self._zip.NameToInfo.items():
            if not info.is_dir():
                yield Member(name, self._problem(info))

    def size(self, name: str) -> int:
        """Return how many bytes a file is said to have; 0 where there is none."""
        info = self._zip.NameToInfo.get(name)
        return info.file_size if info else 0

    def read(self, name: str) -> bytes:
        """Return a file. Raises ImageRejected."""
        info = self._zip.NameToInfo.get(name)
        if info is None:
            raise ImageRejected("The archive does not hold this picture any more. Pack it again.")
        if problem := self._problem(info):
            raise ImageRejected(problem)
        try:
            with self._zip.open(info) as file:  # what is said of its size need not be true
                content = file.read(self._limits.max_megabytes * MEGABYTE + 1)
        except Exception as error:
            raise ImageRejected("This file is damaged in the archive. Pack it again.") from error
        self._check_size(len(content))
        return content

    def _problem(self, info: zipfile.ZipInfo) -> str:
        """Return why a file is not read, or nothing."""
        parts = info.filename.replace("\\", "/").split("/")
        if ".." in parts or not parts[0] or ":" in parts[0]:
            return "The name of this file leads out of the archive, so it is not read. Pack it again with plain names."
        if stat.S_ISLNK(info.external_attr >> 16):
            return "This is a link, and links in archives are not followed. Pack the picture itself."
        if info.flag_bits & _ENCRYPTED:
            return "This file in the archive needs a password. Unpack the archive, and give the folder."
        try:
            self._check_size(info.file_size)
        except ImageRejected as error:
            return str(error)
        return ""

    def _check_size(self, size: int) -> None:
        if size or not self._may_be_empty:
            check_file_size(size, self._limits)
