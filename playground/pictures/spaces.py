"""Color spaces that a file names by number, written as ICC profiles, so that one converter serves them all.

Values are those of ITU-T H.273 (CICP): PNG's `cICP`, and the `nclx` of AVIF and HEIC. PNG's `gAMA` and `cHRM` too.
"""

import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Primaries = tuple[float, float, float, float, float, float, float, float]  # x and y of white, red, green and blue
Transfer = Callable[[Values], Values]  # stored values to linear light, both in 0..1

_D50 = np.array([0.9642, 1.0, 0.8249])
_D65, _C, _DCI = (0.3127, 0.329), (0.31, 0.316), (0.314, 0.351)
SRGB_PRIMARIES: Primaries = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES: dict[int, Primaries] = {
    1: SRGB_PRIMARIES,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (*_DCI, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}

# What a screen of standard range shows of light in multiples of 203 cd/m2, as chromium does: the half of it up to
# there, and above less and less, until 1000 cd/m2 are white.
_LIGHT = (0, 1, 1.158, 1.344, 1.558, 1.804, 2.089, 2.416, 2.794, 3.229, 3.731, 4.309, 1000 / 203)
_SHOWN = (0, 0.5, 0.562, 0.617, 0.667, 0.715, 0.760, 0.803, 0.846, 0.886, 0.925, 0.963, 1)


def power(exponent: float) -> Transfer:
    """Return the transfer of a pure gamma."""
    return lambda stored: stored**exponent


def srgb(stored: Values) -> Values:
    """Return the linear light of values in sRGB."""
    return np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)


def _smpte_240(stored: Values) -> Values:
    return np.where(stored < 0.0913, stored / 4, ((stored + 0.1115) / 1.1115) ** (1 / 0.45))


def _smpte_428(stored: Values) -> Values:
    return np.minimum(stored**2.6 * 52.37 / 48, 1)


def _pq(stored: Values) -> Values:
    root = stored ** (32 / 2523)
    light = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return np.interp(10_000 / 203 * light ** (16384 / 2610), _LIGHT, _SHOWN)


def _hlg(stored: Values) -> Values:
    scene = np.where(stored <= 0.5, stored**2 / 3, (np.exp((stored - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return np.interp(1000 / 203 * scene**1.2, _LIGHT, _SHOWN)


TELEVISION = (1, 6, 11, 14, 15)  # shown with the gamma of its screens, BT.1886
SRGB, PQ, HLG = 13, 16, 18
HIGH_RANGE = "The picture has a high dynamic range; its colors and its brightest parts are shown roughly."
_TRANSFERS: dict[int, Transfer] = {
    **dict.fromkeys(TELEVISION, power(2.4)),
    4: power(2.2),
    5: power(2.8),
    7: _smpte_240,
    8: power(1),
    SRGB: srgb,
    PQ: _pq,
    17: _smpte_428,
    HLG: _hlg,
}


def profile_of_numbers(primaries: int, transfer: int, notices: list[str]) -> bytes | None:
    """Return the profile of a space of H.273, or None where a number is none that can be shown."""
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        return None
    if transfer in (PQ, HLG):
        notices.append(HIGH_RANGE)
    return make_profile(_PRIMARIES[primaries], _TRANSFERS[transfer])


def make_profile(primaries: Primaries, transfer: Transfer) -> bytes | None:
    """Return an ICC profile (version 2) of a space of red, green and blue, or None where the primaries make none."""
    matrix = _to_d50(primaries)
    if matrix is None:
        return None
    # As many points as 8 bits have values, so that none is interpolated.
    points = np.clip(transfer(np.linspace(0, 1, 256)), 0, 1) * 65535
    curve = b"curv\0\0\0\0" + struct.pack(">I", 256) + np.round(points).astype(">u2").tobytes()
    tags = {b"desc": _description(b"made of numbers"), b"cprt": b"text\0\0\0\0none\0\0\0\0", b"wtpt": _xyz(_D50)}
    tags |= {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _assemble(tags)


def _to_d50(primaries: Primaries) -> Values | None:
    """Return the matrix from linear red, green and blue to XYZ, adapted to the white of profiles by Bradford's rule."""
    xy = np.array(primaries).reshape(4, 2)
    if not np.isfinite(xy).all() or (xy < 0).any() or xy[0].min() <= 0:
        return None
    white, *colors = np.column_stack([xy, 1 - xy.sum(axis=1)])
    columns, white = np.array(colors).T, white / white[1]
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    try:
        matrix = columns * np.linalg.solve(columns, white)
        adapt = np.linalg.solve(bradford, np.diag(bradford @ _D50 / (bradford @ white)) @ bradford)
    except np.linalg.LinAlgError:
        return None
    found: Values = adapt @ matrix
    return found if np.abs(found).max() < 100 else None


def _xyz(numbers: Values) -> bytes:
    return b"XYZ \0\0\0\0" + np.round(numbers * 65536).astype(">i4").tobytes()


def _description(text: bytes) -> bytes:
    written = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" * 79
    return written + b"\0" * (-len(written) % 4)


def _assemble(tags: dict[bytes, bytes]) -> bytes:
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s12x4s", at + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    illuminant = np.round(_D50 * 65536).astype(">i4").tobytes()
    return (head.ljust(68, b"\0") + illuminant).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
