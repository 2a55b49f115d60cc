"""Intake: what comes out of good pictures, and which sentence of bad ones."""

import io
import os
import random
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, GifImagePlugin, Image, ImageCms, ImageFile, PngImagePlugin

from playground.errors import ImageRejected
from playground.pictures import kinds, reader
from playground.pictures.kinds import accepted_extensions, accepted_sentence
from playground.pictures.limits import Limits
from playground.pictures.reader import InputImage, is_inside, read_image

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(size: tuple[int, int], depth: int, color: int, rows: bytes, *, before_pixels: bytes = b"") -> bytes:
    """Write a PNG by hand, for what Pillow cannot write."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(rows, 9)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + before_pixels + body


def photo(width: int = 48, height: int = 32) -> Image.Image:
    """A picture with something everywhere, so that no part of its file is idle."""
    noise = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def colors(image: InputImage) -> list[tuple[int, int, int]]:
    return list(image.pixels.get_flattened_data())


def rejection(source: object, limits: Limits = reader.DEFAULT_LIMITS) -> str:
    with pytest.raises(ImageRejected) as caught:
        read_image(source, limits)  # type: ignore[arg-type]  # wrong types are part of the tests
    return str(caught.value)


@pytest.fixture
def without_pillow_heif(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    kinds._heic_is_readable.cache_clear()
    yield
    kinds._heic_is_readable.cache_clear()


# What is read


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("extension", [".png", ".txt"])
def test_every_format_is_read_by_content_whatever_its_name_says(tmp_path: Path, format_: str, extension: str) -> None:
    path = tmp_path / f"red{extension}"
    path.write_bytes(encoded(Image.new("RGB", (20, 10), RED), format_))
    image = read_image(path)
    assert image.pixels.mode == "RGB"
    assert image.resolution_wh == (20, 10)
    assert np.abs(np.asarray(image.pixels, dtype=int) - RED).max() <= 3


def test_a_path_a_text_bytes_a_picture_and_an_array_give_the_same_image(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    photo().save(path)
    sources = [path, str(path), path.read_bytes(), photo(), np.asarray(photo())]
    assert {read_image(source).digest for source in sources} == {read_image(path).digest}


def test_the_digest_is_the_sha_256_of_resolution_and_pixels() -> None:
    wide, high = read_image(Image.new("RGB", (2, 1), RED)), read_image(Image.new("RGB", (1, 2), RED))
    # printf '2x1:\377\0\0\377\0\0' | sha256sum
    assert wide.digest == "d6e38e360b61a9ad007eed5263046f0b6179709d470e0e59fdb00f25fb468085"
    assert wide != high
    assert wide == read_image(encoded(Image.new("RGB", (2, 1), RED), "BMP"))


def test_only_the_first_of_many_frames_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("RGB", (8, 8), (n, 0, 255)) for n in range(200)]
    gif = encoded(Image.new("RGB", (8, 8), RED), "GIF", save_all=True, append_images=frames)
    monkeypatch.setattr(GifImagePlugin.GifImageFile, "seek", lambda *_: pytest.fail("another frame was read"))
    assert set(colors(read_image(gif))) == {RED}


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_the_first_frame_of_other_animations_is_read(format_: str) -> None:
    animation = encoded(Image.new("RGB", (16, 16), WHITE), format_, save_all=True, append_images=[photo(16, 16)])
    assert min(min(color) for color in colors(read_image(animation))) >= 253


def test_heic_is_read_where_pillow_heif_is_installed() -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    image = read_image(encoded(Image.new("RGB", (64, 48), BLUE), "HEIF"))
    assert image.resolution_wh == (64, 48)
    assert np.abs(np.asarray(image.pixels, dtype=int) - BLUE).max() <= 4
    assert ".heic" in accepted_extensions()


@pytest.mark.usefixtures("without_pillow_heif")
def test_heic_without_pillow_heif_names_what_to_install() -> None:
    assert rejection(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100)) == (
        "This is a HEIC picture: install pillow-heif to read it, or save it as JPEG. "
        "Accepted are JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF and PDF."
    )
    assert accepted_sentence() == "Accepted are JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF and PDF."
    assert ".heic" not in accepted_extensions()


# Orientation and metadata

UPRIGHT = ["RG", "BW", "KK"]  # a picture of 2 x 3: red and green above blue and white above black
STORED = {  # how each EXIF orientation stores it: EXIF 2.32, section 4.6.4 (tag 0x0112)
    1: ["RG", "BW", "KK"],
    2: ["GR", "WB", "KK"],
    3: ["KK", "WB", "GR"],
    4: ["KK", "BW", "RG"],
    5: ["RBK", "GWK"],
    6: ["GWK", "RBK"],
    7: ["KWG", "KBR"],
    8: ["KBR", "KWG"],
}
COLOR_OF = {"R": RED, "G": GREEN, "B": BLUE, "W": WHITE, "K": BLACK}


def painted(rows: list[str]) -> Image.Image:
    return Image.fromarray(np.array([[COLOR_OF[initial] for initial in row] for row in rows], dtype=np.uint8))


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        pytest.param("PNG", {}, id="png"),
        pytest.param("WEBP", {"lossless": True}, id="webp"),
        pytest.param("TIFF", {}, id="plain tiff"),
        pytest.param("TIFF", {"compression": "tiff_lzw"}, id="compressed tiff"),
    ],
)
@pytest.mark.parametrize("orientation", sorted(STORED))
def test_every_exif_orientation_comes_out_upright(format_: str, options: dict[str, str], orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = read_image(encoded(painted(STORED[orientation]), format_, exif=exif, **options))
    assert image.resolution_wh == (2, 3)
    assert colors(image) == [COLOR_OF[initial] for row in UPRIGHT for initial in row]


def test_a_jpeg_of_a_phone_held_upright_is_turned() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stored = Image.new("RGB", (64, 32), RED)
    stored.paste(BLUE, (0, 0, 32, 32))  # the left half of what is stored is the top of what was seen
    image = read_image(encoded(stored, "JPEG", exif=exif))
    assert image.resolution_wh == (32, 64)
    assert image.pixels.getpixel((16, 5))[2] > 240
    assert image.pixels.getpixel((16, 60))[0] > 240


def test_metadata_is_dropped() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (50.0, 5.0, 0.0)
    exif[ExifTags.Base.Artist] = "somebody"
    jpeg = encoded(photo(), "JPEG", exif=exif, icc_profile=profile_of("sRGB"), comment="a secret")
    pixels = read_image(jpeg).pixels
    assert (pixels.info, dict(pixels.getexif())) == ({}, {})
    assert type(pixels) is Image.Image


def test_ten_megabytes_of_metadata_do_not_matter() -> None:
    jpeg = encoded(photo(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\x00\x00" + bytes(65_527)
    assert read_image(jpeg[:2] + segment * 160 + jpeg[2:]) == read_image(jpeg)


@pytest.mark.parametrize(
    "exif",
    [
        pytest.param(b"no TIFF header", id="junk"),
        pytest.param(b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\1\x12" * 9, id="cut short"),
        pytest.param(b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\1A" + bytes(7), id="a initial as orientation"),
    ],
)
def test_broken_exif_does_not_make_a_picture_unusable(exif: bytes) -> None:
    assert read_image(encoded(photo(), "PNG", exif=exif)) == read_image(photo())


# Modes


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        pytest.param(Image.new("1", (1, 1), 1), WHITE, id="1 bit"),
        pytest.param(Image.new("L", (1, 1), 77), (77, 77, 77), id="gray"),
        pytest.param(Image.new("P", (1, 1), 0), BLACK, id="palette"),
        pytest.param(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), RED, id="CMYK"),
        pytest.param(Image.new("YCbCr", (1, 1), (128, 128, 128)), (128, 128, 128), id="YCbCr"),
        pytest.param(Image.new("HSV", (1, 1), (0, 255, 255)), RED, id="HSV"),
        pytest.param(Image.new("I;16", (1, 1), 32_768), (128, 128, 128), id="16 bits"),
        pytest.param(Image.new("I;16B", (1, 1), 65_535), WHITE, id="16 bits, big-endian"),
        pytest.param(Image.new("RGBA", (1, 1), (255, 0, 0, 0)), WHITE, id="transparent"),
        pytest.param(Image.new("RGBA", (1, 1), (255, 0, 0, 51)), (255, 204, 204), id="a fifth of red"),
        pytest.param(Image.new("LA", (1, 1), (0, 51)), (204, 204, 204), id="a fifth of black"),
        pytest.param(Image.new("PA", (1, 1), (0, 0)), WHITE, id="palette with alpha"),
        pytest.param(Image.new("RGBa", (1, 1), (51, 0, 0, 51)), (255, 204, 204), id="premultiplied alpha"),
    ],
)
def test_every_mode_becomes_rgb_over_white(picture: Image.Image, expected: tuple[int, int, int]) -> None:
    assert colors(read_image(picture)) == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.array([[0, 0, 1]], np.int32), [0, 0, 255], id="a mask"),
        pytest.param(np.array([[0, 100, 255]], np.int32), [0, 100, 255], id="8 bits in 32"),
        pytest.param(np.array([[0, 25_700, 65_535]], np.int32), [0, 100, 255], id="16 bits in 32"),
        pytest.param(np.array([[-5, 100_000, 200_000]], np.int32), [0, 128, 255], id="more than 16 bits"),
        pytest.param(np.array([[0, 0.5, 1]], np.float32), [0, 128, 255], id="floats in 0..1"),
        pytest.param(np.array([[0, 100.4, 255]], np.float32), [0, 100, 255], id="floats in 0..255"),
        pytest.param(np.array([[np.nan, np.inf, 1]], np.float32), [0, 0, 255], id="not a number"),
        pytest.param(np.array([[-3, -2, -1]], np.float32), [0, 0, 0], id="all negative"),
    ],
)
def test_32_bits_in_a_tiff_are_scaled_and_not_clipped(values: np.ndarray, expected: list[int]) -> None:
    image = read_image(encoded(Image.fromarray(values), "TIFF"))
    assert colors(image) == [(level, level, level) for level in expected]


GRAY_16 = np.array([[0, 255, 256, 32_768, 65_535]], np.uint16)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(encoded(Image.fromarray(GRAY_16), "PNG"), id="png"),
        pytest.param(encoded(Image.fromarray(GRAY_16), "TIFF"), id="tiff"),
        pytest.param(encoded(Image.fromarray(GRAY_16), "TIFF", compression="tiff_lzw"), id="compressed tiff"),
        pytest.param(GRAY_16, id="array"),
        pytest.param(GRAY_16.astype(">u2"), id="big-endian array"),
        pytest.param(png((5, 1), 16, 2, b"\0" + np.repeat(GRAY_16, 3).astype(">u2").tobytes()), id="png of color"),
    ],
)
def test_16_bits_are_scaled_and_not_clipped(source: bytes | np.ndarray) -> None:
    assert [red for red, _, _ in colors(read_image(source))] == [0, 0, 1, 128, 255]


def palette_picture() -> Image.Image:
    picture = Image.new("P", (3, 1))
    picture.putpalette([*RED, *GREEN, *BLUE])
    picture.putdata([0, 1, 2])
    return picture


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(encoded(palette_picture(), "PNG", transparency=1), [RED, WHITE, BLUE], id="palette, one color"),
        pytest.param(
            encoded(palette_picture(), "PNG", transparency=bytes([255, 0, 51])),
            [RED, WHITE, (204, 204, 255)],
            id="palette, alpha for each color",
        ),
        pytest.param(encoded(palette_picture(), "GIF", transparency=2), [RED, GREEN, WHITE], id="gif"),
        pytest.param(
            encoded(painted(["RGB"]), "PNG", transparency=GREEN), [RED, WHITE, BLUE], id="png, one transparent color"
        ),
        pytest.param(
            png((2, 1), 16, 0, b"\0" + struct.pack(">2H", 1, 2), before_pixels=png_chunk(b"tRNS", b"\0\1")),
            [WHITE, BLACK],
            id="gray png of 16 bits, one transparent level",
        ),
    ],
)
def test_transparency_that_stands_outside_the_pixels_is_white(data: bytes, expected: list[tuple[int, ...]]) -> None:
    assert colors(read_image(data)) == expected


# Color profiles


def profile_of(space: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


def profile_with_swapped_primaries() -> bytes:
    """sRGB with the tags of red and green exchanged: what it calls red is green."""
    swapped = profile_of("sRGB").replace(b"rXYZ", b"####").replace(b"gXYZ", b"rXYZ").replace(b"####", b"gXYZ")
    return swapped.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        pytest.param(profile_with_swapped_primaries(), GREEN, id="applied"),
        pytest.param(b"not a profile", RED, id="broken: ignored"),
        pytest.param(profile_of("LAB"), RED, id="of other colors: ignored"),
        pytest.param(profile_of("sRGB"), RED, id="sRGB: the same"),
    ],
)
def test_a_color_profile_is_converted_to_srgb(profile: bytes, expected: tuple[int, int, int]) -> None:
    assert colors(read_image(encoded(Image.new("RGB", (1, 1), RED), "PNG", icc_profile=profile))) == [expected]


def test_a_profile_leaves_alpha_alone() -> None:
    data = encoded(Image.new("RGBA", (1, 1), (255, 0, 0, 51)), "PNG", icc_profile=profile_with_swapped_primaries())
    assert colors(read_image(data)) == [(204, 255, 204)]


# Arrays


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(np.full((1, 1), 7, np.uint8), (7, 7, 7), id="gray"),
        pytest.param(np.array([[[1, 2, 3]]], np.uint8), (1, 2, 3), id="color"),
        pytest.param(np.array([[[255, 0, 0, 51]]], np.uint8), (255, 204, 204), id="color with alpha"),
        pytest.param(np.array([[[256, 512, 65_535]]], np.uint16), (1, 2, 255), id="color with 16 bits"),
        pytest.param(np.array([[[0, 0.5, 1]]]), (0, 128, 255), id="floats"),
        pytest.param(np.array([[[0, 0.5, 1]]], np.float16), (0, 128, 255), id="short floats"),
        pytest.param(np.array([[True]]), WHITE, id="bool"),
        pytest.param(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)[:, ::-1, ::-1], (6, 5, 4), id="a reversed view"),
    ],
)
def test_arrays_are_read(array: np.ndarray, expected: tuple[int, int, int]) -> None:
    assert colors(read_image(array))[0] == expected


@pytest.mark.parametrize(
    ("array", "said"),
    [
        pytest.param(np.zeros((0, 5), np.uint8), "it has 5 x 0 pixels", id="no rows"),
        pytest.param(np.zeros((5, 0, 3)), "it has 0 x 5 pixels", id="no columns"),
        pytest.param(np.zeros(5, np.uint8), "its shape is (5,)", id="one dimension"),
        pytest.param(np.zeros((5, 5, 2), np.uint8), "its shape is (5, 5, 2)", id="two channels"),
        pytest.param(np.zeros((1, 640, 640, 3), np.uint8), "its shape is (1, 640, 640, 3)", id="a batch"),
        pytest.param(np.zeros((3, 640, 900), np.uint8), "its shape is (3, 640, 900). Give one", id="colors first"),
        pytest.param(np.zeros((5, 5), np.int64), "got int64", id="signed"),
        pytest.param(np.zeros((5, 5), np.uint32), "got uint32", id="32 bits"),
        pytest.param(np.zeros((5, 5), complex), "got complex128", id="complex"),
        pytest.param(np.zeros((5, 5), object), "got object", id="objects"),
        pytest.param(np.full((5, 5), 255.0), "reaches from 255 to 255", id="floats in 0..255"),
        pytest.param(np.full((5, 5), np.nan), "reaches from nan to nan", id="not a number"),
        pytest.param(np.broadcast_to(np.uint8(0), (15_000, 14_000)), "210.0 megapixels (14000 x 15000)", id="large"),
    ],
)
def test_arrays_that_are_refused(array: np.ndarray, said: str) -> None:
    assert said in rejection(array)


# Limits


def test_the_limit_of_megapixels_is_inclusive() -> None:
    limits = Limits(max_opened_megapixels=1)
    assert read_image(Image.new("1", (1000, 1000)), limits).resolution_wh == (1000, 1000)
    assert rejection(Image.new("1", (1001, 1000)), limits) == (
        "The picture has 1.001 megapixels (1001 x 1000); the limit is 1. Scale it down and try again."
    )
    assert rejection(png((14_200, 14_100), 8, 0, b"")) == (
        "The picture has 200.2 megapixels (14200 x 14100); the limit is 200. Scale it down and try again."
    )


def test_the_limit_of_megabytes_is_inclusive(tmp_path: Path) -> None:
    path, limits = tmp_path / "photo.png", Limits(max_megabytes=1)
    data = encoded(photo(), "PNG")
    path.write_bytes(data + bytes(1024 * 1024 - len(data)))
    assert read_image(path, limits) == read_image(photo())
    path.write_bytes(path.read_bytes() + b"\0")
    expected = "The file has 1.000001 MB; the limit is 1. Scale the picture down or save it as JPEG, and try again."
    assert [rejection(path, limits), rejection(path.read_bytes(), limits)] == [expected, expected]


@pytest.mark.parametrize(
    ("size", "said"),
    [
        pytest.param((1, 40_000), "the limit for a side is 20000", id="a long line"),
        pytest.param((40_000, 500), "the limit for a side is 20000", id="a long strip"),
        pytest.param((2, 401), "its longer side may be at most 200 times the shorter one", id="a thin line"),
    ],
)
def test_shapes_that_nothing_can_be_seen_in_are_refused(size: tuple[int, int], said: str) -> None:
    assert said in rejection(Image.new("1", size))


def test_shapes_at_the_limit_are_read() -> None:
    assert read_image(Image.new("1", (400, 2))).resolution_wh == (400, 2)
    assert read_image(Image.new("1", (20_000, 100))).resolution_wh == (20_000, 100)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        pytest.param((15_000, 15_000), "225.0 megapixels (15000 x 15000); the limit is 200", id="225 megapixels"),
        pytest.param((20_000, 20_000), "400.0 megapixels (20000 x 20000); the limit is 200", id="400 megapixels"),
        pytest.param((2**31 - 1, 2**31 - 1), "(2147483647 x 2147483647); the limit is 200", id="all that fit"),
    ],
)
def test_a_small_file_of_a_huge_picture_is_refused_before_decoding(
    size: tuple[int, int], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: ImageFile.ImageFile) -> None:
        pytest.fail("the pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    rows = zlib.compress(bytes(1876 * 15_000), 9) if size[0] == 15_000 else b""
    assert len(rows) < 30_000
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 1, 0, 0, 0, 0))
    assert said in rejection(b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b""))


def test_a_progressive_jpeg_of_very_many_scans_is_refused() -> None:
    jpeg = encoded(photo(), "JPEG", progressive=True)
    last_scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    assert read_image(jpeg[:-2] + last_scan * 80 + jpeg[-2:]).resolution_wh == (48, 32)
    assert "more than 100 scans" in rejection(jpeg[:-2] + last_scan * 100 + jpeg[-2:])


def test_marks_of_scans_inside_metadata_and_behind_the_end_of_a_jpeg_are_not_counted() -> None:
    jpeg = encoded(photo(), "JPEG")
    comment = b"\xff\xfe" + struct.pack(">H", 2002) + b"\xff\xda" * 1000
    assert read_image(jpeg[:2] + comment + jpeg[2:] + b"\0\2\xff\xda" * 1000) == read_image(jpeg)


def test_metadata_in_a_million_parts_is_refused() -> None:
    gif = encoded(Image.new("1", (4, 4)), "GIF")
    start = gif.index(b",", 13)  # the first frame
    comment = b"!\xfe" + b"\x01x" * 1_000_000 + b"\0"
    assert "too many parts" in rejection(gif[:start] + comment + gif[start:])


def texts(count: int, size: int) -> bytes:
    text = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * size))
    return text * count


@pytest.mark.parametrize(
    "chunks", [pytest.param(texts(1, 5_000_000), id="one large"), pytest.param(texts(70, 1_000_000), id="many")]
)
def test_texts_that_unpack_to_megabytes_are_not_unpacked_before_the_pixels_and_refused_behind(chunks: bytes) -> None:
    picture = encoded(photo(), "PNG")
    pixels_at, end_at = picture.index(b"IDAT") - 4, picture.index(b"IEND") - 4
    assert read_image(picture[:pixels_at] + chunks + picture[pixels_at:]) == read_image(photo())
    assert "texts inside this PNG are too large" in rejection(picture[:end_at] + chunks + picture[end_at:])


def test_a_picture_in_very_many_parts_is_read() -> None:
    whole = encoded(photo(), "PNG", compress_level=0)
    start = whole.index(b"IDAT") - 4
    pixels = whole[start + 8 : -16]
    parts = [png_chunk(b"IDAT", pixels[n : n + 1]) for n in range(len(pixels))]
    assert len(parts) > 4000
    assert read_image(whole[:start] + b"".join(parts) + whole[-12:]) == read_image(whole)


# What is no picture

UNKNOWN = "This file is no picture of a kind that is known here, or it is damaged or cut short."


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b'<?xml version="1.0"?><svg onload="x()"/>', "This file is an SVG drawing.", id="svg"),
        pytest.param(b"<!DOCTYPE html><HTML>", "This file is a web page.", id="html"),
        pytest.param(b"PK\x03\x04rest", "This file is a ZIP archive or an Office document.", id="zip"),
        pytest.param(b"hello", UNKNOWN, id="text"),
        pytest.param(encoded(photo(), "PPM"), "This file is a Netpbm picture (PBM, PGM, PPM, PAM or PFM).", id="PPM"),
        pytest.param(encoded(photo(), "JPEG2000"), "This file is a JPEG 2000 picture.", id="JPEG 2000"),
        pytest.param(encoded(photo(), "ICO"), "This file is an icon.", id="icon"),
        pytest.param(encoded(photo(), "QOI"), "This file is a QOI picture.", id="QOI"),
        pytest.param(encoded(photo(), "DDS"), "This file is a DDS texture.", id="DDS"),
        pytest.param(encoded(photo(), "SGI"), "This file is an SGI picture.", id="SGI"),
        pytest.param(encoded(photo(), "PCX"), "This file is a PCX picture.", id="PCX"),
        pytest.param(encoded(photo(), "TGA"), "This file is a TGA picture.", id="TGA, known by its end"),
        pytest.param(encoded(photo(), "ICNS"), "This file is an icon of macOS.", id="ICNS"),
        pytest.param(b"\0\0\0\x20ftypisom", "This file is a video.", id="MP4"),
        pytest.param(
            b"\0\0\0\x20ftypavis",
            "This file is an AVIF or HEIC picture that is damaged, cut short, or of a kind that is not read here.",
            id="damaged AVIF",
        ),
    ],
)
def test_what_is_no_picture_is_refused_with_its_name(data: bytes, said: str) -> None:
    elsewhere = " A video, and a ZIP of pictures, can be asked about on the page Many pictures."
    goes_elsewhere = "video" in said or "ZIP" in said
    assert rejection(data) == f"{said} {accepted_sentence()}{elsewhere if goes_elsewhere else ''}"


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_short_is_refused(format_: str, part: float) -> None:
    data = encoded(photo(), format_)
    assert "cut short" in rejection(data[: int(len(data) * part)])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize(
    "source", [None, 7, ["a.png"], {"path": "a.png"}, object(), bytearray(b"x")], ids=lambda value: type(value).__name__
)
def test_other_types_are_refused(source: object) -> None:
    assert rejection(source) == (
        f"A picture must be a path, bytes, a Pillow picture or an array, but got {type(source).__name__}."
    )


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    expected = "The file is empty. Choose another, or save it again."
    assert [rejection(b""), rejection(tmp_path / "empty.png")] == [expected, expected]


def test_a_picture_whose_file_is_gone_is_refused() -> None:
    picture = Image.open(io.BytesIO(encoded(photo(), "PNG")))
    picture.close()
    assert "damaged" in rejection(picture)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("missing.png", "'missing.png'", id="missing"),
        pytest.param("nul\0.png", r"'nul\x00.png'", id="a zero byte"),
        pytest.param("x" * 300, f"'{'x' * 77}...'", id="a long name"),
    ],
)
def test_a_missing_file_is_told_without_its_folder(tmp_path: Path, name: str, shown: str) -> None:
    message = rejection(f"{tmp_path}/{name}")
    assert message == f"No picture at {shown}. Choose a file that exists."
    assert str(tmp_path) not in message


def test_what_is_there_but_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert rejection(tmp_path / "pipe") == "'pipe' is a folder, a pipe or a device. Choose a file."
    assert rejection(str(tmp_path)) == f"{tmp_path.name!r} is a folder, a pipe or a device. Choose a file."
    assert rejection("/") == "'/' is a folder, a pipe or a device. Choose a file."


@pytest.mark.parametrize(
    "address", ["https://example.org/a.png", "file:///a.png", "data:image/png;base64,iVBORw0KGgo="]
)
def test_an_address_is_told_from_a_path(address: str) -> None:
    assert rejection(address) == "No picture is fetched from an address. Give the path of a file, or its bytes."


def test_no_warning_of_pillow_leaves_intake(capfd: pytest.CaptureFixture[str]) -> None:
    lzw = encoded(photo(), "TIFF", compression="tiff_lzw")
    exif = encoded(photo(), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for data in (lzw[: len(lzw) // 2], png((10_000, 10_000), 8, 0, b""), b"junk"):
            rejection(data)
        read_image(exif)
    assert (caught, capfd.readouterr()) == ([], ("", ""))


def mutants(count: int) -> list[bytes]:
    """Seeded damage: bytes changed, a part cut out, a part doubled, the end cut off."""
    choose = random.Random(20_260_101)
    originals = [
        encoded(photo(), "JPEG"), encoded(photo(), "JPEG", progressive=True), encoded(photo(), "PNG"),
        encoded(photo().quantize(16), "PNG", transparency=3), encoded(photo(), "GIF"), encoded(photo(), "BMP"),
        encoded(photo(), "WEBP"), encoded(photo(), "AVIF"), encoded(photo(), "TIFF"),
        encoded(photo(), "TIFF", compression="tiff_lzw"), encoded(Image.fromarray(GRAY_16), "TIFF"),
    ]  # fmt: skip
    damaged = []
    for number in range(count):
        data = bytearray(originals[number % len(originals)])
        for _ in range(choose.randint(1, 8)):
            data[choose.randrange(min(len(data), choose.choice([64, len(data)])))] = choose.randrange(256)
        at, length = choose.randrange(len(data)), choose.randint(1, 40)
        if (kind := choose.randrange(4)) == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3:
            del data[at:]
        damaged.append(bytes(data))
    return damaged


def test_damaged_files_give_a_picture_or_a_sentence() -> None:
    outcomes = []
    for data in mutants(165):
        try:
            outcomes.append(type(read_image(data)))
        except ImageRejected:
            outcomes.append(ImageRejected)
    assert set(outcomes) == {InputImage, ImageRejected}


# Crops


@pytest.mark.parametrize(
    ("xyxy", "expected"),
    [
        pytest.param((0, 0, 2, 3), UPRIGHT, id="all"),
        pytest.param((0.9, 0.9, 1.1, 1.1), UPRIGHT[:2], id="every pixel that is touched"),
        pytest.param((1, 1, 2, 2), ["W"], id="one pixel"),
        pytest.param((1, 1, 1, 1), ["W"], id="an empty box"),
        pytest.param((-50, -50, 50, 1), ["RG"], id="beyond the edges"),
        pytest.param((50, 50, 60, 60), ["K"], id="outside"),
        pytest.param((-9, -9, -5, -5), ["R"], id="outside, on the other side"),
    ],
)
def test_a_crop_is_what_the_box_touches(xyxy: tuple[float, ...], expected: list[str]) -> None:
    crop = read_image(painted(UPRIGHT)).crop(xyxy)
    assert crop == read_image(painted(expected))


# Where a file lies


def test_a_path_is_inside_only_with_its_links_followed(tmp_path: Path) -> None:
    cache, secret = tmp_path / "cache", tmp_path / "secret.png"
    (cache / "deep").mkdir(parents=True)
    secret.touch()
    (cache / "link.png").symlink_to(secret)
    (cache / "loop.png").symlink_to(cache / "loop.png")
    (tmp_path / "alias").symlink_to(cache)
    inside = {
        "cache/a.png": True,
        "cache/deep/a.png": True,
        "cache/deep/../a.png": True,
        "alias/a.png": True,
        "cache": False,
        "cache/../secret.png": False,
        "cache/link.png": False,
        "cache/loop.png": False,
        "cache-of-others/a.png": False,
        "secret.png": False,
        "cache/nul\0.png": False,
    }
    assert {name: is_inside(tmp_path / name, cache) for name in inside} == inside
    assert is_inside(f"{tmp_path}/cache/a.png", str(tmp_path / "alias"))
