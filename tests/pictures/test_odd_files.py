"""Odd files of every kind: what the standard of the format says that they show, written out."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from playground.errors import ImageRejected
from playground.pictures.reader import InputImage, num_pages, read_image
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
    gray_png,
    icc,
    ink_profile,
    os2_bmp,
    png,
    profile,
    profile_part,
    table_profile,
    tiff,
    tiff_page,
    webp_with_small_first_frame,
    with_color_numbers,
    with_late_profile,
)

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
LINEAR = 188  # what half of the light is in sRGB; stored as 128 where numbers are linear


def row(data: bytes, *, page: int = 0) -> list[tuple[int, ...]]:
    """The first row of what is read."""
    return [tuple(pixel) for pixel in np.asarray(read_image(data, page=page).pixels)[0].tolist()]


def levels(data: bytes) -> list[int]:
    """The first row of a picture that comes out gray."""
    pixels = row(data)
    assert all(len(set(pixel)) == 1 for pixel in pixels)
    return [pixel[0] for pixel in pixels]


def refusal(data: bytes, *, page: Any = 0) -> str:
    with pytest.raises(ImageRejected) as caught:
        read_image(data, page=page)
    return str(caught.value)


# Color

GRAY_LINEAR, COLOR_LINEAR = profile(b"GRAY", 1), profile(b"RGB", 1)
DARK_TABLE = table_profile(b"RGB", (20, 0, 0), [(26, 0, 0)] * 3, version=4)
GRAY_PICTURE, COLOR_PICTURE = Image.new("L", (8, 8), 128), Image.new("RGB", (8, 8), (128, 128, 128))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(gray_png(128, icc(profile(b"RGB", 1, "sRGB but linear"))), LINEAR, id="named like sRGB"),
        pytest.param(gray_png(128, icc(profile(b"RGB", 2.2, "linear"))), 129, id="named like linear"),
        pytest.param(gray_png(128, gamma(1)), LINEAR, id="gAMA"),
        pytest.param(gray_png(128, gamma(2.2)), 128, id="gAMA, the usual"),
        pytest.param(gray_png(10, gamma(2.2)), 10, id="gAMA, the usual, in the dark"),
        pytest.param(gray_png(10, gamma(2.2), P3_CORNERS), 3, id="gAMA with cHRM is meant"),
        pytest.param(gray_png(128, gamma(1), SRGB_CHUNK), 128, id="sRGB before gAMA"),
        pytest.param(gray_png(128, SRGB_CHUNK, icc(COLOR_LINEAR)), LINEAR, id="iCCP before sRGB"),
        pytest.param(gray_png(128, gamma(2.2), icc(COLOR_LINEAR)), LINEAR, id="iCCP before gAMA"),
        pytest.param(gray_png(128, icc(COLOR_LINEAR), cicp(1, 13)), 128, id="cICP before iCCP"),
        pytest.param(gray_png(128, cicp(1, 8)), LINEAR, id="cICP, linear"),
        pytest.param(gray_png(128, cicp(1, 1)), 121, id="cICP, television"),
        pytest.param(gray_png(128, cicp(1, 4)), 129, id="cICP, gamma 2.2"),
        pytest.param(gray_png(128, cicp(9, 16)), 132, id="cICP, PQ"),
        pytest.param(gray_png(128, cicp(9, 18)), 99, id="cICP, HLG"),
        pytest.param(png(0, 8, (1, 1), b"\x80", cicp(1, 8)), LINEAR, id="cICP of gray"),
        pytest.param(png(0, 8, (1, 1), b"\x80", gamma(1)), LINEAR, id="gAMA of gray"),
        pytest.param(png(0, 8, (1, 1), b"\x80", icc(GRAY_LINEAR)), LINEAR, id="profile of gray"),
        pytest.param(png(0, 8, (1, 1), b"\x80", icc(COLOR_LINEAR)), LINEAR, id="profile of color for gray"),
        pytest.param(png(4, 8, (1, 1), b"\x80\xff", icc(GRAY_LINEAR)), LINEAR, id="profile of gray with alpha"),
        pytest.param(
            png(0, 8, (1, 1), b"\x80", icc(GRAY_LINEAR), chunk(b"tRNS", b"\0\5")), LINEAR, id="and transparent level"
        ),
        pytest.param(
            png(3, 8, (1, 1), b"\0", icc(COLOR_LINEAR), chunk(b"PLTE", b"\x80" * 3)), LINEAR, id="profile of a palette"
        ),
        pytest.param(png(0, 16, (1, 1), b"\x80\0", icc(GRAY_LINEAR)), LINEAR, id="profile of 16 bits"),
        pytest.param(png(4, 16, (1, 1), b"\x80\0\xff\xff", icc(GRAY_LINEAR)), LINEAR, id="16 bits of gray with alpha"),
        pytest.param(gray_png(0, icc(DARK_TABLE)), 48, id="profile of version 4 whose black is gray"),
        pytest.param(encoded(GRAY_PICTURE, "JPEG", icc_profile=GRAY_LINEAR), LINEAR, id="JPEG of gray"),
        pytest.param(with_late_profile(encoded(COLOR_PICTURE, "JPEG"), COLOR_LINEAR), LINEAR, id="late in a JPEG"),
        pytest.param(encoded(COLOR_PICTURE, "JPEG", icc_profile=COLOR_LINEAR), LINEAR, id="JPEG of color"),
        pytest.param(encoded(COLOR_PICTURE, "WEBP", lossless=True, icc_profile=COLOR_LINEAR), LINEAR, id="WebP"),
        pytest.param(encoded(GRAY_PICTURE, "TIFF", icc_profile=GRAY_LINEAR), LINEAR, id="TIFF of gray"),
        pytest.param(encoded(COLOR_PICTURE, "AVIF", icc_profile=COLOR_LINEAR), LINEAR, id="AVIF with a profile"),
        pytest.param(with_color_numbers(encoded(COLOR_PICTURE, "AVIF"), 1, 8), LINEAR, id="AVIF, linear"),
        pytest.param(with_color_numbers(encoded(COLOR_PICTURE, "AVIF"), 1, 4), 129, id="AVIF, gamma 2.2"),
        pytest.param(with_color_numbers(encoded(COLOR_PICTURE, "AVIF"), 1, 1), 128, id="AVIF, television is sRGB"),
        pytest.param(with_color_numbers(encoded(COLOR_PICTURE, "AVIF"), 2, 2), 128, id="AVIF, not said"),
    ],
)
def test_gray_is_brought_to_srgb_by_what_the_file_says(data: bytes, expected: int) -> None:
    assert levels(data)[0] == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        pytest.param([cicp(12, 13)], (215, 93, 31), id="cICP, Display P3"),
        pytest.param([cicp(9, 13)], (241, 76, 29), id="cICP, BT.2020"),
        pytest.param([cicp(6, 13)], (196, 102, 49), id="cICP, SMPTE 170M"),
        pytest.param([gamma(2.2), P3_CORNERS], (216, 93, 24), id="gAMA and cHRM"),
        pytest.param([P3_CORNERS], (200, 100, 50), id="cHRM alone is not managed"),
    ],
)
def test_primaries_are_brought_to_those_of_srgb(extra: list[bytes], expected: tuple[int, ...]) -> None:
    assert row(png(2, 8, (1, 1), bytes([200, 100, 50]), *extra))[0] == pytest.approx(expected, abs=2)


def test_heic_is_brought_to_srgb_by_its_numbers() -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    heic = encoded(Image.new("RGB", (64, 64), (128, 128, 128)), "HEIF", save_nclx_profile=True)
    assert levels(with_color_numbers(heic, 1, 8))[0] == pytest.approx(LINEAR, abs=1)


def test_a_profile_of_gray_is_used_for_gray_with_alpha_in_heic() -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    picture = Image.merge("LA", [Image.new("L", (64, 64), 128), Image.new("L", (64, 64), 255)])
    assert levels(encoded(picture, "HEIF", icc_profile=GRAY_LINEAR))[0] == pytest.approx(LINEAR, abs=1)


INK = (134, 210, 235)  # Lab 80, -20, -20


def test_inks_are_shown_by_their_profile_and_without_one_by_rule() -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    assert row(encoded(cyan, "TIFF"))[0] == (0, 255, 255)
    assert row(encoded(cyan, "TIFF", icc_profile=ink_profile()))[0] == pytest.approx(INK, abs=3)
    assert row(encoded(cyan, "JPEG", quality=100))[0] == pytest.approx((0, 255, 255), abs=3)
    with_profile = encoded(cyan, "JPEG", quality=100, icc_profile=ink_profile())
    assert row(with_profile)[0] == pytest.approx(INK, abs=4)


def test_the_darkest_ink_is_not_made_black() -> None:
    inks = Image.new("CMYK", (8, 8), (255, 255, 255, 255))
    assert row(encoded(inks, "TIFF", icc_profile=ink_profile(black=-20)))[0] == pytest.approx((71, 71, 71), abs=2)


def test_lab_is_shown() -> None:
    space = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(Image.new("RGB", (4, 4), (200, 100, 50)), *space, outputMode="LAB")
    assert row(encoded(lab, "TIFF"))[0] == pytest.approx((200, 100, 50), abs=3)


def with_profile_parts(*numbers: tuple[int, int]) -> bytes:
    """A JPEG with parts of a profile: the number of each, and of how many."""
    jpeg = encoded(COLOR_PICTURE, "JPEG")
    return jpeg[:2] + b"".join(profile_part(*number, COLOR_LINEAR) for number in numbers) + jpeg[2:]


def test_a_profile_that_is_written_twice_is_used() -> None:
    assert levels(with_profile_parts((1, 1), (1, 1)))[0] == pytest.approx(LINEAR, abs=1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(encoded(COLOR_PICTURE, "JPEG", icc_profile=b"junk" * 50), "cannot be read", id="junk"),
        pytest.param(encoded(COLOR_PICTURE, "JPEG", icc_profile=COLOR_LINEAR[:200]), "cannot be read", id="cut"),
        pytest.param(encoded(COLOR_PICTURE, "JPEG", icc_profile=GRAY_LINEAR), "is for GRAY", id="gray for color"),
        pytest.param(encoded(COLOR_PICTURE, "JPEG", icc_profile=ink_profile()), "is for CMYK", id="inks for color"),
        pytest.param(with_profile_parts((1, 2)), "A part of the picture's color profile", id="half a profile"),
        pytest.param(with_profile_parts((0, 1)), "A part of the picture's color profile", id="a part without a number"),
        pytest.param(gray_png(128, chunk(b"iCCP", b"p\0\0junk")), "(iCCP) cannot be used", id="iCCP that is broken"),
        pytest.param(gray_png(128, chunk(b"iCCP", b"p\0\1junk")), "(iCCP) cannot be used", id="iCCP packed oddly"),
        pytest.param(gray_png(128, gamma(1)[:-1] + b"!"), "(gAMA) cannot be used", id="gAMA with a wrong checksum"),
        pytest.param(gray_png(128, cicp(1, 99)), "(cICP) cannot be used", id="cICP with a number that nobody knows"),
        pytest.param(gray_png(128, cicp(1, 8, 1)), "(cICP) cannot be used", id="cICP of luma and chroma"),
        pytest.param(gray_png(128, cicp(1, 8, 0, 0)), "(cICP) cannot be used", id="cICP of a narrow range"),
        pytest.param(gray_png(128, P3_CORNERS), "(cHRM without gAMA) cannot be used", id="cHRM alone"),
        pytest.param(with_color_numbers(encoded(COLOR_PICTURE, "AVIF"), 1, 99), "(1/99)", id="AVIF, unknown"),
    ],
)
def test_what_cannot_be_managed_is_said_and_the_numbers_stay(data: bytes, said: str) -> None:
    image = read_image(data)
    assert [said in notice for notice in image.notices] == [True]
    assert image.pixels.getpixel((0, 0))[0] == pytest.approx(128, abs=1)


def test_high_dynamic_range_is_said() -> None:
    assert "high dynamic range" in read_image(gray_png(128, cicp(9, 16))).notices[0]


def test_a_broken_profile_gives_way_to_the_next_best() -> None:
    assert levels(gray_png(128, chunk(b"iCCP", b"p\0\0junk"), gamma(1)))[0] == pytest.approx(LINEAR, abs=1)


def test_what_is_srgb_is_left_alone_and_nothing_is_said() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = read_image(encoded(COLOR_PICTURE, "PNG", icc_profile=srgb))
    assert (image, image.notices) == (read_image(COLOR_PICTURE), ())


# Transparency


def test_one_transparent_level_or_color_at_every_depth() -> None:
    transparent = {
        "gray, 1 bit": png(0, 1, (2, 1), b"\x40", chunk(b"tRNS", b"\0\1")),
        "gray, 2 bits": png(0, 2, (2, 1), b"\x90", chunk(b"tRNS", b"\0\1")),
        "gray, 4 bits": png(0, 4, (2, 1), b"\x76", chunk(b"tRNS", b"\0\6")),
        "gray, 8 bits": png(0, 8, (2, 1), b"\x10\x20", chunk(b"tRNS", b"\0\x20")),
        "gray, 16 bits": png(0, 16, (2, 1), b"\x10\1\x10\0", chunk(b"tRNS", b"\x10\0")),
        "color, 8 bits": png(2, 8, (2, 1), b"\1\2\3\1\2\4", chunk(b"tRNS", b"\0\1\0\2\0\4")),
        "color, 16 bits": png(2, 16, (2, 1), b"\x80\1" * 3 + b"\x80\0" * 3, chunk(b"tRNS", b"\x80\0" * 3)),
        "only the low bits count": png(0, 2, (2, 1), b"\x90", chunk(b"tRNS", b"\xff\xfd")),
    }
    is_white = {name: [pixel == WHITE for pixel in row(data)] for name, data in transparent.items()}
    expected = {name: [False, True] for name in transparent}
    assert is_white == {**expected, "gray, 2 bits": [False, True], "only the low bits count": [False, True]}


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_with_alpha_at_every_depth(bits: int) -> None:
    colors = chunk(b"PLTE", bytes([*RED, *GREEN])), chunk(b"tRNS", bytes([51, 255]))
    second = 1 << (8 - 2 * bits) if bits < 8 else 0
    data = png(3, bits, (2, 1), bytes([second]) if bits < 8 else b"\0\1", *colors)
    assert row(data) == [(255, 204, 204), GREEN]


MASKS = 0xFF0000, 0xFF00, 0xFF, 0xFF000000
HALF_GREEN = bytes([0, 0, 255, 0, 0, 255, 0, 128, 255, 0, 0, 255])  # clear red, half green, blue; as BMP stores it
SHOWN, OPAQUE = [WHITE, (127, 255, 127), BLUE], [RED, GREEN, BLUE]


@pytest.mark.parametrize(
    ("header", "compression", "masks", "expected"),
    [
        pytest.param(40, 0, (), OPAQUE, id="BI_RGB has no alpha"),
        pytest.param(108, 0, (), OPAQUE, id="version 4 without masks"),
        pytest.param(108, 0, MASKS, SHOWN, id="version 4 with a mask for alpha"),
        pytest.param(124, 0, MASKS, SHOWN, id="version 5 with a mask for alpha"),
        pytest.param(40, 3, MASKS[:3], OPAQUE, id="BI_BITFIELDS of three masks"),
        pytest.param(56, 3, MASKS, SHOWN, id="BI_BITFIELDS of four masks"),
        pytest.param(124, 3, MASKS, SHOWN, id="BI_BITFIELDS, version 5"),
        pytest.param(40, 6, MASKS, SHOWN, id="BI_ALPHABITFIELDS"),
    ],
)
def test_alpha_in_bmp_is_where_its_header_says(
    header: int, compression: int, masks: tuple[int, ...], expected: list[tuple[int, ...]]
) -> None:
    data = bmp((3, 1), 32, compression, HALF_GREEN, header=header, masks=masks)
    assert np.abs(np.array(row(data)) - expected).max() <= 1


def test_an_opened_file_is_read_like_the_file_and_can_still_be_loaded() -> None:
    data = png(0, 2, (2, 1), b"\x90", chunk(b"tRNS", b"\0\x02"), gamma(1))
    opened = Image.open(io.BytesIO(data))
    assert read_image(opened) == read_image(data)
    assert opened.convert("L").getpixel((1, 0)) == 85


# Run-length and other BMP


@pytest.mark.parametrize(
    ("bits", "compression", "data"),
    [
        pytest.param(4, 2, bytes([0, 5, 0x21, 0x21, 0x20, 0, 1, 0x10, 0, 1]), id="absolute run of 4 bits"),
        pytest.param(4, 2, bytes([6, 0x21, 0, 1]), id="run of 4 bits"),
        pytest.param(8, 1, bytes([0, 5, 2, 1, 2, 1, 2, 0, 1, 1, 0, 1]), id="absolute run of 8 bits"),
        pytest.param(4, 2, bytes([0, 3, 0x21, 0x20, 0, 3, 0x12, 0x10, 0, 0, 0, 1]), id="two absolute runs"),
        pytest.param(2, 0, bytes([0b10011001, 0b10010000, 0, 0]), id="2 bits"),
    ],
)
def test_small_bmp_of_every_compression(bits: int, compression: int, data: bytes) -> None:
    assert row(bmp((6, 1), bits, compression, data, colors=[BLACK, RED, GREEN])) == [GREEN, RED] * 3


def test_the_oldest_header_has_no_masks() -> None:
    assert row(os2_bmp((2, 1), bytes([0, 0, 255, 255, 0, 0, 0, 0]))) == [RED, BLUE]


def test_what_no_run_writes_is_black_and_rows_go_upwards() -> None:
    data = bytes([1, 1, 0, 2, 1, 1, 1, 2, 0, 1])  # one red; then one right and one up; one green
    image = read_image(bmp((3, 2), 8, 1, data, colors=[BLUE, RED, GREEN]))
    assert [list(map(tuple, line)) for line in np.asarray(image.pixels).tolist()] == [
        [BLACK, BLACK, GREEN],
        [RED, BLACK, BLACK],
    ]


def test_runs_that_end_early_are_cut_short_and_very_long_ones_are_refused() -> None:
    assert "cut short" in refusal(bmp((6, 2), 4, 2, bytes([6, 0x21]), colors=[BLACK, RED, GREEN]))
    assert "too long" in refusal(bmp((6, 2), 4, 2, bytes(3_000_001), colors=[BLACK, RED, GREEN]))


# Numbers of TIFF: 40 of 255 at every depth, and what comes of it

UNSIGNED = {"u1": 40, "u2": 40 * 257, "u4": 40 * 16843009, "u8": 40 * 72340172838076673}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("dtype", UNSIGNED)
@pytest.mark.parametrize(
    ("photometric", "expected"), [pytest.param(1, 40, id="black is zero"), pytest.param(0, 215, id="white is zero")]
)
def test_unsigned_gray_of_every_depth(order: str, big: bool, dtype: str, photometric: int, expected: int) -> None:
    numbers = np.array([[UNSIGNED[dtype], 0]], f"{order}{dtype}")
    image = read_image(tiff([tiff_page(numbers, photometric)], order=order, big=big))
    assert np.asarray(image.pixels)[0, :, 0].tolist() == [expected, 0 if photometric else 255]
    assert image.notices == ()


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
@pytest.mark.parametrize("photometric", [0, 1])
def test_gray_of_depths_that_fill_no_byte(bits: int, photometric: int) -> None:
    white = 2**bits - 1
    data = int(f"{white:0{bits}b}{0:0{24 - bits}b}", 2).to_bytes(3)  # white, then black
    page = tiff_page(np.zeros((1, 24 // bits), np.uint8), photometric, tags={258: bits})[0]
    expected = [255, *[0] * (24 // bits - 1)]
    assert levels(tiff([(page, [data])])) == [level if photometric else 255 - level for level in expected]


COLORS = np.array([[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [100, 110, 120]]])
SCALES = {"u1": 1, "u2": 257, "u4": 16843009, "f2": 1 / 255, "f4": 1 / 255, "f8": 1 / 255}


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_color_of_every_depth_side_by_side_and_in_planes(dtype: str, planar: bool, order: str) -> None:
    numbers = (COLORS * SCALES[dtype]).astype(f"{order}{dtype}")
    numbers[-1, -1] = 255 * SCALES[dtype]  # so that floats have a white
    data = tiff([tiff_page(numbers, 2, planar=planar)], order=order)
    assert np.abs(np.asarray(read_image(data).pixels, int)[:, 0] - COLORS[:, 0]).max() <= 1


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "zstd"])
def test_compressed_numbers_are_unpacked(compression: str) -> None:
    numbers = np.linspace(0, 1, 96 * 80, dtype=np.float32).reshape(96, 80)
    data = encoded(Image.fromarray(numbers), "TIFF", compression=compression)
    assert np.abs(np.asarray(read_image(data).pixels)[..., 0] - numbers * 255).max() <= 0.51


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<f4", ">f4"])
@pytest.mark.parametrize("planar", [False, True])
def test_differences_of_neighbors_are_summed_up(dtype: str, planar: bool) -> None:
    """Predictor 2 for integers, 3 for floats: TIFF 6.0 section 14, and Adobe's technical note 3."""
    size, order = int(dtype[2]), dtype[0]
    numbers = (COLORS * SCALES[dtype[1:]]).astype(dtype)
    numbers[-1, -1] = 255 * SCALES[dtype[1:]]
    if dtype[1] == "u":
        stored = np.diff(numbers, axis=1, prepend=np.zeros((2, 1, 3), dtype)).astype(dtype)
    else:
        rows = np.moveaxis(numbers, 2, 0)[..., None] if planar else numbers[None]
        turned = (
            np.ascontiguousarray(rows.astype(">f4"))
            .reshape(len(rows), 2, -1)
            .view(np.uint8)
            .reshape(len(rows), 2, -1, size)
        )
        turned = np.swapaxes(turned, 2, 3).reshape(len(rows), 2, -1, 1 if planar else 3)
        differences = np.diff(turned, axis=2, prepend=np.zeros_like(turned[:, :, :1])).astype(np.uint8)
        strips = [part.tobytes() for part in differences]
    page, whole = tiff_page(stored if dtype[1] == "u" else numbers, 2, planar=planar)
    page[317] = 2 if dtype[1] == "u" else 3
    data = tiff([(page, whole if dtype[1] == "u" else strips)], order=order)
    assert np.abs(np.asarray(read_image(data).pixels, int)[:, 0] - COLORS[:, 0]).max() <= 1


def test_tiles_of_numbers_are_put_together() -> None:
    numbers = np.arange(20 * 40, dtype=np.uint32).reshape(20, 40) * np.uint32(5_000_000)
    padded = np.zeros((32, 48), np.uint32)
    padded[:20, :40] = numbers
    tiles = [padded[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16, 32)]
    page = tiff_page(numbers, 1, tags={322: 16, 323: 16})[0]
    for tag in (273, 278, 279):
        page.pop(tag, None)
    file = tiff([({**page, 324: (0,) * 6, 325: tuple(map(len, tiles))}, tiles)])
    at = file.index(tiles[0])
    places = struct.pack("<6I", *(at + 1024 * n for n in range(6)))
    entry = file.index(struct.pack("<HHI", 324, 4, 6))
    strips = file.index(struct.pack("<HHI", 273, 4, 6))
    file = file[:strips] + struct.pack("<HHI", 65_000, 4, 6) + file[strips + 8 :]  # they are tiles, not strips
    where = struct.unpack_from("<I", file, entry + 8)[0]
    file = file[:where] + places + file[where + 24 :]
    assert np.abs(np.asarray(read_image(file).pixels)[..., 0] - numbers / (2**32 - 1) * 255).max() <= 1


@pytest.mark.parametrize(
    ("numbers", "expected", "said"),
    [
        pytest.param(np.array([[0, 16384, 32767]], "<i2"), [0, 128, 255], "32767 as white", id="signed 16 bits"),
        pytest.param(np.array([[-5, 0, 127]], "<i1"), [0, 0, 255], "below 0 are black", id="signed 8 bits"),
        pytest.param(np.array([[0, 100_000, 200_000]], "<i4"), [0, 128, 255], "200000 as white", id="signed 32 bits"),
        pytest.param(np.array([[0, 100, 255]], "<u4"), [0, 100, 255], "255 as white", id="8 bits in 32"),
        pytest.param(np.array([[0, 0.5, 1]], "<f2"), [0, 128, 255], "1 as white", id="floats of 16 bits"),
        pytest.param(np.array([[0, 0.5, 1]], "<f8"), [0, 128, 255], "1 as white", id="floats of 64 bits"),
        pytest.param(np.array([[-1, np.nan, 255]], "<f4"), [0, 0, 255], "below 0 are black", id="no numbers"),
    ],
)
def test_where_no_standard_says_what_is_white_the_scale_is_said(
    numbers: np.ndarray, expected: list[int], said: str
) -> None:
    data = tiff([tiff_page(numbers, 1)])
    assert levels(data) == expected
    assert [said in notice for notice in read_image(data).notices] == [True]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        pytest.param(2, (255, 204, 204), id="alpha"),
        pytest.param(1, (255, 204, 204), id="alpha that is multiplied in"),
        pytest.param(0, RED, id="something else"),
    ],
)
def test_a_fourth_channel_is_alpha_only_where_the_file_says_so(extra: int, expected: tuple[int, ...]) -> None:
    color = [51 * 257, 0, 0, 51 * 257] if extra == 1 else [65535, 0, 0, 51 * 257]
    data = tiff([tiff_page(np.array([[color]], "<u2"), 2, tags={338: extra})])
    assert np.abs(np.array(row(data)[0]) - expected).max() <= 1
    assert len(read_image(data).notices) == (extra == 0)


def test_a_palette_of_bytes_in_numbers_of_16_bits_is_not_black() -> None:
    palette = (255, *[0] * 255, 128, *[0] * 255, 7, *[0] * 255)  # all reds first
    assert row(tiff([tiff_page(np.zeros((1, 1), np.uint8), 3, tags={320: palette})])) == [(255, 128, 7)]


def test_luma_and_chroma_are_brought_to_colors_compressed_or_not() -> None:
    luma, blue, red = np.asarray(Image.new("RGB", (1, 1), (200, 100, 50)).convert("YCbCr"))[0, 0].tolist()
    page = tiff_page(np.zeros((4, 4, 3), np.uint8), 6)[0]
    halved = tiff([({**page, 530: (2, 2)}, [bytes([*[luma] * 4, blue, red]) * 4])])
    whole = tiff([({**page, 530: (1, 1)}, [bytes([luma, blue, red]) * 16])])
    for data in (halved, whole):
        assert row(data) == [pytest.approx((200, 100, 50), abs=2)] * 4


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        pytest.param({339: 6, 258: 64}, "complex numbers of 64 bits", id="complex"),
        pytest.param({339: 3, 258: 24}, "floating-point numbers of 24 bits", id="floats of 24 bits"),
        pytest.param({262: 8, 258: 16}, "of 16 bits in color model Lab", id="Lab of 16 bits"),
        pytest.param({262: 9, 277: 3, 258: (8, 8, 8)}, "color model Lab", id="Lab of ICC"),
        pytest.param({262: 3, 258: 16}, "of 16 bits in color model palette", id="palette of 16 bits"),
        pytest.param({262: 77}, "color model 77", id="a color model that nobody knows"),
        pytest.param({258: tuple(range(2, 99))}, "of 2/3/4/5/6/7/8/9/... bits", id="as many widths as it likes"),
        pytest.param({259: 34712}, "number 34712", id="a compression that nobody undoes"),
    ],
)
def test_numbers_that_are_not_read_are_named(tags: dict[int, Any], said: str) -> None:
    assert said in refusal(tiff([tiff_page(np.zeros((1, 8), np.uint8), 1, tags=tags)]))


# Which picture


@pytest.mark.parametrize(
    ("data", "last"),
    [
        pytest.param(gif_with_small_first_frame(), RED, id="GIF"),
        pytest.param(webp_with_small_first_frame(), RED, id="WebP"),
        pytest.param(apng_of_small_first_frame(), WHITE, id="PNG, partly transparent"),
    ],
)
def test_around_a_small_first_frame_is_nothing(data: bytes, last: tuple[int, ...]) -> None:
    image = read_image(data)
    assert image.resolution_wh == (8, 8)
    assert [image.pixels.getpixel(at) for at in ((0, 0), (3, 7), (4, 4), (7, 7))] == [WHITE, WHITE, RED, last]


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "AVIF"])
def test_that_a_picture_moves_is_said(format_: str) -> None:
    still, moving = Image.new("RGB", (8, 8), RED), [Image.new("RGB", (8, 8), GREEN)]
    assert read_image(encoded(still, format_)).notices == ()
    notices = read_image(encoded(still, format_, save_all=True, append_images=moving)).notices
    assert notices == ("The file holds several frames or pictures; only the first was read.",)


def pages_of(*sizes: tuple[int, int], tags: dict[int, dict[int, Any]] | None = None) -> bytes:
    """A TIFF of pages, each of a level of its own: 40, 80, 120 ..."""
    blank = [np.full((height, width), 40 * n, np.uint8) for n, (width, height) in enumerate(sizes, start=1)]
    return tiff([tiff_page(page, 1, tags=(tags or {}).get(n)) for n, page in enumerate(blank)])


def test_pages_are_counted_chosen_and_said(tmp_path: Any) -> None:
    data = pages_of(*[(6, 8)] * 5)
    (tmp_path / "five.tiff").write_bytes(data)
    assert num_pages(data) == num_pages(tmp_path / "five.tiff") == 5
    assert [row(data, page=page)[0][0] for page in range(5)] == [40, 80, 120, 160, 200]
    assert read_image(data, page=2).notices == ("The file has 5 pages; this is page 3.",)
    assert refusal(data, page=5) == "The file has 5 pages; there is no page 6. Choose another."
    assert refusal(data, page=-1) == "The file has 5 pages; there is no page 0. Choose another."
    assert refusal(data, page=1.5) == "A page must be a whole number, 0 for the first one, but got 1.5."
    assert (num_pages(gray_png(1)), refusal(gray_png(1), page=1)) == (
        1,
        "The file has 1 page; there is no page 2. Choose another.",
    )


@pytest.mark.parametrize(
    ("data", "shown", "count"),
    [
        pytest.param(pages_of((16, 12), (64, 48), tags={0: {254: 1}}), 80, 1, id="said to be reduced"),
        pytest.param(pages_of((16, 12), (64, 48), tags={0: {255: 2}}), 80, 1, id="said so in the old way"),
        pytest.param(pages_of((64, 48), (16, 12), tags={1: {254: 1}}), 40, 1, id="a preview behind"),
        pytest.param(pages_of((64, 48), (64, 48), tags={1: {254: 4}}), 40, 1, id="a mask behind"),
        pytest.param(pages_of((16, 12), (64, 48)), 80, 1, id="a small copy that does not say so"),
        pytest.param(pages_of((16, 12), (64, 20)), 40, 2, id="small, but of another shape"),
        pytest.param(pages_of((16, 12), (20, 15)), 40, 2, id="a little smaller"),
        pytest.param(pages_of((16, 12), (64, 48), (16, 12)), 40, 3, id="pages of many sizes"),
        pytest.param(pages_of((16, 12), (64, 48), tags={0: {254: 1}, 1: {254: 1}}), 80, 1, id="nothing but previews"),
    ],
)
def test_the_full_picture_is_taken(data: bytes, shown: int, count: int) -> None:
    assert (row(data)[0][0], num_pages(data)) == (shown, count)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(pages_of((16, 12), tags={0: {50706: b"\1\4\0\0"}}), " (DNG)", id="DNG"),
        pytest.param(pages_of((16, 12), (64, 48), tags={1: {262: 32803}, 0: {271: b"NIKON\0"}}), " (NIKON)", id="NEF"),
        pytest.param(b"II*\0\x10\0\0\0CR\2\0" + bytes(4) + pages_of((16, 12))[8:], "", id="CR2"),
        pytest.param(b"IIU\0" + bytes(60), " (RW2)", id="RW2"),
        pytest.param(b"IIRO" + bytes(60), " (ORF)", id="ORF"),
        pytest.param(b"FUJIFILMCCD-RAW " + bytes(60), " (RAF)", id="RAF"),
        pytest.param(b"\0\0\0\x18ftypcrx " + bytes(60), " (CR3)", id="CR3"),
    ],
)
def test_a_raw_file_is_named(data: bytes, kind: str) -> None:
    assert f"This is a raw file of a camera{kind}" in refusal(data) or (not kind and "(CR2)" in refusal(data))


def test_a_valid_jpeg_of_a_kind_that_is_not_read_is_not_called_no_picture() -> None:
    twelve_bits = encoded(Image.new("L", (8, 8)), "JPEG").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc1\0\x0b\x0c")
    assert refusal(twelve_bits) == (
        "This JPEG is damaged, cut short, or of a kind that is not read here. "
        "Save it again as PNG or plain JPEG, and try that."
    )


# Files that are cut

PHOTO = Image.fromarray(np.random.default_rng(7).integers(0, 256, (256, 256, 3), dtype=np.uint8))


def test_a_png_without_its_end_is_whole() -> None:
    assert read_image(gray_png(77)[:-12]).notices == ("The file lacks its end, but all of the picture is there.",)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("picture", [PHOTO, Image.new("RGB", (32, 32), (90, 140, 60))], ids=["noise", "plain"])
def test_a_jpeg_without_its_end_is_whole(mode: str, picture: Image.Image) -> None:
    data = encoded(picture.convert(mode), "JPEG", quality=95)
    image = read_image(data.removesuffix(b"\xff\xd9"))
    assert image == read_image(data)
    assert image.notices == ("The file lacks its end, but all of the picture is there.",)


def test_a_jpeg_of_which_nearly_all_is_there_is_shown_as_far_as_it_goes() -> None:
    data = encoded(PHOTO, "JPEG")
    image = read_image(data[:-500])
    assert image.notices[0].startswith("The file is cut short: about 1.")
    assert image.pixels.crop((0, 0, 256, 200)) == read_image(data).pixels.crop((0, 0, 256, 200))
    assert "cut short" in refusal(data[: len(data) * 9 // 10])


def test_a_progressive_jpeg_needs_all_its_scans() -> None:
    data = encoded(PHOTO, "JPEG", progressive=True)
    assert "finest detail" in read_image(data[:-100]).notices[0]
    assert "cut short" in refusal(data[: data.rindex(b"\xff\xda")])


# Large pictures


def large(format_: str, size: tuple[int, int] = (8064, 6048), **options: Any) -> bytes:
    return encoded(Image.new("L", size, 90), format_, **options)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "GIF"])
def test_a_picture_of_48_megapixels_is_scaled_down_and_that_is_said(format_: str) -> None:
    image = read_image(large(format_))
    assert (image.resolution_wh, image.pixels.size) == ((8064, 6048), (4032, 3024))
    assert image.notices == (
        "The picture has 49 megapixels (8064 x 6048); it was scaled down to 4032 x 3024. "
        "Regions still refer to the original.",
    )


def test_a_picture_of_200_megapixels_is_read_where_it_is_a_jpeg() -> None:
    image = read_image(large("JPEG", (16_320, 12_240)))
    assert (image.resolution_wh, image.pixels.size) == ((16_320, 12_240), (4080, 3060))


def test_a_large_picture_that_memory_does_not_allow_is_refused() -> None:
    said = refusal(large("WEBP", quality=1, method=0))
    assert "of 8064 x 6048 pixels takes 878 MB of memory; the limit is 560" in said


def test_very_many_channels_are_refused_before_memory_is_taken() -> None:
    page, strips = tiff_page(np.zeros((1, 1), np.float32), 1, tags={256: 2000, 257: 2000, 277: 60_000, 258: 32})
    assert "takes 960488 MB of memory" in refusal(tiff([(page, strips)]))


def test_a_large_picture_is_turned_upright_with_its_original_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = read_image(large("JPEG", exif=exif))
    assert (image.resolution_wh, image.pixels.size) == ((6048, 8064), (3024, 4032))


def test_a_crop_of_a_large_picture_is_asked_for_in_the_original_pixels() -> None:
    picture = Image.new("L", (8000, 6000), 90)
    picture.paste(200, (4000, 3000, 6000, 5000))
    crop = read_image(picture).crop((4000, 3000, 6000, 5000))
    assert (crop.resolution_wh, crop.pixels.size) == ((2000, 2000), (1000, 1000))
    assert crop.pixels.getextrema() == ((200, 200),) * 3


def test_a_file_of_25_megabytes_is_no_attack() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (2900, 2900, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "PNG", compress_level=0)
    assert len(data) > 25_000_000
    assert isinstance(read_image(data), InputImage)
