"""CVAT for images 1.1: pictures and one XML file, in a ZIP."""

from collections.abc import Iterator
from typing import IO, BinaryIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from playground.export.annotated import CheckedPictures
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format, Holds
from playground.export.outlines import box_inside, outline_inside
from playground.export.spooled import Spooled
from playground.regions import Region

_SOURCES = {"model": "auto", "edited": "semi-auto", "added": "manual"}


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `images/` and, at the end, `annotations.xml`, which begins with the labels of all pictures."""
    with open_zip(stream) as archive, Spooled() as images:
        dataset = Dataset(archive, folder="images")
        for entry in dataset.add(pictures):
            images.add(_image(entry, images.count, dataset.classes.names))
        with archive.open("annotations.xml", "w", force_zip64=True) as file:
            _write_annotations(file, images, dataset.classes.names)
        dataset.add_readme(CVAT.cannot_carry)


def _write_annotations(file: IO[bytes], images: Spooled, names: list[str]) -> None:
    file.write(b"<?xml version='1.0' encoding='utf-8'?>\n<annotations>\n<version>1.1</version>\n")
    file.write(_meta(names, images.count).encode())
    images.write(file)
    file.write(b"</annotations>\n")


def _meta(names: list[str], size: int) -> str:
    meta = Element("meta")
    task = SubElement(meta, "task")
    for field, value in (("name", "Florence-2 Playground"), ("size", str(size)), ("mode", "annotation")):
        SubElement(task, field).text = value
    labels = SubElement(task, "labels")
    for name in names:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = name
        attribute = SubElement(SubElement(label, "attributes"), "attribute")
        for field, value in (("name", "score"), ("mutable", "False"), ("input_type", "text")):
            SubElement(attribute, field).text = value
        for field in ("default_value", "values"):
            SubElement(attribute, field)
    return _xml(meta)


def _image(entry: DatasetEntry, number: int, names: list[str]) -> str:
    width, height = map(str, entry.prediction.resolution_wh)
    image = Element("image", id=str(number), name=entry.file_name, width=width, height=height)
    for group, (region, class_id) in enumerate(zip(entry.prediction.regions, entry.class_ids, strict=True), 1):
        image.extend(_shapes(region, names[class_id], group, entry.prediction.resolution_wh))
    return _xml(image)


def _shapes(region: Region, name: str, group: int, resolution_wh: tuple[int, int]) -> Iterator[Element]:
    """Yield a box, or a polygon for each part of an outline; the parts of one share a group."""
    common = {"label": name, "source": _SOURCES[region.source], "occluded": "0", "z_order": "0"}
    if region.polygons or region.xyxyxyxy:
        parts = outline_inside(region, resolution_wh)
        groups = {"group_id": str(group)} if len(parts) > 1 else {}
        shapes = [Element("polygon", {**common, **groups, "points": _points(part)}) for part in parts]
    else:
        corners = zip(("xtl", "ytl", "xbr", "ybr"), map(_number, box_inside(region, resolution_wh)), strict=True)
        shapes = [Element("box", {**common, **dict(corners)})]
    for shape in shapes:
        if region.score is not None:
            SubElement(shape, "attribute", name="score").text = f"{region.score:.4f}"
        yield shape


def _points(polygon: tuple[tuple[float, float], ...]) -> str:
    return ";".join(f"{_number(x)},{_number(y)}" for x, y in polygon)


def _number(value: float) -> str:
    return f"{value:.2f}"  # as CVAT writes


def _xml(element: Element) -> str:
    ElementTree.indent(element)
    return ElementTree.tostring(element, "unicode") + "\n"


CVAT = Format(
    "cvat", "CVAT for images (ZIP)", "zip", "zip", _write,
    "CVAT has no place for captions. Scores are an attribute of each label, which its task must have to keep them; who "
    "drew a region is its source: auto, semi-auto or manual. Coordinates have two decimals, a quad is a polygon of "
    "four points, and the parts of an outline are polygons of one group.",
    suffix="-cvat",
    holds=Holds.REGIONS,
)  # fmt: skip
