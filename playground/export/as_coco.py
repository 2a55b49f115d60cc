"""COCO: pictures, and annotations of regions and of texts, in a ZIP."""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.classes import NUMBERING
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format
from playground.export.outlines import box_inside, outline_inside
from playground.export.texts import text_shown
from playground.regions import polygon_area

_SUBSET = "default"  # what CVAT and Datumaro call the one part of a data set that was not divided

_Rows = list[dict[str, Any]]


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `images/default/` and, at the end, `annotations/`; ids count from 1, as COCO wants."""
    images: _Rows = []
    annotations: _Rows = []
    captions: _Rows = []
    with open_zip(stream) as archive:
        dataset = Dataset(archive, folder=f"images/{_SUBSET}")
        for entry in dataset.add(pictures):
            width, height = entry.prediction.resolution_wh
            image_id = len(images) + 1
            images.append({"id": image_id, "file_name": entry.file_name, "height": height, "width": width})
            for annotation in _annotations(entry):
                annotations.append({"id": len(annotations) + 1, "image_id": image_id, **annotation})
            if text := text_shown(entry.prediction):
                captions.append({"id": len(captions) + 1, "image_id": image_id, "caption": text})
        common = {"info": {"description": str(dataset.provenance)}, "licenses": [], "images": images}
        categories = [
            {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(dataset.classes.names, 1)
        ]
        instances = {**common, "categories": categories, "annotations": annotations}
        archive.writestr(f"annotations/instances_{_SUBSET}.json", json.dumps(instances))
        if captions:
            archive.writestr(f"annotations/captions_{_SUBSET}.json", json.dumps({**common, "annotations": captions}))
        dataset.add_readme(COCO.cannot_carry, NUMBERING.format(first=1))


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
        }


COCO = Format(
    "coco", "COCO (ZIP)", "zip", "zip", _write,
    "COCO has no place for scores, for who drew a region and for quads: score and source are written as two more keys "
    "that its readers skip, a quad as a polygon of four points, and so is a box beside its own key. Captions and read "
    "text are in a file of captions beside that of the regions; one of which the model is not sure is left out.",
    suffix="-coco",
)  # fmt: skip
