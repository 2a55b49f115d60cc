"""Whether a GIF moves, by its blocks alone."""

_IMAGE, _EXTENSION = 0x2C, 0x21
_MAX_STEPS = 300_000  # a frame of 40 megapixels has fewer parts


def has_second_frame(data: bytes) -> bool:
    """Return whether a second frame follows the first."""
    at = 13 + _palette_bytes(data[10:11])
    frames = 0
    for _ in range(_MAX_STEPS):
        kind = data[at : at + 1]
        if kind == bytes([_IMAGE]):
            frames += 1
            if frames > 1:
                return True
            at += 11 + _palette_bytes(data[at + 9 : at + 10])
        elif kind == bytes([_EXTENSION]):
            at += 2
        else:
            return False
        while size := int.from_bytes(data[at : at + 1]):
            at += size + 1
        at += 1
    return False


def _palette_bytes(flags: bytes) -> int:
    flag = int.from_bytes(flags)
    return 3 * 2 ** ((flag & 7) + 1) if flag & 0x80 else 0
