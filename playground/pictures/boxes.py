"""What AVIF and HEIC say of their colors by number: the `colr` box of kind `nclx` (ISO/IEC 14496-12, 23008-12)."""

import struct
from collections.abc import Iterator

_WAY = (b"meta", b"iprp", b"ipco")  # boxes in boxes; the first is a full box, with 4 more bytes


def color_numbers(data: bytes) -> tuple[int, int] | None:
    """Return the numbers of primaries and transfer, or None where there are none. Raises struct.error."""
    inner = memoryview(data)
    for name in _WAY:
        found = next((body for kind, body in _boxes(inner) if kind == name), None)
        if found is None:
            return None
        inner = found[4:] if name == b"meta" else found
    for kind, body in _boxes(inner):
        if kind == b"colr" and bytes(body[:4]) == b"nclx":
            primaries, transfer = struct.unpack_from(">HH", body, 4)
            return primaries, transfer
    return None


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            size, start = struct.unpack_from(">Q", data, start)[0], start + 8
        end = at + size if size else len(data)
        if end <= at:
            return
        yield kind, data[start:end]
        at = end
