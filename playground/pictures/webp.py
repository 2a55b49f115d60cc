"""Where the first frame of a WebP lies on its canvas, by its chunks alone."""

_MAX_CHUNKS = 1000  # before the first frame; there are about five


def place_of_first_frame(data: bytes) -> tuple[int, int, int, int] | None:
    """Return the box of the first frame of an animation, or None where nothing moves."""
    at = 12
    for _ in range(_MAX_CHUNKS):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"ANMF":
            x, y, width, height = (
                int.from_bytes(data[start : start + 3], "little") for start in range(at + 8, at + 20, 3)
            )
            return 2 * x, 2 * y, 2 * x + width + 1, 2 * y + height + 1
        if len(kind) < 4:
            break
        at += 8 + size + size % 2
    return None
