"""Pictures in buckets and on other file systems: URLs such as s3://bucket/photos, with whatever fsspec knows.

A bucket is looked through as a folder is. What can be wrong there is one sentence. Knows no picture.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playground.errors import ImageRejected, PlaygroundError, SourceRejected
from playground.pictures.limits import DEFAULT_LIMITS, MEGABYTE, check_file_size

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class BucketEntry:
    """A file or a folder, by its URL."""

    url: str
    is_folder: bool

    @property
    def name(self) -> str:
        return self.url.rstrip("/").rpartition("/")[2]


def is_url(text: str) -> bool:
    """Whether a source is named by a URL."""
    return _URL.match(text) is not None


def is_pattern(url: str) -> bool:
    """Whether a URL stands for what fits it, such as s3://bucket/*.jpg; the question mark of a web address does not."""
    return _PATTERN.search(url) is not None and not url.lower().startswith(("http://", "https://"))


def entries_at(url: str) -> list[BucketEntry]:
    """Return what is in a folder, what fits a pattern, or the file itself. Raises SourceRejected."""
    with _refusing(SourceRejected, url):
        system, path = _system_of(url)
        if is_pattern(url):
            return _entries(system, system.glob(path, detail=True).values())
        if system.isdir(path):
            found = system.ls(path, detail=True)
            return _entries(system, (one for one in found if one["name"].rstrip("/") != path.rstrip("/")))
        if not system.isfile(path):
            raise FileNotFoundError
        return [BucketEntry(url, is_folder=False)]


def read_url(url: str) -> bytes:
    """Return a file. Raises ImageRejected."""
    with _refusing(ImageRejected, url):
        system, path = _system_of(url)
        with system.open(path, "rb") as file:
            content: bytes = file.read(DEFAULT_LIMITS.max_megabytes * MEGABYTE + 1)
        check_file_size(len(content), DEFAULT_LIMITS)
        return content


def open_url(url: str) -> Any:
    """Return an open file that can be read at any place. Raises ImageRejected."""
    with _refusing(ImageRejected, url):
        system, path = _system_of(url)
        return system.open(path, "rb")


def _system_of(url: str) -> tuple[Any, str]:
    import fsspec  # which takes a quarter of a second, for few jobs

    if "::" in url:
        raise ValueError("a file within a file has no URL of its own")
    return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]


def _entries(system: Any, found: Iterator[dict[str, Any]]) -> list[BucketEntry]:
    return [BucketEntry(system.unstrip_protocol(one["name"]), one["type"] == "directory") for one in found]


@contextmanager
def _refusing(kind: Callable[[str], PlaygroundError], url: str) -> Iterator[None]:
    """Raise an error of a kind for whatever the file system of a URL says: each has errors of its own."""
    try:
        yield
    except PlaygroundError:
        raise
    except ImportError as error:
        scheme = url.partition(":")[0]
        raise kind(f"{scheme}:// needs a package that is not installed ({error}). Install it first.") from error
    except FileNotFoundError as error:
        raise kind(f"There is no file or folder {url[:200]!r}. Check the spelling.") from error
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:200]
        raise kind(f"{url[:200]!r} cannot be read ({said}). Check the address, and who may read it.") from error
