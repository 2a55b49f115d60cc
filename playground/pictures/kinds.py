"""Which kinds of file are accepted, by their content, and what others are called."""

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that is accepted: its name for people, Pillow's name, and the usual extensions."""

    title: str
    pillow_name: str
    extensions: tuple[str, ...]


FILE_KINDS = (
    FileKind("JPEG", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif")),
    FileKind("PNG", "PNG", (".png", ".apng")),
    FileKind("WebP", "WEBP", (".webp",)),
    FileKind("AVIF", "AVIF", (".avif",)),
    FileKind("GIF", "GIF", (".gif",)),
    FileKind("BMP", "BMP", (".bmp",)),
    FileKind("TIFF", "TIFF", (".tif", ".tiff")),
)
HEIC = FileKind("HEIC", "HEIF", (".heic", ".heif", ".hif"))  # accepted where pillow-heif is installed

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_OTHER_KINDS = (
    (b"%PDF", "a PDF document"),
    (b"<svg", "an SVG drawing"),
    (b"<html", "a web page"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000 picture"),
    (b"\x00\x00\x00\x0cJXL", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\x1a\x45\xdf\xa3", "a video"),
)
_ACCEPTED_MARKS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_RAW_KINDS = (  # those that are no TIFF
    (b"IIU\0", "RW2"),
    (b"IIRO", "ORF"),
    (b"IIRS", "ORF"),
    (b"MMOR", "ORF"),
    (b"FUJIFILMCCD-RAW", "RAF"),
    (b"FOVb", "X3F"),
)


def accepted_kinds() -> tuple[FileKind, ...]:
    """Return the kinds of file that can be read here."""
    return (*FILE_KINDS, HEIC) if _heic_is_readable() else FILE_KINDS


def accepted_extensions() -> list[str]:
    """Return the extensions of the accepted formats, each with its dot. Files are read by content all the same."""
    return [extension for kind in accepted_kinds() for extension in kind.extensions]


def accepted_sentence() -> str:
    """Return which formats are accepted, as a sentence for people."""
    *titles, last = (kind.title for kind in accepted_kinds())
    return f"Accepted are {', '.join(titles)} and {last}."


@cache
def _heic_is_readable() -> bool:
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def name_the_kind(data: bytes) -> str:
    """Return the sentence about a file that is no accepted picture: what it is, as far as its first bytes tell."""
    head = data[:1000].lower()
    if data[4:12] in [b"ftyp" + brand for brand in _HEIC_BRANDS] and not _heic_is_readable():
        return f"This is a HEIC picture: install pillow-heif to read it, or save it as JPEG. {accepted_sentence()}"
    raw = "CR3" if data[4:12] == b"ftypcrx " else next((kind for mark, kind in _RAW_KINDS if data.startswith(mark)), "")
    if raw:
        return raw_sentence(raw)
    for mark, kind in _ACCEPTED_MARKS:
        if data.startswith(mark):
            return (
                f"This {kind} is damaged, cut short, or of a kind that is not read here. "
                "Save it again as PNG or plain JPEG, and try that."
            )
    for mark, kind in _OTHER_KINDS:
        if data.startswith(mark) or (mark.startswith(b"<") and mark in head):
            return f"This file is {kind}. {accepted_sentence()}"
    return f"This file is not a picture, or it is damaged or cut short. {accepted_sentence()}"


def raw_sentence(kind: str) -> str:
    """Return the sentence about a raw file of a camera, named by its kind or its maker."""
    name = f" ({kind.strip()})" if kind.strip() else ""
    return (
        f"This is a raw file of a camera{name}: what the sensor saw, and not yet a picture. Develop it in the camera's "
        "or a photo program, save it as JPEG, and try that."
    )
