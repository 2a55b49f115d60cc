"""Feed intake with damaged, lying and monstrous files, each read in a process that is watched from outside.

    python -m tests.holds.intake --count 5000

Each file must become an `InputImage` within the limits or one of our sentences: nothing else is raised, in at most 5
seconds of a processor and 600 MB more memory, and the process lives on.
"""

import io
import multiprocessing
import random
import re
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms

from playground.errors import ImageRejected
from playground.pictures.limits import DEFAULT_LIMITS
from playground.pictures.reader import InputImage, read_image
from playground.scenes.scene import make_scene
from tests.holds.command import Order, main
from tests.pictures.files import tiff

MAX_SECONDS = 5.0  # of a processor: other work on the machine hardly counts
MAX_GROWTH = 600 * 2**20
_HANGS_SECONDS = 60

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_MODES = {"PNG": ("L", "P", "RGB", "RGBA", "I;16", "1", "LA"), "JPEG": ("L", "RGB", "CMYK"), "GIF": ("P", "L"),
          "BMP": ("1", "L", "P", "RGB"), "TIFF": ("1", "L", "RGB", "RGBA", "CMYK", "I;16", "F", "LAB"),
          "WEBP": ("RGB", "RGBA"), "AVIF": ("RGB", "RGBA")}  # fmt: skip


def carry_out(order: Order) -> dict[str, Any]:
    """Read `count` files; returns how many were accepted and refused, the most time and memory, and what failed."""
    deadline, failures = order.deadline(), []
    said: Counter[str] = Counter()
    slowest = largest = 0.0
    reader = Reader()
    for number in range(order.count):
        if time.monotonic() > deadline:
            break
        name, content = make_file(order.seed, number)
        outcome, seconds, growth = reader.read(content)
        said["accepted" if outcome == "accepted" else "refused" if outcome == "refused" else "failed"] += 1
        slowest, largest = max(slowest, seconds), max(largest, growth)
        too_much = seconds > MAX_SECONDS or growth > MAX_GROWTH
        if too_much or outcome not in ("accepted", "refused"):
            cost = f"{seconds:.2f} s, {growth / 2**20:.0f} MB"
            failures.append(f"{number} ({name}, {len(content)} bytes): {outcome}, {cost}")
    reader.close()
    return {
        "tried": said.total(), **said, "slowest_s": round(slowest, 2), "most_growth_mb": round(largest / 2**20),
        "processes_lost": reader.num_lost, "failures": failures,
    }  # fmt: skip


class Reader:
    """A process that reads files; replaced when it dies or hangs."""

    def __init__(self) -> None:
        self.num_lost = 0
        self._start()

    def read(self, content: bytes) -> tuple[str, float, float]:
        """Return what became of a file, and the seconds and the bytes of memory that it took."""
        self._pipe.send_bytes(content)
        if self._pipe.poll(_HANGS_SECONDS):
            try:
                outcome: tuple[str, float, float] = self._pipe.recv()
                return outcome
            except EOFError:
                ended = "the process died"
        else:
            ended = "it hangs"
        self._process.kill()
        self.num_lost += 1
        self._start()
        return ended, float(_HANGS_SECONDS), 0.0

    def close(self) -> None:
        self._process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_read_files, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()


def _read_files(pipe: Connection) -> None:
    read_image(make_file(0, 0)[1])  # plugins are imported at the first file
    while True:
        content = pipe.recv_bytes()
        Path("/proc/self/clear_refs").write_text("5")  # the most memory is counted from here on
        before, began = _memory("VmRSS"), time.process_time()
        try:
            read = read_image(content)
            outcome = "accepted" if _is_within_limits(read) else f"accepted {read.resolution_wh}"
        except ImageRejected as refusal:
            outcome = "refused" if re.fullmatch(r"[A-Z].{15,400}\.", str(refusal), re.DOTALL) else f"says {refusal}"
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        seconds = time.process_time() - began
        read = None  # before the next one is measured
        pipe.send((outcome, seconds, max(0.0, _memory("VmHWM") - before)))


def _memory(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return 1024.0 * int(re.search(rf"{field}:\s+(\d+)", status)[1])  # type: ignore[index]


def _is_within_limits(image: InputImage) -> bool:
    width, height = image.pixels.size
    return min(width, height) >= 1 and width * height <= DEFAULT_LIMITS.max_megapixels * 1e6


# --- Files


def make_file(seed: int, number: int) -> tuple[str, bytes]:
    """Return the name and the content of a file: one in four is made by hand, the others are damaged pictures."""
    rng = random.Random(f"{seed} {number}")
    if number == 0:
        return "an ordinary picture", _save(rng, "PNG", "RGB", (60, 40))
    if rng.random() < 0.25:
        make = rng.choice(_MONSTERS)
        return make.__name__.strip("_"), make(rng)
    format_ = rng.choice(_FORMATS)
    content = _save(rng, format_, rng.choice(_MODES[format_]), (rng.randint(1, 120), rng.randint(1, 120)))
    damage = rng.choice(_DAMAGES)
    return f"{format_}, {damage.__name__.strip('_')}", damage(rng, content)


def _save(rng: random.Random, format_: str, mode: str, resolution_wh: tuple[int, int], **options: Any) -> bytes:
    scene = _scene(rng.randrange(8)).resize(resolution_wh)
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        picture = ImageCms.profileToProfile(scene, *profiles, outputMode="LAB")
    else:
        picture = scene.convert("L").convert("I").convert(mode) if mode == "I;16" else scene.convert(mode)
    if format_ in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") and rng.random() < 0.5:
        exif = Image.Exif()
        exif[274] = rng.randint(0, 9)
        exif[270] = "x" * rng.randint(0, 300)
        options["exif"] = exif
    if format_ == "JPEG" and rng.random() < 0.3:
        options["progressive"] = True
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


@cache
def _scene(seed: int) -> Image.Image:
    return make_scene(seed, resolution_wh=(160, 120), supersampling=1).image


def _undamaged(_: random.Random, content: bytes) -> bytes:
    return content


def _flipped_bits(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 3, 30))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flipped_header(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(min(64, len(changed)))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    return bytes(changed)


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def _swapped_header(rng: random.Random, content: bytes) -> bytes:
    other = _save(rng, rng.choice(_FORMATS[:4]), "L", (20, 20))
    length = rng.choice((4, 12, 26, 40))
    return other[:length] + content[length:]


def _glued(rng: random.Random, content: bytes) -> bytes:
    return content + rng.choice((b"<svg/>", b"PK\x03\x04", b"<html><script>", content, rng.randbytes(1000)))


def _repeated_part(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content))
    part = content[start : start + rng.randint(1, 200)]
    return content[:start] + part * rng.choice((2, 50, 2000)) + content[start:]


_DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _undamaged, _flipped_bits, _flipped_bits, _flipped_header, _flipped_header, _cut, _swapped_header, _glued,
    _repeated_part,
)  # fmt: skip


def _any_side(rng: random.Random) -> int:
    return rng.choice((0, 1, 200, 6000, 20_000, 20_001, 40_000, 65_535, 2**31 - 1, 2**32 - 1))


def _png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, color: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    written = (struct.pack(">I", len(data)) + kind + data + _checksum(kind + data) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _checksum(content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content))


def _png_bomb(rng: random.Random) -> bytes:
    width, height = rng.choice(((6300, 6300), (20_000, 2_000), (30_000, 30_000), (200, 40_000)))
    rows = b"".join(_zeros(rng, (3 * width + 1) * height))
    return _png(width, height, (b"IDAT", rows))


def _zeros(rng: random.Random, length: int) -> Iterator[bytes]:
    packer = zlib.compressobj(rng.choice((1, 9)))
    whole, rest = divmod(min(length, 150_000_000), 1 << 20)
    for _ in range(whole):
        yield packer.compress(bytes(1 << 20))
    yield packer.compress(bytes(rest)) + packer.flush()


def _png_that_lies(rng: random.Random) -> bytes:
    depth, color = rng.choice(((8, 2), (16, 6), (1, 0), (16, 0), (8, 3), (3, 9)))
    data = zlib.compress(rng.randbytes(500))
    return _png(_any_side(rng), _any_side(rng), (b"IDAT", data), depth=depth, color=color)


def _png_with_texts(rng: random.Random) -> bytes:
    text = zlib.compress(bytes(rng.choice((1000, 60_000_000))), 9)
    kind = rng.choice(((b"zTXt", b"a\0\0" + text), (b"iTXt", b"a\0\1\0\0\0" + text), (b"iCCP", b"a\0\0" + text)))
    return _png(30, 30, *[kind] * rng.choice((1, 40)), (b"IDAT", zlib.compress(bytes(91 * 30))))


def _gif_of_frames(rng: random.Random) -> bytes:
    header = b"GIF89a" + struct.pack("<HHBBB", 50, 50, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    frame = b"," + struct.pack("<HHHHB", 0, 0, 50, 50, 0) + b"\x02\x02\x44\x01\x00"
    return header + frame * rng.choice((2, 5000, 100_000)) + b";"


def _gif_that_lies(rng: random.Random) -> bytes:
    width, height = min(_any_side(rng), 65_535), min(_any_side(rng), 65_535)
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return header + b"!\xfe" + b"\x01x" * rng.choice((3, 300_000)) + b"\0,"


def _bmp_that_lies(rng: random.Random) -> bytes:
    width, height = _any_side(rng), _any_side(rng)
    bits, compression = rng.choice((1, 4, 8, 24, 32, 77)), rng.choice((0, 1, 2, 3, 9))
    info = struct.pack("<IIIHHIIIIII", 40, width, height, 1, bits, compression, 0, 0, 0, rng.choice((0, 256, 2**31)), 0)
    return b"BM" + struct.pack("<IHHI", 2**31, 0, 0, 54) + info + rng.randbytes(2000)


def _tiff_that_lies(rng: random.Random) -> bytes:
    tags = [(256, 4, 1, _any_side(rng)), (257, 4, 1, _any_side(rng)), (258, 3, 1, rng.choice((1, 8, 16, 32, 64))),
            (259, 3, 1, rng.choice((1, 5, 7, 8, 32773, 34925, 50000))), (262, 3, 1, rng.choice((0, 1, 2, 3, 6))),
            (273, 4, rng.choice((1, 2**30)), rng.choice((8, 2**31))), (277, 3, 1, rng.choice((1, 3, 4, 60000))),
            (278, 4, 1, _any_side(rng)), (279, 4, 1, rng.choice((10, 2**31)))]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    following = rng.choice((0, 8))  # the directory after this one may be this one
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following) + rng.randbytes(300)


def _jpeg_with_large_exif(rng: random.Random) -> bytes:
    picture = _save(rng, "JPEG", "RGB", (40, 30))
    segment = b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0" + rng.randbytes(65_527)
    return picture[:2] + segment * rng.choice((1, 160)) + picture[2:]


def _jpeg_of_scans(rng: random.Random) -> bytes:
    picture = _save(rng, "JPEG", "L", (rng.choice((40, 2000)), 2000), progressive=True)
    scan = picture[picture.rindex(b"\xff\xda") : -2]
    return picture[:-2] + scan * rng.choice((20, 2000)) + b"\xff\xd9"


def _jpeg_that_lies(rng: random.Random) -> bytes:
    picture = bytearray(_save(rng, "JPEG", "RGB", (40, 30)))
    at = picture.index(b"\xff\xc0" if b"\xff\xc0" in picture else b"\xff\xc2")
    picture[at + 5 : at + 9] = struct.pack(">HH", min(_any_side(rng), 65_535), min(_any_side(rng), 65_535))
    return bytes(picture)


def _narrow_picture(rng: random.Random) -> bytes:
    resolution_wh = rng.choice(((1, 1), (1, 40_000), (20_000, 100), (1, 200)))
    return _save(rng, rng.choice(("PNG", "BMP", "TIFF")), "L", resolution_wh)


def _noise(rng: random.Random) -> bytes:
    beginnings = (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\xff\xff\xff\xffWEBPVP8X", b"II*\0")
    return rng.choice(beginnings) + rng.randbytes(rng.choice((0, 1, 100, 100_000)))


def _photograph_of_many_megapixels(rng: random.Random) -> bytes:
    width, height = rng.choice(((8064, 6048), (12_000, 9000), (16_320, 12_240)))
    file = io.BytesIO()
    Image.new("L", (width, height), 90).save(file, "JPEG", quality=20)
    return _flipped_bits(rng, file.getvalue()) if rng.random() < 0.3 else file.getvalue()


def _bmp_of_runs(rng: random.Random) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, rng.choice((50, 9000)), 900, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + info + bytes(1024) + rng.randbytes(2) * 1_490_000


def _tiff_of_channels(rng: random.Random) -> bytes:
    channels, bits = rng.choice((5, 200, 60_000)), rng.choice((8, 12, 32, 64))
    tags = [(256, 4, 1, 2000), (257, 4, 1, 2000), (258, 3, 1, bits), (259, 3, 1, rng.choice((1, 5, 8))), (262, 3, 1, 1),
            (273, 4, 1, 200), (277, 3, 1, channels), (278, 4, 1, 2000), (279, 4, 1, 10_000),
            (284, 3, 1, rng.choice((1, 2))), (339, 3, 1, rng.choice((1, 2, 3)))]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + rng.randbytes(20_000)


# Those that take the most of each kind, all near the limits or beyond.


def run_length_bmp() -> bytes:
    """Runs of one pixel, which cost the most for their bytes."""
    info = struct.pack("<IiiHHIIiiII", 40, 9000, 900, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + info + bytes(1024) + b"\1\7" * 1_490_000


def jpeg_of_98_scans() -> bytes:
    """40 megapixels, over which each scan passes."""
    file = io.BytesIO()
    Image.new("RGB", (7900, 5000)).save(file, "JPEG", progressive=True)
    picture = file.getvalue()
    return picture[:-2] + picture[picture.rindex(b"\xff\xda") : -2] * 88 + b"\xff\xd9"


def tiff_of_31_bits() -> bytes:
    """Numbers that fill no bytes, packed, in a strip of 460 MB."""
    return _packed_tiff((8000, 4900), 31, 4900)


def tiff_of_32_bits() -> bytes:
    """Rows packed one by one, so that no strip takes memory."""
    return _packed_tiff((6000, 5500), 32, 1)


def tiff_of_12_bits() -> bytes:
    """40 megapixels of numbers that fill no bytes."""
    return _packed_tiff((8000, 5000), 12, 5000)


def _packed_tiff(size: tuple[int, int], bits: int, rows: int) -> bytes:
    width, height = size
    strip = zlib.compress(bytes(width * 3 * bits // 8 * rows), 1)
    tags = {256: width, 257: height, 258: (bits,) * 3, 259: 8, 262: 2, 277: 3, 278: rows, 284: 1, 339: (1,) * 3}
    return tiff([(tags, [strip] * (height // rows))])


def webp_without_loss() -> bytes:
    """40 megapixels, of which the decoder keeps four copies."""
    file = io.BytesIO()
    Image.new("RGBA", (8000, 5000), (9, 8, 7, 6)).save(file, "WEBP", lossless=True, quality=0, method=0)
    return file.getvalue()


def avif_with_alpha() -> bytes:
    """40 megapixels with all colors and alpha."""
    file = io.BytesIO()
    Image.new("RGBA", (7900, 5000), (9, 8, 7, 6)).save(file, "AVIF", quality=60, speed=10, subsampling="4:4:4")
    return file.getvalue()


def deep_png_interlaced() -> bytes:
    """40 megapixels of 16 bits in seven passes, with a gamma."""
    steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    width, height = 7000, 5700
    length = sum((8 * -(-(width - x) // w) + 1) * -(-(height - y) // h) for x, y, w, h in steps)
    return _deep_png((width, height), 6, length, interlaced=1)


def deep_png_with_a_clear_color() -> bytes:
    """40 megapixels of 16 bits, of which one color is transparent: all bits are compared."""
    return _deep_png((8000, 5000), 2, 48_001 * 5000, (b"tRNS", bytes(6)))


def _deep_png(
    size: tuple[int, int], color: int, length: int, *chunks: tuple[bytes, bytes], interlaced: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", *size, 16, color, 0, 0, interlaced)
    gamma, pixels = (b"gAMA", struct.pack(">I", 30_000)), (b"IDAT", zlib.compress(bytes(length), 1))
    parts = [(b"IHDR", header), *chunks, gamma, pixels, (b"IEND", b"")]
    written = (struct.pack(">I", len(data)) + kind + data + _checksum(kind + data) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


DEAREST: tuple[Callable[[], bytes], ...] = (
    run_length_bmp, jpeg_of_98_scans, tiff_of_31_bits, tiff_of_32_bits, tiff_of_12_bits, webp_without_loss,
    avif_with_alpha, deep_png_interlaced, deep_png_with_a_clear_color,
)  # fmt: skip


def _one_of_the_dearest(rng: random.Random) -> bytes:
    return rng.choice(DEAREST)()


def _too_large(_: random.Random) -> bytes:
    return b"BM" + bytes(DEFAULT_LIMITS.max_megabytes * 2**20)


_MONSTERS: tuple[Callable[[random.Random], bytes], ...] = (
    _png_bomb, _png_that_lies, _png_with_texts, _gif_of_frames, _gif_that_lies, _bmp_that_lies, _tiff_that_lies,
    _jpeg_with_large_exif, _jpeg_of_scans, _jpeg_that_lies, _narrow_picture, _noise, _too_large,
    _photograph_of_many_megapixels, _bmp_of_runs, _tiff_of_channels, _one_of_the_dearest,
)  # fmt: skip


if __name__ == "__main__":
    main("intake", "Feed intake with damaged and monstrous files.", carry_out, count=5000)
