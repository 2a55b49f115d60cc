"""hOCR: what was read as a web page whose elements say where they stand (hOCR 1.2)."""

from typing import IO, BinaryIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import escape, quoteattr

from playground.export.annotated import CheckedPictures
from playground.export.documents import Document, Page, write_documents
from playground.export.files import provenance
from playground.export.format import Format, Holds
from playground.export.texts import for_xml
from playground.reading_order import TextLine, paragraphs
from playground.regions import Quad

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<title>{title}</title>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8"/>
<meta name="ocr-system" content={system}/>
<meta name="ocr-langs" content="unknown"/>
<meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrp_wconf"/>
</head>
<body>
"""


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write UTF-8, one file a document."""
    write_documents(pictures, stream, "hocr", _write_document)


def _write_document(document: Document, file: IO[bytes]) -> None:
    for index, page in enumerate(document.pages):
        if index == 0:
            system = quoteattr(for_xml(provenance(page.picture.prediction)))
            file.write(_HEAD.format(title=escape(for_xml(document.name)), system=system).encode("utf-8", "replace"))
        file.write((_page(page, index) + "\n").encode("utf-8", "replace"))
    file.write(b"</body>\n</html>\n")


def _page(page: Page, index: int) -> str:
    width, height = page.resolution_wh
    number = index + 1
    image = for_xml(page.picture.stem).replace('"', "'").replace(";", ",")
    title = f'image "{image}"; bbox 0 0 {width} {height}; ppageno {index}'
    root = Element("div", {"class": "ocr_page", "id": f"page_{number}", "title": title})
    for note in filter(None, (page.note, for_xml(page.text))):
        SubElement(root, "p").text = note
    for place, block in enumerate(paragraphs(page.lines), start=1):
        box = {"title": _bbox([line.xyxyxyxy for line in block], page)}
        area = SubElement(root, "div", {"class": "ocr_carea", "id": f"block_{number}_{place}", **box})
        paragraph = SubElement(area, "p", {"class": "ocr_par", "id": f"par_{number}_{place}", **box})
        for line in block:
            _add_line(paragraph, line, page)
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode")


def _add_line(paragraph: Element, line: TextLine, page: Page) -> None:
    turned = f"; textangle {-line.angle + 0.0:g}" if line.turn else ""  # hOCR turns counterclockwise
    corrected = {"data-corrected": "true"} if page.is_corrected(line) else {}
    title = _bbox([line.xyxyxyxy], page) + turned
    element = SubElement(paragraph, "span", {"class": "ocr_line", "title": title, **corrected})
    score = "" if line.score is None else f"; x_wconf {100 * line.score:.0f}"
    for word in line.words:
        place = {"class": "ocrx_word", "title": _bbox([word.xyxyxyxy], page) + score}
        SubElement(element, "span", place).text = for_xml(word.text)


def _bbox(quads: list[Quad], page: Page) -> str:
    """Return the box around quads in whole pixels inside the page."""
    width, height = page.resolution_wh
    xs = [min(max(round(value), 0), width) for quad in quads for value in quad[::2]]
    ys = [min(max(round(value), 0), height) for quad in quads for value in quad[1::2]]
    return f"bbox {min(xs)} {min(ys)} {max(xs)} {max(ys)}"


HOCR = Format(
    "hocr", "hOCR", "hocr", "zip", _write,
    "hOCR holds boxes in whole pixels, the angle of what is turned, and the score of a line for each of its words, "
    "whose places within the line are reckoned. That a person corrected a line stands in a data- attribute, which "
    "readers skip. A text without a place, such as a caption, is a paragraph without one.",
    has_pixels=False,
    is_document=True,
    holds=Holds.PLACED_TEXT,
)  # fmt: skip
