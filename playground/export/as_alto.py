"""ALTO 4.4 (Library of Congress): what was read in XML, as libraries and archives keep it."""

from typing import IO, BinaryIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import escape

from playground.export.annotated import CheckedPictures
from playground.export.documents import Document, Page, write_documents
from playground.export.files import provenance
from playground.export.format import Format, Holds
from playground.export.texts import for_xml
from playground.reading_order import TextLine, paragraphs
from playground.regions import Quad

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#" SCHEMAVERSION="4.4">
<Description>
<MeasurementUnit>pixel</MeasurementUnit>
<sourceImageInformation><fileName>{name}</fileName></sourceImageInformation>
<Processing ID="reading">
<processingCategory>contentGeneration</processingCategory>
<processingStepDescription>{answered}</processingStepDescription>
<processingSoftware><softwareName>Florence-2 Playground</softwareName></processingSoftware>
</Processing>
</Description>
<Layout>
"""


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write UTF-8, one file a document."""
    write_documents(pictures, stream, "xml", _write_document)


def _write_document(document: Document, file: IO[bytes]) -> None:
    for index, page in enumerate(document.pages):
        if index == 0:
            answered = escape(for_xml(provenance(page.picture.prediction)))
            head = _HEAD.format(name=escape(for_xml(document.name)), answered=answered)
            file.write(head.encode("utf-8", "replace"))
        file.write(_page(page, index + 1).encode("utf-8", "replace"))
    file.write(b"</Layout>\n</alto>\n")


def _page(page: Page, number: int) -> str:
    width, height = page.resolution_wh
    notes = " ".join(filter(None, (page.note, "" if not page.text else "What was read has no places.")))
    detail = {"QUALITY_DETAIL": notes} if notes else {}
    size = {"WIDTH": str(width), "HEIGHT": str(height)}
    root = Element("Page", {"ID": f"page{number}", "PHYSICAL_IMG_NR": str(page.number), **size, **detail})
    space = SubElement(root, "PrintSpace", {"HPOS": "0", "VPOS": "0", **size})
    for place, block in enumerate(paragraphs(page.lines), start=1):
        turned = {"ROTATION": f"{-block[0].angle + 0.0:g}"} if block[0].turn else {}  # ALTO turns counterclockwise
        around = _place([line.xyxyxyxy for line in block], page)
        element = SubElement(space, "TextBlock", {"ID": f"block{number}.{place}", **around, **turned})
        for line in block:
            _add_line(element, line, page)
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode") + "\n"


def _add_line(block: Element, line: TextLine, page: Page) -> None:
    corrected = {"CS": "true"} if page.is_corrected(line) else {}
    element = SubElement(block, "TextLine", {**_place([line.xyxyxyxy], page), **corrected})
    if line.turn:
        points = " ".join(f"{value:.2f}" for value in line.xyxyxyxy)
        SubElement(SubElement(element, "Shape"), "Polygon", POINTS=points)
    score = {} if line.score is None else {"WC": f"{line.score:.4f}"}
    for index, word in enumerate(line.words):
        if index:
            SubElement(element, "SP")
        SubElement(element, "String", {"CONTENT": for_xml(word.text), **_place([word.xyxyxyxy], page), **score})


def _place(quads: list[Quad], page: Page) -> dict[str, str]:
    """Return the box around quads inside the page."""
    width, height = page.resolution_wh
    xs = [min(max(value, 0), width) for quad in quads for value in quad[::2]]
    ys = [min(max(value, 0), height) for quad in quads for value in quad[1::2]]
    numbers = {"HPOS": min(xs), "VPOS": min(ys), "WIDTH": max(xs) - min(xs), "HEIGHT": max(ys) - min(ys)}
    return {name: f"{value:.2f}" for name, value in numbers.items()}


ALTO = Format(
    "alto", "ALTO (XML)", "xml", "zip", _write,
    "ALTO holds boxes, the angle of a block that is turned with the outlines of its lines, the score of a line for "
    "each of its words, whose places within the line are reckoned, and which lines a person corrected. A text without "
    "a place, such as a caption, is not in it, which the page's QUALITY_DETAIL says.",
    suffix="-alto",
    has_pixels=False,
    is_document=True,
    holds=Holds.PLACED_TEXT,
)  # fmt: skip
