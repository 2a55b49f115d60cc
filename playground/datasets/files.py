"""The files of a data set, in a folder or an archive, by their paths in it. Nothing outside is ever read."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from playground.annotate.archives import Archive, is_archive
from playground.annotate.sources import PictureSource, natural_key
from playground.errors import ImageRejected, SourceRejected
from playground.pictures.kinds import accepted_extensions
from playground.pictures.limits import DEFAULT_LIMITS, MEGABYTE

LABEL_FILES = (".json", ".jsonl", ".yaml", ".yml")  # that may hold the labels of a whole data set
_MAX_FILES = 2_000_000
LABEL_MEGABYTES = 1000  # of one file of labels, unpacked: the largest of COCO has 450


class DataFiles:
    """What files there are. Only their names are kept."""

    def __init__(self, root: str | Path, *, only: str = "", label_megabytes: int = LABEL_MEGABYTES) -> None:
        """Look through a folder or an archive; `only` is the one file of labels that counts. Raises SourceRejected.

        Of a file of labels so many megabytes are read at most.
        """
        self._label_limits = replace(DEFAULT_LIMITS, max_megabytes=label_megabytes)
        self.root = os.path.abspath(root)
        self.is_archive = not os.path.isdir(self.root)
        sources = self._of_archive() if self.is_archive else self._of_folder()
        wanted = (pair for pair in sources if not only or pair[0] == only or not pair[0].lower().endswith(LABEL_FILES))
        self._sources = dict(sorted(wanted, key=lambda pair: natural_key(pair[0])))
        self._by_name: dict[str, list[str]] = {}
        for path in self._sources:
            self._by_name.setdefault(_same_file(path), []).append(path)

    def ending(self, *suffixes: str) -> Iterator[str]:
        """Yield the paths that end so, in natural order."""
        return (path for path in self._sources if path.lower().endswith(suffixes))

    def pictures_in(self, folder: str) -> Iterator[str]:
        """Yield the paths of pictures in a folder and in those within; "" is the whole."""
        begin = f"{folder}/" if folder else ""
        return (path for path in self.ending(*accepted_extensions()) if path.startswith(begin))

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._sources

    def has_folder(self, folder: str) -> bool:
        """Whether there is any file in such a folder."""
        return not folder or any(path.startswith(f"{folder}/") for path in self._sources)

    def source(self, path: str) -> PictureSource:
        """Return a file as a source of a picture."""
        return self._sources[path]

    def find(self, named: str, near: Iterable[str] = ()) -> PictureSource:
        """Return the picture that labels name, in one of these folders first, then wherever its name is the only one.

        Where it is not there, the source says so.
        """
        path = named.replace("\\", "/").removeprefix("./")
        tried = [*(join_paths(folder, path) for folder in near), path]
        found = next((one for one in tried if one in self._sources), "")
        alike = self._by_name.get(_same_file(path), [])
        if not found and len(alike) == 1:
            found = alike[0]
        if found:
            return self._sources[found]
        why = "There is no such picture" if not alike else f"There are {len(alike)} pictures of this name"
        return PictureSource(named[:500], problem=f"{why} in the data set: {named[:200]!r}.")

    def read(self, path: str) -> bytes:
        """Return a file of labels. Raises SourceRejected."""
        source = self._sources[path]
        try:
            return self._read_member(source.member) if source.member else self._read_file(source.path)
        except (OSError, ImageRejected) as error:
            raise SourceRejected(f"{path} cannot be read: {error}") from error

    def text(self, path: str) -> str:
        """Return a file of labels as text. Raises SourceRejected."""
        try:
            return self.read(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SourceRejected(f"{path} is not written in UTF-8. Save it so, or its letters are lost.") from error

    def lines(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield the lines of a text that say something, with their numbers from 1. Raises SourceRejected."""
        for number, line in enumerate(self.text(path).split("\n"), start=1):  # of other line breaks JSON may hold some
            if line.strip():
                yield number, line.strip()

    @cached_property
    def _labels(self) -> Archive:
        """The archive as it is read for labels, which may be larger than pictures, and empty."""
        return Archive(self.root, self._label_limits, may_be_empty=True)

    def _read_member(self, member: str) -> bytes:
        self._check_size(self._labels.size(member))
        return self._labels.read(member)

    def _read_file(self, path: str) -> bytes:
        if not os.path.isfile(path):  # nor a pipe, which may never end
            raise ImageRejected("It is not there any more.")
        self._check_size(os.path.getsize(path))
        with open(path, "rb") as file:
            return file.read(self._label_limits.max_megabytes * MEGABYTE)

    def _check_size(self, size: int) -> None:
        most = self._label_limits.max_megabytes
        if size > most * MEGABYTE:
            raise ImageRejected(f"It has {size / MEGABYTE:.0f} MB, and at most {most} are read. Divide the data set.")

    def _of_folder(self) -> Iterator[tuple[str, PictureSource]]:
        count, seen = 0, set[tuple[int, int]]()
        for folder, folders, names in os.walk(self.root, followlinks=True):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:  # a link that leads back
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = [name for name in folders if not _is_hidden(name)]
            count += len(names)
            if count > _MAX_FILES:
                raise SourceRejected(f"{self.root} has more than {_MAX_FILES} files. Name a folder within it.")
            for name in names:
                if not _is_hidden(name):
                    whole = os.path.join(folder, name)
                    yield os.path.relpath(whole, self.root).replace(os.sep, "/"), PictureSource(whole)

    def _of_archive(self) -> Iterator[tuple[str, PictureSource]]:
        if not is_archive(self.root):
            name = os.path.basename(self.root)[:200]
            raise SourceRejected(f"{name!r} is neither a folder nor a ZIP. Give the folder of the data set.")
        try:
            archive = Archive(self.root)
        except ImageRejected as error:
            raise SourceRejected(str(error)) from error
        with closing(archive):
            members = [member for member in archive.members() if not any(map(_is_hidden, member.name.split("/")))]
        within = _common_folder([member.name for member in members])
        for member in members:
            yield member.name.removeprefix(within), PictureSource(self.root, member.name, problem=member.problem)


def _same_file(path: str) -> str:
    """Return the name of a file, whose capitals may be others, and whose accents macOS writes as letters."""
    return unicodedata.normalize("NFC", PurePosixPath(path).name).casefold()


def join_paths(*parts: str) -> str:
    """Return a path within a data set, without dots; one that leads out of it names nothing there."""
    kept: list[str] = []
    for part in "/".join(parts).replace("\\", "/").split("/"):
        if part == "..":
            kept = kept[:-1] if kept else ["\0"]
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)


def folder_of(path: str) -> str:
    """Return the folder of a path; "" for the whole."""
    return path.rpartition("/")[0]


_PARTS = {"valid": "val", "validation": "val", "dev": "val", "training": "train", "testing": "test"}
_NO_PARTS = ("default", "trainval", "all", "annotations", "labels", "data", "metadata", "dataset")


def subset_named(text: str) -> str:
    """Return the part of a data set that a name stands for: train, val, test, nothing, or the name itself."""
    name = text.lower().rstrip("0123456789_-. ")
    return "" if name in _NO_PARTS else _PARTS.get(name, name if name in ("train", "val", "test") else text)


def _common_folder(names: list[str]) -> str:
    """Return the one folder in which all files of an archive lie, with its slash; nothing where there is none."""
    first = names[0].partition("/") if names else ("", "", "")
    folder = f"{first[0]}/" if first[1] else ""
    is_part = subset_named(first[0]) in ("train", "val", "test") or first[0].lower() in ("images", "annotations")
    return folder if folder and not is_part and all(name.startswith(folder) for name in names) else ""


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX")) and name != ".."  # of which the archive says what is wrong
