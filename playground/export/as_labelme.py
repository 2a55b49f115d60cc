"""LabelMe (wkentaro's, in JSON): pictures and a file of shapes beside each, in a ZIP."""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format, Holds
from playground.export.outlines import box_inside, outline_inside
from playground.export.texts import text_shown

_VERSION = "5.5.0"  # whose keys these are; later versions read them


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write each picture with a JSON file of the same name, as LabelMe opens a folder."""
    with open_zip(stream) as archive:
        dataset = Dataset(archive, folder="")
        for entry in dataset.add(pictures):
            archive.writestr(f"{entry.stem}.json", _content(entry, dataset.classes.names))
        dataset.add_readme(LABELME.cannot_carry)


def _content(entry: DatasetEntry, names: list[str]) -> str:
    width, height = entry.prediction.resolution_wh
    text = text_shown(entry.prediction)
    content: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": [*_shapes(entry, names)],
        "imagePath": entry.file_name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
        **({"text": text} if text else {}),
    }
    return json.dumps(content, ensure_ascii=False, indent=2)


def _shapes(entry: DatasetEntry, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield a rectangle for a box, and a polygon for each part of an outline; the parts of one share a group."""
    size = entry.prediction.resolution_wh
    for number, (region, class_id) in enumerate(zip(entry.prediction.regions, entry.class_ids, strict=True), 1):
        has_outline = bool(region.polygons or region.xyxyxyxy)
        x_min, y_min, x_max, y_max = box_inside(region, size)
        parts = outline_inside(region, size) if has_outline else (((x_min, y_min), (x_max, y_max)),)
        for part in parts:
            yield {
                "label": names[class_id],
                "points": [list(point) for point in part],
                "group_id": number if len(parts) > 1 else None,
                "description": region.text,
                "shape_type": "polygon" if has_outline else "rectangle",
                "flags": {},
                **({} if region.score is None else {"score": region.score}),
                "source": region.source,
            }


LABELME = Format(
    "labelme", "LabelMe (ZIP)", "zip", "zip", _write,
    "LabelMe has no place for scores, for who drew a region and for texts: they are written as the keys score, source "
    "and text, which it keeps and does not show. A quad is a polygon of four points; the parts of an outline are "
    "polygons of one group.",
    suffix="-labelme",
    holds=Holds.REGIONS,
)  # fmt: skip
