"""A file's bytes to colors, alpha, profile and orientation: each format's own ways, in one value.

Knows formats. Knows nothing of what becomes of the colors.
"""

import io
import math
import struct
import warnings
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageChops, ImageFile, TiffImagePlugin, UnidentifiedImageError

from playground.errors import ImageRejected
from playground.pictures import bmp, boxes, gif, jpeg, pages, png, tiff, webp
from playground.pictures.color import model_of
from playground.pictures.kinds import accepted_kinds, name_the_kind
from playground.pictures.limits import (
    MAX_HEADER_READS,
    Limits,
    check_file_size,
    check_memory,
    check_resolution,
    reduction,
)
from playground.pictures.samples import bytes_a_pixel, decode_samples, samples_of, unread_sentence
from playground.pictures.spaces import SRGB, TELEVISION, profile_of_numbers
from playground.regions import Region

FIRST_FRAME = "The file holds several frames or pictures; only the first was read."
OTHER_PAGES = "The file has {count} pages; this is page {page}."
OWN_TEXT = "This page holds text of its own, {count} characters that need no reading: copy them from the PDF."
UNKNOWN_COLORS = "The file names a color space that is not known here ({numbers}); its colors are taken as sRGB."
PILLOW_FORMATS = (
    "JPEG",
    "MPO",
    "PNG",
    "WEBP",
    "AVIF",
    "GIF",
    "BMP",
    "TIFF",
    "HEIF",
)  # as Pillow names what is decoded here
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as its file has it, with all that is needed to show it right. Its pixels may be fewer than its size."""

    picture: Image.Image
    resolution_wh: tuple[int, int]  # as stored, before it is turned upright
    profile: bytes | None
    orientation: int
    alpha: Image.Image | None = None  # beside that of the picture itself
    num_pages: int = 1  # of the file
    is_gray: bool = False  # gray that is held as color
    own_text: tuple[Region, ...] = ()  # of a page of a document


class _Header(io.BytesIO):
    """A file that ends the reading of a header that is cut into very many parts."""

    reads_left: float = MAX_HEADER_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise ImageRejected("The metadata of this file has too many parts. Save it without them and try that.")
        return super().read(size)


def decode_file(data: bytes, limits: Limits, page: int, notices: list[str], *, password: str = "") -> Decoded:
    """Decode a file that is within the limits. Raises ImageRejected, or whatever Pillow trips over."""
    check_file_size(len(data), limits)
    if data.startswith(b"BM"):
        return _decode_bmp(data, limits, page)
    if data.startswith(_TIFF_MARKS):
        return _decode_tiff(data, limits, page, notices)
    if pages.is_document(data):
        return _decode_document(data, limits, page, notices, password)
    refuse_page(page, 1)
    if data.startswith(b"\x89PNG"):
        return _decode_png(data, limits, notices)
    picture = _open(data)
    check_resolution(picture.size, limits)
    if picture.format in ("JPEG", "MPO"):
        return _decode_jpeg(picture, data, limits, notices)
    return _decode_other(picture, data, limits, notices)


def count_pages(data: bytes, password: str = "") -> int:
    """Return how many pages a file has: those of a TIFF and of a PDF, 1 of everything else."""
    if pages.is_document(data):
        return pages.count_document_pages(data, password)
    return len(tiff.read_tiff(data).pages) if data.startswith(_TIFF_MARKS) else 1


def refuse_page(page: int, count: int) -> None:
    """Raise ImageRejected where a file has no such page."""
    if not 0 <= page < count:
        pages = "1 page" if count == 1 else f"{count} pages"
        raise ImageRejected(f"The file has {pages}; there is no page {page + 1}. Choose another.")


def _open(data: bytes) -> ImageFile.ImageFile:
    """Read a header. The limits are ours: Pillow's own against bombs lies below the largest photographs."""
    file = _Header(data)
    try:
        with warnings.catch_warnings():
            picture = Image.open(file, formats=[kind.pillow_name for kind in accepted_kinds()])
    except UnidentifiedImageError:
        raise ImageRejected(name_the_kind(data)) from None
    file.reads_left = math.inf
    return picture


def _decode_bmp(data: bytes, limits: Limits, page: int) -> Decoded:
    refuse_page(page, 1)
    header = bmp.read_bitmap_header(data)
    check_resolution(header.size, limits)
    check_memory(header.size, "BMP", 4, limits)
    return Decoded(bmp.decode_bitmap(data, header), header.size, header.profile, 1)


def _decode_tiff(data: bytes, limits: Limits, page: int, notices: list[str]) -> Decoded:
    file = tiff.read_tiff(data)
    refuse_page(page, len(file.pages))
    directory = file.pages[page]
    check_resolution(directory.size, limits)
    if len(file.pages) > 1:
        notices.append(OTHER_PAGES.format(count=len(file.pages), page=page + 1))
    samples = samples_of(directory, file.order)
    if samples:
        check_memory(directory.size, "TIFF", 4, limits, decoder_bytes=bytes_a_pixel(directory, samples))
        picture = decode_samples(file, directory, samples, notices)
        return Decoded(picture, directory.size, directory.profile, directory.orientation, num_pages=len(file.pages))
    # Without libtiff, Pillow shows luma and chroma that are not compressed as if they were red, green and blue.
    TiffImagePlugin.READ_LIBTIFF = directory.is_luma_and_chroma
    try:
        opened = _open(file.starting_with(directory))
    except ImageRejected:  # its directories are read, so it is a TIFF
        raise ImageRejected(unread_sentence(directory)) from None
    finally:
        TiffImagePlugin.READ_LIBTIFF = False
    check_memory(opened.size, "TIFF", _bytes_a_pixel(opened), limits)
    opened.load()  # Pillow turns some by itself, and then says that they are upright
    if opened.mode == "P" and (palette := tiff.palette_of_bytes(directory)):
        opened.putpalette(palette, "RGB;L")
    return Decoded(opened, opened.size, directory.profile, _orientation(opened), num_pages=len(file.pages))


def _decode_document(data: bytes, limits: Limits, page: int, notices: list[str], password: str) -> Decoded:
    picture, count, text = pages.draw_page(data, page, limits, password)
    if count > 1:
        notices.append(OTHER_PAGES.format(count=count, page=page + 1))
    if text:
        notices.append(OWN_TEXT.format(count=sum(len(piece.label) for piece in text)))
    return Decoded(picture, picture.size, None, 1, num_pages=count, own_text=text)


def _decode_png(data: bytes, limits: Limits, notices: list[str]) -> Decoded:
    header = png.read_png_header(data)
    frame = png.first_frame(data, header)
    data = png.without_metadata(data, header)
    picture = _open(data)
    size = picture.size
    check_resolution(size, limits)
    check_memory(size, "PNG", _bytes_a_pixel(picture) * (2 if frame else 1), limits)
    _say_frames(picture, data, notices)
    if frame:
        data = frame.file
        picture = _open(data)
    picture.load()
    if b"IEND" not in data:
        notices.append(jpeg.NO_END)
    alpha = png.opaque_where(picture, data, header)
    if alpha:
        picture.info.pop("transparency", None)
    shown: Image.Image = picture
    if frame and frame.box != (0, 0, *size):
        shown, alpha = _on_canvas(picture, alpha, frame.box, size)
    is_gray = header.color_type == 4 and shown.mode == "RGBA"  # as Pillow holds it where it has 16 bits
    return Decoded(shown, size, png.profile_of(header, notices), _orientation(picture), alpha, is_gray=is_gray)


def _on_canvas(
    picture: Image.Image, alpha: Image.Image | None, box: tuple[int, int, int, int], size: tuple[int, int]
) -> tuple[Image.Image, Image.Image]:
    """Return a frame in its place, and the alpha of the whole, which is clear around it."""
    picture = picture.convert("RGBA") if picture.mode == "P" else picture
    canvas, clear = Image.new(picture.mode, size), Image.new("L", size)
    canvas.paste(picture, box[:2])
    clear.paste(alpha or 255, box)
    return canvas, clear


def _decode_jpeg(picture: ImageFile.ImageFile, data: bytes, limits: Limits, notices: list[str]) -> Decoded:
    resolution_wh = picture.size
    outline = jpeg.read_outline(data, math.prod(resolution_wh))
    factor = reduction(resolution_wh, limits)
    # A progressive JPEG is kept whole as coefficients of 16 bits, whatever the size that it is decoded to.
    shown = _bytes_a_pixel(picture) / factor**2
    kept = 2 * outline.samples_a_pixel if outline.is_progressive else 0
    check_memory(resolution_wh, "JPEG", shown, limits, decoder_bytes=kept + shown)
    jpeg.shrink(picture, factor)
    loaded = jpeg.decode_jpeg(picture, data, outline, notices)
    return Decoded(loaded, resolution_wh, jpeg.join_profile(outline, notices), _orientation(picture))


def _decode_other(picture: ImageFile.ImageFile, data: bytes, limits: Limits, notices: list[str]) -> Decoded:
    check_memory(picture.size, picture.format or "", _bytes_a_pixel(picture), limits)
    profile = picture.info.get("icc_profile")
    if picture.format in ("AVIF", "HEIF") and not profile:
        profile = _profile_of_numbers(data, notices)
    alpha = _around_frame(picture, data)
    picture.load()
    _say_frames(picture, data, notices)
    is_gray = profile is not None and model_of(profile) == "GRAY" and _is_gray(picture)
    return Decoded(picture, picture.size, profile, _orientation(picture), alpha, is_gray=is_gray)


def _is_gray(picture: Image.Image) -> bool:
    """Return whether gray with alpha is held as color, as pillow-heif does."""
    if picture.mode != "RGBA":
        return False
    red = picture.getchannel("R")
    return not any(ImageChops.difference(red, picture.getchannel(other)).getbbox() for other in "GB")


def _profile_of_numbers(data: bytes, notices: list[str]) -> bytes | None:
    try:
        numbers = boxes.color_numbers(data)
    except struct.error:
        numbers = None
    if numbers is None or 2 in numbers:  # 2: not said
        return None
    primaries, transfer = numbers
    if transfer in TELEVISION:  # named by programs that made the picture of a video; browsers take it as sRGB
        transfer = SRGB
    if (primaries, transfer) == (1, SRGB):
        return None
    profile = profile_of_numbers(primaries, transfer, notices)
    if profile is None:
        notices.append(UNKNOWN_COLORS.format(numbers=f"{primaries}/{transfer}"))
    return profile


def _around_frame(picture: ImageFile.ImageFile, data: bytes) -> Image.Image | None:
    """Return where the first frame of a GIF or WebP lies on its canvas, as alpha; around it nothing is drawn."""
    box = None
    if picture.format == "GIF" and picture.tile:
        box = picture.tile[0].extents
    elif picture.format == "WEBP":
        box = webp.place_of_first_frame(data)
    if box is None or box == (0, 0, *picture.size):
        return None
    alpha = Image.new("L", picture.size)
    alpha.paste(255, box)
    return alpha


def _say_frames(picture: ImageFile.ImageFile, data: bytes, notices: list[str]) -> None:
    # Pillow counts the frames of a GIF by decoding them.
    if gif.has_second_frame(data) if picture.format == "GIF" else getattr(picture, "n_frames", 1) > 1:
        notices.append(FIRST_FRAME)


def _bytes_a_pixel(picture: Image.Image) -> float:
    """Return what a pixel takes in Pillow: 1 byte in modes of one channel, 2 in those of 16 bits, else 4."""
    return 1 if picture.mode in ("1", "L", "P") else 2 if picture.mode.startswith("I;16") else 4


def _orientation(picture: Image.Image) -> int:
    """Return how EXIF says the picture is to be turned. Browsers ask nothing else, so XMP is not asked either."""
    for key in ("xmp", "XML:com.adobe.xmp", "Raw profile type exif"):
        picture.info.pop(key, None)
    return orientation_of(picture)


def orientation_of(picture: Image.Image) -> int:
    """Return how a Pillow picture is to be turned, as a number of EXIF; 1 where that cannot be read."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF does not make the pixels unusable
        return 1
