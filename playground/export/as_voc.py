"""Pascal VOC: pictures and an XML file each, in a ZIP."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from playground.export.annotated import CheckedPictures
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format, Holds
from playground.export.outlines import box_inside, in_one_piece, outline_inside
from playground.regions import Polygon, Region

_PICTURES = "JPEGImages"  # the devkit's name, whatever the kind of the pictures
_WHOLE = "trainval"


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `JPEGImages/`, `Annotations/` and `ImageSets/Main/`, the folders of the Pascal VOC devkit.

    `dataset_meta.json` names the classes for Datumaro, which knows only the twenty of VOC otherwise.
    """
    stems: dict[str, list[str]] = {}  # by part
    with open_zip(stream) as archive:
        dataset = Dataset(archive, folder=_PICTURES, whole=_WHOLE)
        for entry in dataset.add(pictures):
            archive.writestr(f"Annotations/{entry.stem}.xml", _xml(entry, dataset.classes.names))
            stems.setdefault(entry.subset, []).append(entry.stem)
        for subset, some in stems.items():
            archive.writestr(f"ImageSets/Main/{subset}.txt", "".join(f"{stem}\n" for stem in some))
        archive.writestr("dataset_meta.json", json.dumps({"labels": dataset.classes.names}))
        dataset.add_readme(VOC.cannot_carry)


def _xml(entry: DatasetEntry, names: list[str]) -> str:
    width, height = entry.prediction.resolution_wh
    root = Element("annotation")
    _fill(root, {"folder": _PICTURES, "filename": entry.file_name})
    by = "Florence-2 Playground"
    _fill(SubElement(root, "source"), {"database": by, "annotation": by, "image": "unknown"})
    _fill(SubElement(root, "size"), {"width": width, "height": height, "depth": 3})
    _fill(root, {"segmented": 0})
    for region, class_id in zip(entry.prediction.regions, entry.class_ids, strict=True):
        root.append(_object(region, names[class_id], (width, height)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode") + "\n"


def _object(region: Region, name: str, resolution_wh: tuple[int, int]) -> Element:
    element = Element("object")
    _fill(element, {"name": name, "pose": "Unspecified", "truncated": 0, "difficult": 0})
    x_min, x_max, y_min, y_max = _pixels(region, resolution_wh)
    _fill(SubElement(element, "bndbox"), {"xmin": x_min, "ymin": y_min, "xmax": x_max, "ymax": y_max})
    if region.polygons or region.xyxyxyxy:
        _fill(SubElement(element, "polygon"), _points(in_one_piece(outline_inside(region, resolution_wh))))
    return element


def _pixels(region: Region, resolution_wh: tuple[int, int]) -> Iterator[int]:
    """Yield the first and the last column and row of the box, counted from 1, of at least one pixel in the picture."""
    x_min, y_min, x_max, y_max = box_inside(region, resolution_wh)
    for low, high, extent in ((x_min, x_max, resolution_wh[0]), (y_min, y_max, resolution_wh[1])):
        first = min(math.floor(low + 0.5) + 1, extent)
        yield first
        yield max(first, math.floor(high + 0.5))


def _points(polygon: Polygon) -> dict[str, float]:
    """Return corners as supervision and Roboflow write them, counted from 1 like the pixels."""
    return {
        f"{axis}{number}": round(value + 1, 3)
        for number, point in enumerate(polygon, 1)
        for axis, value in zip("xy", point, strict=True)
    }


def _fill(parent: Element, fields: Mapping[str, str | float]) -> None:
    for name, value in fields.items():
        SubElement(parent, name).text = str(value)


VOC = Format(
    "voc", "Pascal VOC (ZIP)", "zip", "zip", _write,
    "Pascal VOC has no place for scores and for who drew a region, and its boxes hold whole pixels, counted from 1. "
    "Outlines and quads are written beside the boxes as supervision and Roboflow read them, their parts joined by "
    "bridges of no width; other readers see the boxes. Pose, truncated and difficult were not judged.",
    suffix="-voc",
    holds=Holds.REGIONS,
    has_parts=True,
)  # fmt: skip
