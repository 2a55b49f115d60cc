"""Create ML, as Apple's object detectors are trained: pictures and one JSON file of boxes, in a ZIP."""

from typing import Any, BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format, Holds
from playground.export.outlines import box_inside
from playground.export.spooled import SpooledList

_FILE = "_annotations.createml.json"  # the one name that tools look for; Apple takes any


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write the pictures and, at the end, the file with a row for each."""
    with open_zip(stream) as archive, SpooledList() as rows:
        dataset = Dataset(archive, folder="")
        for entry in dataset.add(pictures):
            rows.add_row({"image": entry.file_name, "annotations": _annotations(entry, dataset.classes.names)})
        with archive.open(_FILE, "w", force_zip64=True) as file:
            rows.write(file)
        dataset.add_readme(CREATEML.cannot_carry)


def _annotations(entry: DatasetEntry, names: list[str]) -> list[dict[str, Any]]:
    """Return the boxes by their centers, in pixels."""
    annotations = []
    for region, class_id in zip(entry.prediction.regions, entry.class_ids, strict=True):
        x_min, y_min, x_max, y_max = box_inside(region, entry.prediction.resolution_wh)
        width, height = x_max - x_min, y_max - y_min
        center = {"x": x_min + width / 2, "y": y_min + height / 2}
        annotations.append({"label": names[class_id], "coordinates": {**center, "width": width, "height": height}})
    return annotations


CREATEML = Format(
    "createml", "Create ML (ZIP)", "zip", "zip", _write,
    "Create ML holds boxes and their labels alone: no outlines and quads, of which it has the boxes, no scores, no "
    "texts, and not who drew a region.",
    suffix="-createml",
    holds=Holds.REGIONS,
)  # fmt: skip
