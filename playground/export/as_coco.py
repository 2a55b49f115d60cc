"""COCO: pictures, and annotations of regions and of texts, in a ZIP."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.classes import NUMBERING
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format
from playground.export.outlines import box_inside, outline_inside
from playground.export.spooled import SpooledList
from playground.export.texts import text_shown
from playground.regions import polygon_area

_WHOLE = "default"  # what CVAT and Datumaro call the one part of a data set that was not divided


class _Part:
    """The lists of a part of the data set."""

    def __init__(self, stack: ExitStack) -> None:
        self.images = stack.enter_context(SpooledList())
        self.annotations = stack.enter_context(SpooledList())
        self.captions = stack.enter_context(SpooledList())

    def add(self, entry: DatasetEntry) -> None:
        """Add a picture; ids count from 1, as COCO wants."""
        width, height = entry.prediction.resolution_wh
        image_id = self.images.count + 1
        self.images.add_row({"id": image_id, "file_name": entry.file_name, "height": height, "width": width})
        for annotation in _annotations(entry):
            self.annotations.add_row({"id": self.annotations.count + 1, "image_id": image_id, **annotation})
        if text := text_shown(entry.prediction):
            self.captions.add_row({"id": self.captions.count + 1, "image_id": image_id, "caption": text})


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `images/default/`, or a folder for each part, and, at the end, `annotations/`."""
    parts: dict[str, _Part] = {}
    with open_zip(stream) as archive, ExitStack() as stack:
        dataset = Dataset(archive, folder="images", has_subsets=True, whole=_WHOLE)
        for entry in dataset.add(pictures):
            if entry.subset not in parts:
                parts[entry.subset] = _Part(stack)
            parts[entry.subset].add(entry)
        common = {"info": {"description": str(dataset.provenance)}, "licenses": []}
        categories = [
            {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(dataset.classes.names, 1)
        ]
        instances = {**common, "categories": categories}
        for name, part in parts.items():
            of_part = {"images": part.images, "annotations": part.annotations}
            _add_json(archive, f"instances_{name}", instances, of_part)
            if part.captions.count:
                _add_json(archive, f"captions_{name}", common, of_part | {"annotations": part.captions})
        dataset.add_readme(COCO.cannot_carry, NUMBERING.format(first=1))


def _add_json(archive: zipfile.ZipFile, name: str, head: Mapping[str, Any], lists: Mapping[str, SpooledList]) -> None:
    """Add a file of annotations: an object with these values, and with lists that are written as they are read."""
    with archive.open(f"annotations/{name}.json", "w", force_zip64=True) as file:
        file.write(json.dumps(head).encode().removesuffix(b"}"))
        for key, rows in lists.items():
            file.write(f', "{key}": '.encode())
            rows.write(file)
        file.write(b"}")


def _annotations(entry: DatasetEntry) -> Iterator[dict[str, Any]]:
    """Yield what COCO says of each region. pycocotools makes a mask of each, so that a box has its four corners too."""
    size = entry.prediction.resolution_wh
    for region, class_id in zip(entry.prediction.regions, entry.class_ids, strict=True):
        x_min, y_min, x_max, y_max = box_inside(region, size)
        outline = outline_inside(region, size)
        score = {} if region.score is None else {"score": region.score}
        yield {
            "category_id": class_id + 1,
            "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
            "area": sum(map(polygon_area, outline)),
            "segmentation": [[value for point in part for value in point] for part in outline],
            "iscrowd": 0,
            **score,
            "source": region.source,
            **({"text": region.text} if region.text else {}),
        }


COCO = Format(
    "coco", "COCO (ZIP)", "zip", "zip", _write,
    "COCO has no place for scores, for who drew a region, for what was asked about it and for quads: score, source and "
    "text are written as more keys that its readers skip, a quad as a polygon of four points, and so is a box beside "
    "its own key. Captions and read text are in a file of captions beside that of the regions; one of which the model "
    "is not sure is left out.",
    suffix="-coco",
    has_parts=True,
)  # fmt: skip
