"""What pictures there are: files, folders, patterns, archives and lists become sources, one after another.

A source is named and not read. What is no picture by its name is passed over where a folder or an archive holds it, and
tried where somebody named it.
"""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.annotate.archives import Archive, is_archive
from playground.errors import ImageRejected, SourceRejected
from playground.pictures.kinds import accepted_extensions

JOURNAL = "predictions.jsonl"  # makes a folder the output of a job
_MAX_LINE = 5000  # characters of a path in a list
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Where one picture is: a file, or a member of an archive. `problem` says why it cannot be read at all."""

    path: str  # from the root
    member: str = ""
    problem: str = ""

    @property
    def name(self) -> str:
        """The name of the picture, as a file has it."""
        return (self.member or self.path).replace("\\", "/").rpartition("/")[2]

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form, which says where the picture is."""
        return {"source": self.path} | ({"member": self.member} if self.member else {})

    @classmethod
    def from_dict(cls, wire: Mapping[str, Any]) -> "PictureSource":
        """Read the wire form; raises KeyError or TypeError for what is none."""
        return cls(wire["source"], wire.get("member", ""))

    def __str__(self) -> str:
        return f"{self.path}: {self.member}" if self.member else self.path


def find_sources(given: Sequence[str | Path]) -> Iterator[PictureSource]:
    """Yield the pictures of files, folders, patterns, archives and lists of paths, each in natural order.

    Nothing is kept but the names of the folder that is being looked through. What cannot be looked through is a source
    with a problem.
    """
    for text in map(str, given):
        yield from _expand(text)


def check_sources(given: Sequence[str | Path]) -> None:
    """Refuse, before anything begins, what is not there. Raises SourceRejected."""
    if not given:
        raise SourceRejected("There is no picture. Name files, folders, archives, or patterns such as 'photos/*.jpg'.")
    for text in map(str, given):
        if not os.path.exists(text) and not (_is_pattern(text) and any(glob.iglob(text, recursive=True))):
            what = "No file fits the pattern" if _is_pattern(text) else "There is no file or folder"
            raise SourceRejected(f"{what} {text[:200]!r}. Check the spelling, and where you are: {os.getcwd()}")


def natural_key(name: str) -> list[tuple[int, str | int]]:
    """Return what sorts names as people do: page 2 before page 10, upper and lower case alike."""
    parts = _DIGITS.split(name.casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts] + [(1, name)]


def _is_pattern(text: str) -> bool:
    return glob.has_magic(text) and not os.path.lexists(text)


def _expand(text: str) -> Iterator[PictureSource]:
    if _is_pattern(text):
        for path in sorted(glob.iglob(text, recursive=True), key=natural_key):
            yield from _of_path(path) if not os.path.isdir(path) else ()
    else:
        yield from _of_path(text)


def _of_path(path: str) -> Iterator[PictureSource]:
    whole = os.path.abspath(path)
    if os.path.isdir(whole):
        yield from _of_folder(whole)
    elif whole.lower().endswith(".txt"):
        yield from _of_list(whole)
    elif is_archive(whole):
        yield from _of_archive(whole)
    else:
        yield PictureSource(whole)


def _of_folder(folder: str) -> Iterator[PictureSource]:
    """Yield the pictures of a folder: its files first, then its folders. The output of a job is none."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError as error:
        yield PictureSource(
            folder, problem=f"The folder cannot be looked through ({error.strerror}). Check its permissions."
        )
        return
    if (JOURNAL, False) in found:
        return
    wanted = sorted((is_folder, natural_key(name), name) for name, is_folder in found if not _is_hidden(name))
    for is_folder, _, name in wanted:
        path = os.path.join(folder, name)
        if is_folder:
            yield from _of_folder(path)
        elif _is_picture(name):
            yield PictureSource(path)
        elif is_archive(path):
            yield from _of_archive(path)


def _of_archive(path: str) -> Iterator[PictureSource]:
    try:
        archive = Archive(path)
    except ImageRejected as error:
        yield PictureSource(path, problem=str(error))
        return
    with closing(archive):
        for member in archive.members():
            if not _is_hidden(member.name.rpartition("/")[2]) and _is_picture(member.name):
                yield PictureSource(path, member.name, member.problem)


def _of_list(path: str) -> Iterator[PictureSource]:
    """Yield what the lines of a text file name, from the file's folder on; a line may begin with # as a remark."""
    folder = os.path.dirname(path)
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as lines:
            for line in _lines(lines):
                named = os.path.join(folder, os.path.expanduser(line))
                if line.lower().endswith(".txt"):
                    yield PictureSource(
                        named, problem="A list of paths cannot name another list. Name that one beside it."
                    )
                else:
                    yield from _of_path(named)
    except OSError as error:
        yield PictureSource(path, problem=f"The list cannot be read ({error.strerror}). Check that it is there.")


def _lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if (text := line.strip()[:_MAX_LINE]) and not text.startswith("#"):
            yield text


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _is_picture(name: str) -> bool:
    return name.lower().endswith(tuple(accepted_extensions()))
