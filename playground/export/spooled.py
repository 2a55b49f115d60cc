"""Lists that are too long to be kept in memory until the end: on the disk where they are many. Knows no format."""

import json
import shutil
from collections.abc import Iterator, Mapping
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Self

_MAX_BYTES_IN_MEMORY = 1 << 20


class Spooled:
    """Texts that are taken one by one, and written together or read back in their order."""

    def __init__(self) -> None:
        self.count = 0
        self._file = SpooledTemporaryFile(_MAX_BYTES_IN_MEMORY)  # noqa: SIM115  # closed with this

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, text: str) -> None:
        """Take a text."""
        self.count += 1
        self._file.write(text.encode("utf-8", "replace"))

    def write(self, stream: IO[bytes]) -> None:
        """Write all texts."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, stream)

    def lines(self) -> Iterator[bytes]:
        """Yield each line of the texts."""
        self._file.seek(0)
        yield from self._file


class SpooledList(Spooled):
    """The rows of a list in JSON."""

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Take a row."""
        self.add((", " if self.count else "") + json.dumps(row))

    def write(self, stream: IO[bytes]) -> None:
        """Write the list."""
        stream.write(b"[")
        super().write(stream)
        stream.write(b"]")
