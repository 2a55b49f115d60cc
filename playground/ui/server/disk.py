"""What the cache may hold: so many bytes and files in all and of each visitor, and nothing that is old.

Everything in the folder counts, whoever wrote it. A visitor's files lie in a folder of their own, so that the disk
itself knows whose they are. Knows files, nothing of Gradio.
"""

import errno
import hashlib
import os
import secrets
import shutil
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from playground.errors import ImageRejected, StorageFull

_SECONDS_YOUNG = 60.0  # in which what is written or uploaded gets its first use
_NUM_SHOWN = 8  # of the files made for a tab, that it may show or offer for download
_SECONDS_BETWEEN_SCANS = 1.0
DISK_FULL = "The disk of the playground is full. Try again later, or tell whoever runs it."
_FREE_BYTES = 64_000_000  # of the disk, that are left to others


@contextmanager
def storage_errors() -> Iterator[None]:
    """Say of a disk that is full, or whose quota is used up, that it is full. Raises StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(DISK_FULL) from error
        raise


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """The most that the cache may hold; one visitor may have a share of it."""

    total_bytes: int = 4_096_000_000
    total_files: int = 20_000
    visitor_share: float = 0.25
    keep_seconds: float = 3600.0  # of what nobody uses


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    visitor: str
    bytes: int
    stamp: tuple[int, int, int]  # inode, and when content and inode changed: another one is another file
    seen: float = 0.0  # by the clock that never jumps


@dataclass(slots=True)
class _Held:
    """What all, or one visitor, have on the disk."""

    bytes: int = 0
    files: int = 0


class Disk:
    """One folder and what lies in it."""

    def __init__(
        self,
        folder: Path,
        limits: DiskLimits | None = None,
        *,
        visitor_of: Callable[[Any], str] = lambda _: "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._limits = limits or DiskLimits()
        self._visitor_of = visitor_of
        self._clock = clock
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}
        self._empty: dict[str, float] = {}  # folders without a file, and since when
        self._held: defaultdict[str, _Held] = defaultdict(_Held)
        self._scanned_at = -1e9
        self._made: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_NUM_SHOWN))
        self._key = secrets.token_bytes(16)
        self.in_use: Callable[[], Collection[str]] = frozenset  # the files that must stay

    def folder_of(self, request: Any) -> Path:
        """Return the folder of who sent a request; its name says nothing about who that is."""
        visitor = self._visitor_of(request).encode()
        return self.folder / hashlib.blake2b(visitor, key=self._key, digest_size=8).hexdigest()

    def save(self, content: bytes, name: str, request: Any, *, folder: Path | None = None) -> str:
        """Write a file of whoever sent the request, into a folder of theirs; returns its path. Raises StorageFull."""
        visitor = self.folder_of(request)
        path = (folder or visitor) / hashlib.blake2b(content, key=self._key, digest_size=20).hexdigest() / name
        with storage_errors():
            self.make_room(visitor, len(content))
            for is_last in (False, True):
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    path.write_bytes(content)
                    break
                except FileNotFoundError:  # a sweep has just removed the folder, which was empty
                    if is_last:
                        raise
                except OSError:
                    path.unlink(missing_ok=True)
                    raise
        self._made[getattr(request, "session_hash", None) or ""].append(str(path))
        return str(path)

    def made_for(self, sessions: Collection[str]) -> set[str]:
        """Return the newest files that were made for these sessions, and forget what was made for others."""
        for name in set(self._made) - set(sessions):
            self._made.pop(name, None)
        return {path for name in sessions for path in list(self._made.get(name, ()))}

    def make_room(self, visitor_folder: Path, num_bytes: int) -> None:
        """Make sure that a file of this size fits, and let old ones go for it. Raises StorageFull."""
        visitor = visitor_folder.name
        with self._lock:
            if not self._fits(visitor, num_bytes):
                self._make_room(visitor, num_bytes)
            for held in (self._held[""], self._held[visitor]):
                held.bytes += num_bytes
                held.files += 1

    def delete(self, paths: Collection[str]) -> None:
        """Delete files at once, but for those that are in use."""
        with self._lock:
            kept = self._scan()
            for path in paths:
                if path in self._files and path not in kept:
                    self._delete(self._files[path])

    def check_kept(self, path: str) -> None:
        """Raise ImageRejected for a picture that was here and is not any more."""
        if not os.path.lexists(path):
            raise ImageRejected(
                "That picture is no longer on the server, which keeps for "
                f"{max(1, round(self._limits.keep_seconds / 60))} minutes what no open tab shows. Drop it again."
            )

    def sweep(self) -> None:
        """Delete every file that is old and not in use, and folders that stay empty."""
        keep_seconds = self._limits.keep_seconds
        with self._lock:
            kept = self._scan()
            now = self._clock()
            for file in list(self._files.values()):
                if now - file.seen >= keep_seconds and file.path not in kept:
                    self._delete(file)
            self._remove_empty(now)

    def _fits(self, visitor: str, num_bytes: int) -> bool:
        is_free = shutil.disk_usage(self.folder).free >= num_bytes + _FREE_BYTES
        return is_free and self._fits_into("", 1.0, num_bytes) and self._fits_the_share_of(visitor, num_bytes)

    def _make_room(self, visitor: str, num_bytes: int) -> None:
        """Delete the oldest files that nobody uses until one more fits: the visitor's own first."""
        now = self._clock()
        if now - self._scanned_at >= _SECONDS_BETWEEN_SCANS:
            kept = self._scan()
            oldest = sorted(self._files.values(), key=lambda file: (file.visitor != visitor, file.seen))
            for file in oldest:
                if self._fits(visitor, num_bytes):
                    return
                is_needed = file.path in kept or now - file.seen < _SECONDS_YOUNG
                if not is_needed and (file.visitor == visitor or self._fits_the_share_of(visitor, num_bytes)):
                    self._delete(file)
        if not self._fits(visitor, num_bytes):
            raise StorageFull(self._sentence(visitor, num_bytes))

    def _fits_the_share_of(self, visitor: str, num_bytes: int) -> bool:
        """Whether the visitor's own share allows the file: else nobody else's need go."""
        return self._fits_into(visitor, self._limits.visitor_share, num_bytes)

    def _fits_into(self, whose: str, part: float, num_bytes: int) -> bool:
        held, limits = self._held[whose], self._limits
        return held.bytes + num_bytes <= limits.total_bytes * part and held.files + 1 <= limits.total_files * part

    def _sentence(self, visitor: str, num_bytes: int) -> str:
        if shutil.disk_usage(self.folder).free < num_bytes + _FREE_BYTES:
            return DISK_FULL
        if self._fits_the_share_of(visitor, num_bytes):
            return "The playground has no room for another file now. Try again in some minutes."
        return (
            "Your pictures and files take all the room that one visitor may have here. Close the tabs that you do not "
            "need, and try again in a minute; jobs keep their files until nobody has looked at them for a while."
        )

    def _scan(self) -> Collection[str]:
        """Look what lies in the folder; returns what must stay."""
        now = self._clock()
        found: dict[str, _File] = {}
        self._held.clear()
        for file in self._walk():
            known = self._files.get(file.path)
            seen = known.seen if known and known.stamp == file.stamp else now
            found[file.path] = replace(file, seen=seen)
            for held in (self._held[""], self._held[file.visitor]):
                held.bytes += file.bytes
                held.files += 1
        self._files, self._scanned_at = found, now
        return self.in_use()

    def _walk(self) -> Iterator[_File]:
        for folder, _, names in os.walk(self.folder):
            parts = Path(folder).relative_to(self.folder).parts
            for name in names:
                path = os.path.join(folder, name)
                with suppress(OSError):
                    found = os.lstat(path)
                    stamp = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
                    yield _File(path, parts[0] if parts else "(nobody)", found.st_size, stamp)

    def _delete(self, file: _File) -> None:
        try:
            os.remove(file.path)
        except FileNotFoundError:
            pass
        except OSError:
            return  # the next round tries it again
        self._files.pop(file.path, None)
        for held in (self._held[""], self._held[file.visitor]):
            held.bytes -= file.bytes
            held.files -= 1

    def _remove_empty(self, now: float) -> None:
        """Remove folders that have been empty for a while: a new one waits for its file."""
        empty = {}
        for folder, _, _ in os.walk(self.folder, topdown=False):
            with suppress(OSError):
                if folder == str(self.folder) or os.listdir(folder):
                    continue
                since = self._empty.get(folder, now)
                if now - since >= _SECONDS_YOUNG:
                    os.rmdir(folder)
                else:
                    empty[folder] = since
        self._empty = empty


_disks: dict[Path, Disk] = {}


def use_disk(disk: Disk) -> None:
    """Let this be the disk of everything that is saved in its folder."""
    _disks[disk.folder] = disk


def disk_of(folder: str | Path) -> Disk:
    """Return the disk of a folder; where nobody has set limits, one with the usual ones."""
    return _disks.setdefault(Path(folder), Disk(Path(folder)))
