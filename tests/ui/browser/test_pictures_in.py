"""What a color-managed browser shows of a file is what is read of it: chromium's canvas against our pixels."""

import base64
import hashlib
import io
import struct
import subprocess
import sys
import tarfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from playground.errors import ImageRejected
from playground.pictures.reader import read_image
from tests.pictures.files import (
    P3_CORNERS,
    SRGB_CHUNK,
    apng_of_small_first_frame,
    bmp,
    chunk,
    cicp,
    encoded,
    gamma,
    gif_with_small_first_frame,
    icc,
    ink_profile,
    os2_bmp,
    png,
    profile,
    table_profile,
    webp_with_small_first_frame,
    with_color_numbers,
    with_late_profile,
)

pytestmark = pytest.mark.browser

_TYPES = {".png": "png", ".apng": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".mpo": "jpeg", ".gif": "gif",
          ".webp": "webp", ".avif": "avif", ".bmp": "bmp"}  # fmt: skip
_PIXELS_OF = """async (files) => Promise.all(files.map(async ([type, data]) => {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    try {
        const picture = await createImageBitmap(new Blob([bytes], {type: `image/${type}`}));
        const canvas = new OffscreenCanvas(picture.width, picture.height);
        const pen = canvas.getContext("2d", {willReadFrequently: true});
        pen.fillStyle = "white";
        pen.fillRect(0, 0, canvas.width, canvas.height);
        pen.drawImage(picture, 0, 0);
        const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
        const parts = [];
        for (let at = 0; at < pixels.length; at += 32768)
            parts.push(String.fromCharCode(...pixels.subarray(at, at + 32768)));
        return [canvas.width, canvas.height, btoa(parts.join(""))];
    } catch (problem) {
        return null;
    }
}))"""
Pixels = np.ndarray | None  # None where a file is refused


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    """An empty page in which pictures are drawn."""
    return browser.new_page()


def shown(page: Page, files: dict[str, bytes]) -> dict[str, Pixels]:
    """What chromium shows of each file, on white."""
    names, pixels = list(files), {}
    for start in range(0, len(names), 40):
        some = names[start : start + 40]
        sent = [[_TYPES[Path(name).suffix.lower()], base64.b64encode(files[name]).decode()] for name in some]
        for name, answer in zip(some, page.evaluate(_PIXELS_OF, sent), strict=True):
            pixels[name] = answer and _array(*answer)
    return pixels


def _array(width: int, height: int, data: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]


def read(data: bytes) -> Pixels:
    try:
        return np.asarray(read_image(data).pixels)
    except ImageRejected:
        return None


def difference(ours: Pixels, theirs: Pixels, tolerance: int) -> str:
    """Say how two pictures differ, or nothing where they do not."""
    if ours is None or theirs is None:
        return "" if ours is theirs else f"refused by {'us' if ours is None else 'chromium'} alone"
    if ours.shape != theirs.shape:
        return f"{ours.shape} instead of {theirs.shape}"
    levels = np.abs(ours.astype(int) - theirs).max(axis=2)
    if levels.max() <= tolerance:
        return ""
    y, x = np.unravel_index(levels.argmax(), levels.shape)
    share = (levels > tolerance).mean()
    return f"{ours[y, x].tolist()} instead of {theirs[y, x].tolist()} at {x}, {y}; {share:.1%} differ"


# Files that are made here: each way of saying what colors mean, and each kind of alpha

_LEVELS = bytes([0, 10, 32, 64, 128, 192, 240, 255])
_COLORS = bytes([200, 100, 50, 60, 180, 90, 30, 60, 200, 255, 0, 0, 0, 255, 0])
_COLOR = b"".join(bytes([level] * 3) for level in _LEVELS) + _COLORS
_GRAY_LINEAR, _COLOR_LINEAR = profile(b"GRAY", 1), profile(b"RGB", 1, "sRGB")
_MASKS = 0xFF0000, 0xFF00, 0xFF, 0xFF000000
_HALF_GREEN = bytes([0, 0, 255, 0, 0, 255, 0, 128, 255, 0, 0, 255])


def _colorful(*extra: bytes) -> bytes:
    return png(2, 8, (13, 1), _COLOR, *extra)


def _gray(*extra: bytes) -> bytes:
    return png(0, 8, (8, 1), _LEVELS, *extra)


def _blocks(mode: str = "RGB") -> Image.Image:
    """The same colors as blocks of 8 x 8, so that a lossy format keeps them."""
    colors = np.frombuffer(_COLOR, np.uint8).reshape(1, 13, 3)
    return Image.fromarray(colors.repeat(16, axis=0).repeat(8, axis=1)).convert(mode)


def _jpeg(picture: Image.Image, **options: Any) -> bytes:
    return encoded(picture, "JPEG", quality=100, subsampling=0, **options)


def _avif(primaries: int, transfer: int) -> bytes:
    return with_color_numbers(encoded(_blocks(), "AVIF", quality=100, subsampling="4:4:4"), primaries, transfer)


def made_files() -> dict[str, bytes]:
    files = {"plain.png": _colorful(), "gamma and sRGB.png": _colorful(SRGB_CHUNK, gamma(1))}
    files |= {f"gamma {exponent}.png": _colorful(gamma(exponent)) for exponent in (1, 1.8, 2.2, 4.5)}
    files |= {"gamma and primaries.png": _colorful(gamma(2.2), P3_CORNERS), "primaries.png": _colorful(P3_CORNERS)}
    files |= {f"cICP transfer {transfer}.png": _colorful(cicp(1, transfer)) for transfer in (1, 4, 5, 6, 7, 8, 13, 17)}
    files |= {
        f"cICP primaries {number}.png": _colorful(cicp(number, 13)) for number in (4, 5, 6, 7, 8, 9, 10, 11, 12, 22)
    }
    files |= {
        "cICP of gray.png": _gray(cicp(1, 8)),
        "cICP PQ.png": _gray(cicp(1, 16)),
        "cICP HLG.png": _gray(cicp(1, 18)),
    }
    files["cICP and profile.png"] = _colorful(cicp(1, 13), icc(_COLOR_LINEAR))
    files["profile and sRGB.png"] = _colorful(icc(_COLOR_LINEAR), SRGB_CHUNK)
    files["broken profile and gamma.png"] = _colorful(chunk(b"iCCP", b"p\0\0junk"), gamma(1))
    files["profile of gray for color.png"] = _colorful(icc(_GRAY_LINEAR))
    files["profile of color for gray.png"] = _gray(icc(_COLOR_LINEAR))
    files["profile of gray.png"] = _gray(icc(_GRAY_LINEAR))
    files["profile and a transparent level.png"] = _gray(icc(_GRAY_LINEAR), chunk(b"tRNS", b"\0\x80"))
    files["16 bits and a transparent color.png"] = png(
        2, 16, (3, 1), b"\x80\0" * 3 + b"\x80\1" * 3 + b"\x40\0" * 3, chunk(b"tRNS", b"\x80\0" * 3)
    )
    for bits in (1, 2, 4):
        files[f"{bits} bits and a transparent level.png"] = png(
            0, bits, (8 // bits, 1), b"\x1b", chunk(b"tRNS", b"\0\1"), icc(_GRAY_LINEAR)
        )
    files["profile of gray.jpg"] = _jpeg(_blocks("L"), icc_profile=_GRAY_LINEAR)
    files["profile of color.jpg"] = _jpeg(_blocks(), icc_profile=_COLOR_LINEAR)
    files["profile of color for gray.jpg"] = _jpeg(_blocks("L"), icc_profile=_COLOR_LINEAR)
    inks = _jpeg(_blocks("CMYK"))
    adobe = inks.index(b"\xff\xee")
    files["inks.jpg"] = inks
    files["inks, not from Adobe.jpg"] = inks[:adobe] + inks[adobe + 2 + struct.unpack_from(">H", inks, adobe + 2)[0] :]
    files["inks and their profile.jpg"] = _jpeg(_blocks("CMYK"), icc_profile=ink_profile())
    files["profile.webp"] = encoded(_blocks(), "WEBP", lossless=True, icc_profile=_COLOR_LINEAR)
    files |= {f"numbers {p} {t}.avif": _avif(p, t) for p, t in ((1, 8), (12, 13), (9, 13), (1, 1), (9, 14), (2, 2))}
    files["inks and a profile whose black is gray.jpg"] = _jpeg(_blocks("CMYK"), icc_profile=ink_profile(black=-20))
    for version in (2, 4):
        files[f"tables of version {version}.png"] = _colorful(
            icc(table_profile(b"RGB", (20, 0, 0), [(26, 0, 0)] * 3, version=version))
        )
    files["16 bits of gray and alpha.png"] = png(4, 16, (2, 1), b"\x80\0\xff\xff\x20\0\x80\0", icc(_GRAY_LINEAR))
    files["a profile behind the header of the frame.jpg"] = with_late_profile(_jpeg(_blocks()), _COLOR_LINEAR)
    files["small first frame.gif"] = gif_with_small_first_frame()
    files["small first frame.webp"] = webp_with_small_first_frame()
    files["small first frame.png"] = apng_of_small_first_frame()
    for header, masks in ((40, ()), (56, _MASKS), (108, ()), (108, _MASKS), (124, _MASKS)):
        files[f"alpha {header} {len(masks)}.bmp"] = bmp((3, 1), 32, 0, _HALF_GREEN, header=header, masks=masks)
    files["24 bits of OS2.bmp"] = os2_bmp((3, 1), _HALF_GREEN)
    for header in (40, 56, 108, 124):
        masks = _MASKS if header > 40 else _MASKS[:3]
        files[f"masks {header}.bmp"] = bmp((3, 1), 32, 3, _HALF_GREEN, header=header, masks=masks)
    colors = [(0, 0, 0), (255, 0, 0), (0, 255, 0)]
    runs = bytes([0, 5, 0x21, 0x21, 0x20, 0, 1, 0x10, 0, 1])
    files["runs of 4 bits.bmp"] = bmp((6, 1), 4, 2, runs, colors=colors)
    return files


def test_files_of_every_kind_of_color_and_alpha_are_read_as_chromium_shows_them(page: Page) -> None:
    files = made_files()
    theirs = shown(page, files)
    assert not [name for name, pixels in theirs.items() if pixels is None]
    differing = {name: difference(read(data), theirs[name], tolerance=3) for name, data in files.items()}
    assert {name: said for name, said in differing.items() if said} == {}


# Odd files of others: those that Pillow tests itself with, and those of the packages installed here

EXPLAINED = {  # docs/pictures.md has this table in words
    "hopper_orientation_?.webp": "chromium does not turn a WebP as its EXIF says",
    "icc_profile_big.jpg": "where a profile made of tables leaves sRGB, chromium cuts other channels off",
    "chunk_no_fdat.png": "an animation without its first frame is refused; chromium shows what stands before it",
    "badheadersize.bmp": "a header of an odd length is read by the lengths that are known; chromium refuses it",
    "mmap_error.bmp": "a palette that the header counts as pixels; chromium takes it for pixels",
    "issue_2811.gif": "codes longer than the standard has are read; chromium refuses them",
    "truncated_jpeg.jpg": "a cut JPEG of which nearly all is there is shown; `createImageBitmap` refuses it",
    "pil123*.png": "chromium multiplies colors by alpha in 8 bits before it converts them",
}
_LARGEST = 1_500_000  # bytes of a file
_MOST_PIXELS = 300_000


def pillow_sources(cache: Path) -> Path:
    """The source archive of the Pillow that is installed, fetched once."""
    archive = cache / f"pillow-{PIL.__version__}.tar.gz"
    if not archive.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--no-binary", "pillow", "--dest", str(cache), f"pillow=={PIL.__version__}"]  # fmt: skip
        fetched = subprocess.run(command, capture_output=True, text=True, check=False)
        if fetched.returncode:
            pytest.skip("Pillow's source archive, whose pictures are compared, cannot be fetched from the registry.")
    return archive


def odd_files(archive: Path) -> dict[str, bytes]:
    """Pictures that chromium may know, each once."""
    packages = [Path(PIL.__file__).parents[1] / name for name in ("gradio", "matplotlib")]
    paths = [path for package in packages for path in sorted(package.rglob("*")) if _is_candidate(path.name, path)]
    found = {path.name: path.read_bytes() for path in paths}
    with tarfile.open(archive) as tar:
        for member in tar:
            if "/Tests/images/" in member.name and _is_candidate(member.name) and member.size <= _LARGEST:
                stored = tar.extractfile(member)
                assert stored is not None
                found["/".join(member.name.split("/")[-2:])] = stored.read()
    return {name: data for name, data in _unique(found).items() if _is_small(data)}


def _is_candidate(name: str, path: Path | None = None) -> bool:
    is_here = path is None or (path.is_file() and path.stat().st_size <= _LARGEST)
    return Path(name).suffix.lower() in _TYPES and is_here


def _unique(files: dict[str, bytes]) -> dict[str, bytes]:
    return dict({hashlib.sha256(data).digest(): (name, data) for name, data in files.items()}.values())


def _is_small(data: bytes) -> bool:
    try:
        width, height = Image.open(io.BytesIO(data)).size
    except Exception:  # whatever is wrong with it is what is asked
        return True
    return width * height <= _MOST_PIXELS


def explanation(name: str) -> str:
    return next((why for pattern, why in EXPLAINED.items() if fnmatch(Path(name).name, pattern)), "")


@pytest.mark.filterwarnings("ignore")  # of Pillow, about the odd files
@pytest.mark.long
def test_odd_files_of_others_are_read_as_chromium_shows_them_or_the_difference_is_explained(
    page: Page, request: pytest.FixtureRequest
) -> None:
    files = odd_files(pillow_sources(request.config.cache.mkdir("pillow")))
    assert len(files) >= 200
    theirs = shown(page, files)
    differing = {name: difference(read(data), theirs[name], tolerance=3) for name, data in files.items()}
    unexplained = {name: said for name, said in differing.items() if said and not explanation(name)}
    assert unexplained == {}
    needed = {explanation(name) for name, said in differing.items() if said} - {""}
    assert needed == set(EXPLAINED.values()), "an explanation is of no use any more"
