"""Pascal VOC: an XML file for each picture, whose pixels are counted from 1, and lists of the parts."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeElementTree

from playground.datasets.files import DataFiles, folder_of, join_paths, subset_named
from playground.datasets.formats import FoundSet, holds_part
from playground.datasets.labeled import Labeled, region_of, unusable
from playground.errors import SourceRejected
from playground.regions import Box, Polygon, Region

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element, ParseError
else:
    from xml.etree.ElementTree import ParseError

_TRIED = 3  # files that are looked into, to see whether it is one
_SETS = re.compile(r"(?:^|/)ImageSets/Main/(train|val|test|trainval)\.txt$", re.IGNORECASE)


def find_voc(files: DataFiles) -> FoundSet | None:
    """Return the data set, if there are files of annotations."""
    paths = list(files.ending(".xml"))
    if not any(_root(files, path) is not None for path in paths[:_TRIED]):
        return None
    parts = _parts(files)
    stems = {path.rpartition("/")[2].rpartition(".")[0] for path in paths}

    def subset_of(path: str) -> str:
        stem = path.rpartition("/")[2].rpartition(".")[0]
        folder = subset_named(folder_of(path).rpartition("/")[2])
        return parts.get(stem, folder if folder in ("train", "val", "test") else "")

    def labeled(wanted: str) -> Iterator[Labeled]:
        for path in paths:
            if holds_part(subset := subset_of(path), wanted):
                yield _picture(files, path, subset).checked()
        if left := sorted(stem for stem in parts.keys() - stems if holds_part(parts[stem], wanted)):
            listed = f"{len(left)} listed in ImageSets without a file of annotations, such as {left[0][:200]!r}."
            yield unusable("ImageSets", listed, subset=parts[left[0]], said_by="ImageSets")

    return FoundSet("Pascal VOC", (), tuple(dict.fromkeys(map(subset_of, paths))), labeled)


def _parts(files: DataFiles) -> dict[str, str]:
    """Return the part of each picture that is listed in one."""
    parts: dict[str, str] = {}
    for path in files.ending(".txt"):
        if match := _SETS.search(path):
            for _, line in files.lines(path):
                stem, subset = line.split()[0], subset_named(match[1])
                parts[stem] = parts.get(stem) or subset
    return parts


def _root(files: DataFiles, path: str) -> "Element | None":
    try:
        root: Element = SafeElementTree.fromstring(files.read(path))
    except (ParseError, DefusedXmlException, SourceRejected, ValueError, LookupError):  # of encodings
        return None
    return root if root.tag == "annotation" else None


def _picture(files: DataFiles, path: str, subset: str) -> Labeled:
    root = _root(files, path)
    if root is None:
        return unusable(path, f"{path} is damaged, or no file of annotations.", subset=subset, said_by=path)
    stem = path.rpartition("/")[2].rpartition(".")[0]
    name = (root.findtext("filename") or "").strip() or f"{stem}.jpg"
    regions: list[Region] = []
    ignored: list[Region] = []
    faults: list[str] = []
    for number, element in enumerate(root.findall("object"), start=1):
        label = (element.findtext("name") or "").strip()
        region = region_of(label, _box(element), _polygon(element)) if label else None
        if region is None:
            faults.append(f"Object {number} of {path} has no name, or no box with an area, and was left out.")
        else:
            (ignored if element.findtext("difficult", "0").strip() == "1" else regions).append(region)
    sides = _number(root.findtext("size/width")), _number(root.findtext("size/height"))
    frame = (sides[0], sides[1]) if sides[0] and sides[1] else None
    above = folder_of(folder_of(path))
    near = (join_paths(above, "JPEGImages"), folder_of(path), join_paths(above, "images"))
    return Labeled(
        name, files.find(name, near), tuple(regions), (), None, subset, path, frame, tuple(ignored), tuple(faults)
    )


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None


def _box(element: "Element") -> Box | None:
    x_min, y_min, x_max, y_max = (
        _number(element.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")
    )
    if x_min is None or y_min is None or x_max is None or y_max is None:
        return None
    return x_min - 1, y_min - 1, x_max, y_max  # the first pixel is 1, and the last one belongs to the box


def _polygon(element: "Element") -> list[Polygon]:
    """Return an outline as supervision and Roboflow write it: x1, y1, x2, y2 and so on."""
    points = []
    for number in range(1, 100_000):
        x, y = (_number(element.findtext(f"polygon/{axis}{number}")) for axis in "xy")
        if x is None or y is None:
            break
        points.append((x - 1, y - 1))
    return [tuple(points)]
