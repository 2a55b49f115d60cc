"""COCO: objects with boxes, polygons or run lengths, and captions. Each file of annotations is a part."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from playground.datasets.files import DataFiles, folder_of, join_paths, subset_named
from playground.datasets.formats import FoundSet, holds_part
from playground.datasets.labeled import FrameSize, Labeled, region_of, unusable
from playground.errors import SourceRejected
from playground.regions import MAX_TEXT, Box, Polygon, Region

_MAX_TRIED = 50  # files of JSON that are looked into
_MAX_MASK_PIXELS = 50_000_000
_MAX_ALL_MASK_PIXELS = 20_000_000_000  # of a part: some seconds, for all of COCO's crowds a thousandth
_OTHERS = ("person_keypoints_", "stuff_", "panoptic_", "image_info")  # files beside those that are read
_MARK = b'"annotations"'


def find_coco(files: DataFiles) -> FoundSet | None:
    """Return the data set, if there is a file of annotations."""
    parts: dict[str, list[str]] = {}
    classes: dict[str, None] = {}
    for path in list(files.ending(".json"))[:_MAX_TRIED]:
        if not _name_of(path).startswith(_OTHERS) and (content := _content(files, path)):
            parts.setdefault(_subset_of(path), []).append(path)
            classes |= dict.fromkeys(_categories(content).values())
    if not parts:
        return None

    def labeled(wanted: str) -> Iterator[Labeled]:
        for subset, paths in parts.items():
            if holds_part(subset, wanted):
                yield from _Part(files, subset, paths).labeled()

    return FoundSet("COCO", tuple(classes), tuple(parts), labeled)


def _name_of(path: str) -> str:
    return path.rpartition("/")[2].lower()


def _subset_of(path: str) -> str:
    """Return the part that a file is about: `instances_val2017.json`, or `train/_annotations.coco.json`."""
    stem = _name_of(path).partition(".")[0].strip("_")
    for begin in ("instances_", "captions_", "annotations_"):
        stem = stem.removeprefix(begin)
    subset = subset_named(stem)
    return subset if subset in ("train", "val", "test") else subset_named(folder_of(path).rpartition("/")[2])


def _content(files: DataFiles, path: str) -> dict[str, Any] | None:
    """Return what is in a file of annotations; None where it is none."""
    try:
        data = files.read(path)
        content = json.loads(data) if _MARK in data and b'"images"' in data else None
    except (SourceRejected, ValueError, RecursionError):
        return None
    is_one = isinstance(content, dict) and all(isinstance(content.get(key), list) for key in ("images", "annotations"))
    return content if is_one else None


def _categories(content: Mapping[str, Any]) -> dict[Any, str]:
    return {row["id"]: str(row["name"]).strip()[:MAX_TEXT] for row in _category_rows(content)}


def _category_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is listed as a category and can be one."""
    rows = content.get("categories")
    return [
        row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and isinstance(row.get("id"), int | str) and row.get("name")
    ]


class _Part:
    """The pictures of one part, of which several files may say something: objects in one and captions in another."""

    def __init__(self, files: DataFiles, subset: str, paths: Sequence[str]) -> None:
        self._files = files
        self._subset = subset
        self._pictures: dict[str, list[tuple[str, dict[str, Any], list[dict[str, Any]]]]] = {}
        self._categories: dict[str, dict[Any, str]] = {}
        self._faults: list[Labeled] = []
        self._mask_pixels = _MAX_ALL_MASK_PIXELS
        for path in paths:
            self._take(path, _content(files, path) or {"images": [], "annotations": []})

    def labeled(self) -> Iterator[Labeled]:
        yield from self._faults
        for name, said in self._pictures.items():
            yield self._picture(name, said).checked()

    def _take(self, path: str, content: Mapping[str, Any]) -> None:
        self._categories[path] = _categories(content)
        if len(self._categories[path]) < len(_category_rows(content)):
            self._add_fault(path, "Several categories have the same id, of which the last one was taken.")
        by_image: dict[Any, list[dict[str, Any]]] = {}
        for row in content["annotations"]:
            image = row.get("image_id") if isinstance(row, dict) else None
            by_image.setdefault(image if isinstance(image, int | str) else None, []).append(row)
        ids = set[int | str]()
        for number, row in enumerate(content["images"], start=1):
            name = row.get("file_name") if isinstance(row, dict) else None
            if not isinstance(name, str) or not isinstance(row.get("id"), int | str):
                self._add_fault(path, f"The picture {number} has no file_name, or no id.")
                continue
            if row["id"] in ids:
                self._add_fault(path, f"The picture {number}, {name[:200]!r}, has the id of another one.")
                continue
            ids.add(row["id"])
            annotations = by_image.pop(row["id"], [])
            self._pictures.setdefault(name, []).append((path, row, annotations))
        if left := sum(map(len, by_image.values())):
            self._add_fault(path, f"{left} annotations are of pictures that the file does not list.")

    def _add_fault(self, path: str, problem: str) -> None:
        self._faults.append(unusable(path, problem, subset=self._subset, said_by=path))

    def _picture(self, name: str, said: Sequence[tuple[str, dict[str, Any], list[dict[str, Any]]]]) -> Labeled:
        faults: list[str] = []
        regions: list[Region] = []
        ignored: list[Region] = []
        texts: list[str] = []
        sides = [(_side(row.get("width")), _side(row.get("height"))) for _, row, _ in said]
        frame = next(((width, height) for width, height in sides if width and height), None)
        for path, _, annotations in said:
            for annotation in annotations:
                if "caption" in annotation:
                    texts.append(str(annotation["caption"])[:MAX_TEXT].strip())
                elif region := self._region(path, annotation, frame, faults):
                    is_crowd = str(annotation.get("iscrowd")).lower() in ("1", "true")
                    (ignored if is_crowd else regions).append(region)
        path = said[0][0]
        here, part = folder_of(path), path.rpartition("/")[2].partition(".")[0].rpartition("_")[2]
        above = folder_of(here)
        near = (here, join_paths(above, "images", part), join_paths(above, part), join_paths(above, "images"), above)
        return Labeled(
            name, self._files.find(name, near), tuple(regions), tuple(filter(None, texts)), None, self._subset, path,
            frame, tuple(ignored), tuple(faults),
        )  # fmt: skip

    def _region(
        self, path: str, annotation: Mapping[str, Any], frame: FrameSize | None, faults: list[str]
    ) -> Region | None:
        number = annotation.get("id", "without an id")
        category = annotation.get("category_id")
        label = self._categories[path].get(category) if isinstance(category, int | str) else None
        if label is None:
            faults.append(
                f"Annotation {number} is of category {str(category)[:40]}, which {path} does not "
                "have, and was left out."
            )
            return None
        drawn = annotation.get("segmentation")
        is_of_another = isinstance(drawn, dict) and frame and drawn.get("size") != [frame[1], frame[0]]
        parts = [] if is_of_another else self._outline(drawn)
        text = annotation.get("text")
        box = _box(annotation.get("bbox")) or (_box_around(parts) if isinstance(drawn, dict) else None)
        region = region_of(label, box, parts, text=text if isinstance(text, str) else "")
        if region is None:
            faults.append(f"Annotation {number} has no box with an area, and was left out.")
        elif max(region.xyxy[2] - region.xyxy[0], region.xyxy[3] - region.xyxy[1]) < 1:
            faults.append(f"Annotation {number} is smaller than a pixel, in which COCO counts, and was left out.")
            return None
        elif is_of_another:
            faults.append(f"The outline of annotation {number} is for a picture of another size; its box was taken.")
        elif drawn and not parts:
            faults.append(f"Annotation {number} has no outline with an area; its box was taken.")
        return region

    def _outline(self, value: Any) -> list[Polygon]:
        """Return the parts of an outline: of polygons as they are, of run lengths as they are drawn."""
        if isinstance(value, dict):
            self._mask_pixels -= _num_pixels(value)
            return _outline_of_runs(value) if self._mask_pixels >= 0 else []
        if not isinstance(value, list):
            return []
        flat = [part for part in value if isinstance(part, list) and len(part) >= 6 and all(map(_is_number, part))]
        return [tuple((float(x), float(y)) for x, y in zip(part[::2], part[1::2], strict=False)) for part in flat]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _side(value: Any) -> float | None:
    return float(value) if _is_number(value) and value >= 1 else None


def _box(value: Any) -> Box | None:
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        return None
    x, y, width, height = map(float, value)
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def _box_around(parts: Sequence[Polygon]) -> Box | None:
    """Return the box of run lengths, whose outline goes through the centers of pixels."""
    xs, ys = [x for part in parts for x, _ in part], [y for part in parts for _, y in part]
    return (min(xs) - 0.5, min(ys) - 0.5, max(xs) + 0.5, max(ys) + 0.5) if xs else None


def _num_pixels(value: Mapping[str, Any]) -> int:
    size = value.get("size")
    is_one = isinstance(size, list) and len(size) == 2 and all(map(_side, size))
    return int(size[0]) * int(size[1]) if isinstance(size, list) and is_one else 0


def _outline_of_runs(value: Mapping[str, Any]) -> list[Polygon]:
    counts = value.get("counts")
    if not 0 < _num_pixels(value) <= _MAX_MASK_PIXELS or not isinstance(counts, list | str):
        return []
    import supervision as sv

    try:
        mask = sv.rle_to_mask(counts, (int(value["size"][1]), int(value["size"][0])))
    except (ValueError, TypeError, IndexError, OverflowError):
        return []
    # A contour goes through the centers of pixels, of which half belongs to the thing as well.
    outlines = sv.mask_to_polygons(np.ascontiguousarray(mask))
    return [tuple((float(x) + 0.5, float(y) + 0.5) for x, y in outline) for outline in outlines]
