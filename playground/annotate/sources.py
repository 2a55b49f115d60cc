"""What pictures there are: files, folders, patterns, archives and lists become sources, one after another.

A source is named and not read. What is no picture by its name is passed over where a folder or an archive holds it, and
tried where somebody named it.
"""

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from playground.annotate.archives import Archive, is_archive
from playground.annotate.buckets import BucketEntry, entries_at, is_url, read_url
from playground.annotate.buckets import is_pattern as is_url_pattern
from playground.errors import ImageRejected, SourceRejected
from playground.export import DocumentPage, stem_of
from playground.pictures.frames import VIDEO_EXTENSIONS, FrameStep, frame_times
from playground.pictures.kinds import accepted_extensions
from playground.pictures.reader import num_pages

JOURNAL = "predictions.jsonl"  # makes a folder the output of a job
_MAX_LINE = 5000  # characters of a path in a list
_EACH_SECOND = FrameStep()
_OF_DOCUMENTS = (".pdf",)
_WITH_PAGES = (".pdf", ".tif", ".tiff")
_PAGES = re.compile(r"(\d{1,9})(\s*-\s*(\d{1,9})?)?")
_LAST_PAGE = 10**9
_PACKED_TWICE = "Archives and videos in an archive are not read. Unpack it, and give the files."
_NO_PICTURE_HERE = "There is no picture here. Look whether it is the place that was meant."
_NO_PICTURE_IN_ARCHIVE = "There is no picture in this archive. Look whether it is the one that was meant."
_DIGITS = re.compile(r"(\d+)")


File = tuple[str, str]  # its path, and the member of an archive


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Where one picture is: a file, or a member of an archive. `problem` says why it cannot be read at all.

    One that `is_unwanted` is none: it says of a file, or of a place that somebody named, that nothing of it is wanted.
    """

    path: str  # from the root, or a URL
    member: str = ""
    page: int | None = None  # from 0, of a document or of a TIFF with several
    seconds: float | None = None  # of a frame of a video
    problem: str = ""
    is_unwanted: bool = False

    @property
    def name(self) -> str:
        """The name of the file."""
        return (self.member or self.path).replace("\\", "/").rpartition("/")[2]

    @property
    def file(self) -> File:
        """The file in which the picture is."""
        return self.path, self.member

    @property
    def is_whole_file(self) -> bool:
        """Whether the picture is all that its file holds."""
        return self.page is None and self.seconds is None

    @property
    def stem(self) -> str:
        """The name of the picture, without an extension."""
        name = stem_of(self.name)
        if self.seconds is not None:
            whole, milliseconds = divmod(round(self.seconds * 1000), 1000)
            return f"{name}-{whole // 3600:02}h{whole // 60 % 60:02}m{whole % 60:02}s{milliseconds:03}"
        return name if self.page is None else f"{name}-p{self.page + 1:03}"

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form, which says where the picture is."""
        member = {"member": self.member} if self.member else {}
        page = {} if self.page is None else {"page": self.page + 1}
        return {"source": self.path} | member | page | ({} if self.seconds is None else {"seconds": self.seconds})

    @classmethod
    def from_dict(cls, wire: Mapping[str, Any]) -> "PictureSource":
        """Read the wire form; raises KeyError or TypeError for what is none."""
        page = wire.get("page")
        return cls(wire["source"], wire.get("member", ""), None if page is None else page - 1, wire.get("seconds"))

    def __str__(self) -> str:
        file = f"{self.path}: {self.member}" if self.member else self.path
        if self.seconds is not None:
            return f"{file}, at {self.seconds:g} seconds"
        return file if self.page is None else f"{file}, page {self.page + 1}"


def page_of(source: PictureSource) -> DocumentPage | None:
    """Return which page of which document a picture is, where it is one."""
    if source.page is None:
        return None
    return DocumentPage(f"{source.path}\0{source.member}", stem_of(source.name), source.page + 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of files with many pictures: pages of documents, from 0 and all without ranges, and frames.

    `password` opens documents. `num_pages` and `frame_times` look into files; a server has them do so elsewhere.
    """

    pages: tuple[range, ...] = ()
    password: str = field(default="", repr=False)
    frames: FrameStep = _EACH_SECOND
    num_pages: Callable[..., int] = num_pages
    frame_times: Callable[[str, FrameStep], Iterable[float]] = frame_times

    def has_page(self, page: int) -> bool:
        """Whether a page is wanted."""
        return not self.pages or any(page in some for some in self.pages)


def read_pages(text: str) -> tuple[range, ...]:
    """Return pages from 0, from "1-30,40,50-", which count from 1. Raises SourceRejected."""
    ranges = []
    for part in filter(None, map(str.strip, text.split(","))):
        match = _PAGES.fullmatch(part)
        first = int(match[1]) if match else 0
        last = (int(match[3]) if match[3] else _LAST_PAGE if match[2] else first) if match else 0
        if not 1 <= first <= last:
            raise SourceRejected(
                f"{part[:80]!r} names no pages. Give them as 1-30, 40 or 50-, with commas between them."
            )
        ranges.append(range(first - 1, last))
    return tuple(ranges)


def read_step(every: str, start: str, end: str) -> FrameStep:
    """Return which frames are wanted, from "0.5s" or a number of frames, and times such as 90 or 1:30.

    Raises SourceRejected.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s|([1-9]\d{0,8})", every)
    if not match or (match[1] and float(match[1]) <= 0):
        raise SourceRejected(f"{every[:80]!r} is no step: give seconds, such as 0.5s, or a number of frames: 10.")
    first, last = _time(start, 0.0), _time(end, float("inf"))
    if last < first:
        raise SourceRejected(f"The end, {end}, is before the start, {start}. Exchange them.")
    return FrameStep(float(match[1] or 1), int(match[2] or 0), first, last)


def _time(text: str, without: float) -> float:
    """Return the seconds of a time such as 90, 1:30 or 1:02:03.5. Raises SourceRejected."""
    if not text:
        return without
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", text)
    if not match:
        raise SourceRejected(f"{text[:80]!r} is no time: give seconds, such as 90.5, or 1:30.")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def find_sources(given: Sequence[str | Path], wanted: Wanted = Wanted()) -> Iterator[PictureSource]:
    """Yield the pictures of files, folders, patterns, archives and lists of paths, each in natural order.

    Nothing is kept but the names of the folder that is being looked through. What cannot be looked through is a source
    with a problem, and so is what holds no picture that is wanted.
    """
    for text in map(str, given):
        place = text if is_url(text) else os.path.abspath(text)
        yield from _or_unwanted(_expand(text, wanted), PictureSource(place), _NO_PICTURE_HERE)


def count_sources(sources: Iterable[PictureSource], most: int | None) -> int:
    """Return how many sources there are, or `most` where there are more; 0 where no picture is wanted of any."""
    count, is_wanted = 0, False
    for source in sources:
        count += 1
        is_wanted |= not source.is_unwanted
        if is_wanted and most is not None and count >= most:
            return most
    return count if is_wanted else 0


def check_sources(given: Sequence[str | Path]) -> None:
    """Refuse, before anything begins, what is not there. Raises SourceRejected."""
    if not given:
        raise SourceRejected("There is no picture. Name files, folders, archives, or patterns such as 'photos/*.jpg'.")
    for text in map(str, given):
        if is_url(text):
            if not entries_at(text) and is_url_pattern(text):
                raise SourceRejected(f"No file fits the pattern {text[:200]!r}. Check the spelling.")
        elif not os.path.exists(text) and not (_is_pattern(text) and any(glob.iglob(text, recursive=True))):
            what = "No file fits the pattern" if _is_pattern(text) else "There is no file or folder"
            raise SourceRejected(f"{what} {text[:200]!r}. Check the spelling, and where you are: {os.getcwd()}")


def natural_key(name: str) -> list[tuple[int, str | int]]:
    """Return what sorts names as people do: page 2 before page 10, upper and lower case alike."""
    parts = _DIGITS.split(name.casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts] + [(1, name)]


def _is_pattern(text: str) -> bool:
    return glob.has_magic(text) and not os.path.lexists(text)


def _expand(text: str, wanted: Wanted) -> Iterator[PictureSource]:
    if is_url(text):
        yield from _of_url(text, wanted)
    elif _is_pattern(text):
        for path in sorted(glob.iglob(text, recursive=True), key=natural_key):
            yield from _of_path(path, wanted) if not os.path.isdir(path) else ()
    else:
        yield from _of_path(text, wanted)


def _of_path(path: str, wanted: Wanted) -> Iterator[PictureSource]:
    whole = os.path.abspath(path)
    if os.path.isdir(whole):
        yield from _of_folder(whole, wanted)
    elif whole.lower().endswith(".txt"):
        yield from _of_list(whole, wanted)
    elif is_archive(whole):
        yield from _of_archive(whole, wanted)
    elif _is_video(whole):
        yield from _frames_of(whole, wanted)
    else:
        yield from _pages_of(PictureSource(whole), Path(whole), wanted)


def _of_folder(folder: str, wanted: Wanted) -> Iterator[PictureSource]:
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
    seen = sorted((is_folder, natural_key(name), name) for name, is_folder in found if not _is_hidden(name))
    for is_folder, _, name in seen:
        path = os.path.join(folder, name)
        if is_folder:
            yield from _of_folder(path, wanted)
        elif _is_picture(name):
            yield from _pages_of(PictureSource(path), Path(path), wanted)
        elif is_archive(path):
            yield from _of_archive(path, wanted)
        elif _is_video(path):
            yield from _frames_of(path, wanted)


def _of_url(url: str, wanted: Wanted) -> Iterator[PictureSource]:
    """Yield the pictures of a bucket, as of a folder, or of a pattern there; a file that is named is tried."""
    try:
        found = entries_at(url)
    except SourceRejected as error:
        yield PictureSource(url, problem=str(error))
        return
    is_named = [entry.url for entry in found] == [url]
    if any(entry.name == JOURNAL for entry in found):
        return
    for entry in sorted(found, key=lambda entry: (entry.is_folder, natural_key(entry.name))):
        if is_named or not _is_hidden(entry.name):
            yield from _of_entry(entry, wanted, is_named=is_named)


def _of_entry(entry: BucketEntry, wanted: Wanted, *, is_named: bool) -> Iterator[PictureSource]:
    if entry.is_folder:
        yield from _of_url(entry.url, wanted)
    elif is_archive(entry.url):
        yield from _of_archive(entry.url, wanted)
    elif _is_video(entry.url) or (is_named and entry.url.lower().endswith(".txt")):
        yield PictureSource(entry.url, problem="Videos and lists are read from a disk. Fetch the file first.")
    elif is_named or _is_picture(entry.name):
        yield from _pages_of(PictureSource(entry.url), partial(read_url, entry.url), wanted)


def _of_archive(path: str, wanted: Wanted) -> Iterator[PictureSource]:
    try:
        archive = Archive(path)
    except ImageRejected as error:
        yield PictureSource(path, problem=str(error))
        return
    with closing(archive):
        yield from _or_unwanted(_members_of(path, archive, wanted), PictureSource(path), _NO_PICTURE_IN_ARCHIVE)


def _members_of(path: str, archive: Archive, wanted: Wanted) -> Iterator[PictureSource]:
    for member in archive.members():
        if _is_hidden(member.name.rpartition("/")[2]):
            continue
        if is_archive(member.name) or _is_video(member.name):
            yield PictureSource(path, member.name, problem=_PACKED_TWICE)
        elif _is_picture(member.name):
            source = PictureSource(path, member.name, problem=member.problem)
            yield from _pages_of(source, partial(archive.read, member.name), wanted)


def _of_list(path: str, wanted: Wanted) -> Iterator[PictureSource]:
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
                    yield from _or_unwanted(_of_path(named, wanted), PictureSource(named), _NO_PICTURE_HERE)
    except OSError as error:
        yield PictureSource(path, problem=f"The list cannot be read ({error.strerror}). Check that it is there.")


def _lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if (text := line.strip()[:_MAX_LINE]) and not text.startswith("#"):
            yield text


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _is_picture(name: str) -> bool:
    return name.lower().endswith((*accepted_extensions(), *_OF_DOCUMENTS))


def _is_video(path: str) -> bool:
    return path.lower().endswith(VIDEO_EXTENSIONS)


def _frames_of(path: str, wanted: Wanted) -> Iterator[PictureSource]:
    start, end = f"{wanted.frames.start:g}", f"{wanted.frames.end:g}"
    times = f"from {start} seconds on" if end == "inf" else f"from {start} to {end} seconds"
    try:
        found = (PictureSource(path, seconds=round(at, 4)) for at in wanted.frame_times(path, wanted.frames))
        yield from _or_unwanted(
            found, PictureSource(path), f"This video has no picture {times}. Choose other times, or leave it out."
        )
    except ImageRejected as error:
        yield PictureSource(path, problem=str(error))


def _pages_of(source: PictureSource, file: Path | Callable[[], bytes], wanted: Wanted) -> Iterator[PictureSource]:
    """Yield the pages of a document, or the picture itself where it is none."""
    if source.problem or not source.name.lower().endswith(_WITH_PAGES):
        yield source
        return
    try:
        count = wanted.num_pages(file if isinstance(file, Path) else file(), password=wanted.password)
    except ImageRejected:  # of which the reading says more
        yield source
        return
    if count == 1 and not source.name.lower().endswith(_OF_DOCUMENTS):
        yield source
        return
    found = (replace(source, page=page) for page in range(count) if wanted.has_page(page))
    has = "1 page" if count == 1 else f"{count} pages"
    yield from _or_unwanted(
        found, source, f"This document has {has}, and none of those that are wanted. Choose others, or leave it out."
    )


def _or_unwanted(found: Iterator[PictureSource], none: PictureSource, why: str) -> Iterator[PictureSource]:
    """Yield what is found, or where that is nothing, a source that says so."""
    is_any = False
    for source in found:
        is_any = True
        yield source
    if not is_any:
        yield replace(none, problem=why, is_unwanted=True)
