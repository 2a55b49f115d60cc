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
_VIDEO, _ZIP = "a video", "a ZIP archive or an Office document"
_FOR_MANY = "A video, and a ZIP of pictures, can be asked about on the page Many pictures."
_OTHER_KINDS = (  # where in the file, which bytes, and what it is then
    (0, b"8BPS", "a Photoshop document"),
    (0, b"gimp xcf", "a GIMP document"),
    (0, b"\x00\x00\x00\x0cjP", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"\x00\x00\x00\x0cJXL", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"II\xbc", "a JPEG XR picture"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"\x00\x00\x02\x00\x01\x00", "a cursor"),
    (0, b"icns", "an icon of macOS"),
    (0, b"qoif", "a QOI picture"),
    *((0, b"P%c" % kind, "a Netpbm picture (PBM, PGM, PPM, PAM or PFM)") for kind in b"1234567Ff"),
    (0, b"#?RADIANCE", "a Radiance picture (HDR)"),
    (0, b"#?RGBE", "a Radiance picture (HDR)"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"\xabKTX ", "a KTX texture"),
    (0, b"BLP", "a BLP texture"),
    (-18, b"TRUEVISION-XFILE", "a TGA picture"),
    (0, b"\x00\x00\x02\x00\x00\x00\x00\x00", "a TGA picture"),
    (0, b"\x00\x00\x0a\x00\x00\x00\x00\x00", "a TGA picture"),
    (0, b"\x0a\x05\x01", "a PCX picture"),
    (0, b"\x01\xda", "an SGI picture"),
    (0, b"\x59\xa6\x6a\x95", "a Sun raster picture"),
    (0, b"/* XPM */", "an XPM picture"),
    (0, b"#define ", "an XBM picture, or a program"),
    (0, b"SDPX", "a DPX picture"),
    (0, b"XPDS", "a DPX picture"),
    (0, b"FLIF", "a FLIF picture"),
    (0, b"BPG\xfb", "a BPG picture"),
    (0, b"\x8aMNG", "an MNG animation"),
    (0, b"\x8bJNG", "a JNG picture"),
    (0, b"AT&TFORM", "a DjVu document"),
    (8, b"ILBM", "an ILBM picture"),
    (128, b"DICM", "a medical picture (DICOM)"),
    (0, b"SIMPLE  =", "a picture of astronomers (FITS)"),
    (0, b"%!PS", "a PostScript drawing"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript drawing"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (40, b" EMF", "a Windows metafile"),
    (0, b"\x93NUMPY", "an array of NumPy"),
    (0, b"PK\x03\x04", _ZIP),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
    (0, b"{\\rtf", "a text document"),
    (0, b"\x1f\x8b", "a compressed file (gzip)"),
    (0, b"\x1a\x45\xdf\xa3", _VIDEO),
    (8, b"AVI ", _VIDEO),
    (8, b"WAVE", "a sound"),
    (0, b"ID3", "a sound"),
)
_TEXT_KINDS = ((b"<svg", "an SVG drawing"), (b"<html", "a web page"), (b"<!doctype html", "a web page"))
_BOXED_PICTURES = (b"avif", b"avis", *_HEIC_BRANDS, b"hevm", b"hevs", b"jpeg", b"miaf")
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
    return f"Accepted are {', '.join(kind.title for kind in accepted_kinds())} and PDF."


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
    other = next((kind for at, mark, kind in _OTHER_KINDS if data[at:].startswith(mark)), "") or _text_or_video(data)
    if other:
        elsewhere = f" {_FOR_MANY}" if other in (_VIDEO, _ZIP) else ""
        return f"This file is {other}. {accepted_sentence()}{elsewhere}"
    return f"This file is no picture of a kind that is known here, or it is damaged or cut short. {accepted_sentence()}"


def _text_or_video(data: bytes) -> str:
    head = data[:4000].lower()
    if data[4:8] == b"ftyp":
        is_picture = data[8:12] in _BOXED_PICTURES
        return (
            "an AVIF or HEIC picture that is damaged, cut short, or of a kind that is not read here"
            if is_picture
            else _VIDEO
        )
    return next((kind for mark, kind in _TEXT_KINDS if mark in head), "")


def raw_sentence(kind: str) -> str:
    """Return the sentence about a raw file of a camera, named by its kind or its maker."""
    name = f" ({kind.strip()})" if kind.strip() else ""
    return (
        f"This is a raw file of a camera{name}: what the sensor saw, and not yet a picture. Develop it in the camera's "
        "or a photo program, save it as JPEG, and try that."
    )
