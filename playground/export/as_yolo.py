"""YOLO, as Ultralytics reads it: pictures, a text file of labels each, data.yaml and classes.txt, in a ZIP."""

import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.classes import NUMBERING
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format, Holds
from playground.export.outlines import box_inside, in_one_piece, outline_inside
from playground.export.spooled import Spooled


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `images/` and, at the end, `labels/`, `data.yaml` and `classes.txt`, in the order of the classes' numbers.

    Whether labels are boxes or outlines is known after the last picture only: in a data set that mixes them,
    Ultralytics reads boxes alone.
    """
    has_outlines, subsets = False, dict[str, None]()
    with open_zip(stream) as archive, Spooled() as spool:
        dataset = Dataset(archive, folder="images", has_subsets=True)
        for entry in dataset.add(pictures):
            has_outlines |= any(region.xyxyxyxy or region.polygons for region in entry.prediction.regions)
            subsets[entry.subset] = None
            path = "/".join(filter(None, ("labels", entry.subset, f"{entry.stem}.txt")))
            spool.add(json.dumps([path, [*_boxes(entry)], [*_outlines(entry)]]) + "\n")
        for path, boxes, outlines in map(json.loads, spool.lines()):
            archive.writestr(path, "".join(f"{line}\n" for line in (outlines if has_outlines else boxes)))
        names = dataset.classes.names
        archive.writestr("classes.txt", "".join(f"{name}\n" for name in names))
        archive.writestr("data.yaml", _settings(names, [*subsets]))
        dataset.add_readme(YOLO.cannot_carry, NUMBERING.format(first=0))


def _boxes(entry: DatasetEntry) -> Iterator[str]:
    """Yield a row for each region: class, center, width and height, as shares of the picture's size."""
    width, height = entry.prediction.resolution_wh
    for region, class_id in zip(entry.prediction.regions, entry.class_ids, strict=True):
        x_min, y_min, x_max, y_max = box_inside(region, (width, height))
        center = (x_min + x_max) / 2 / width, (y_min + y_max) / 2 / height
        yield _row(class_id, (*center, (x_max - x_min) / width, (y_max - y_min) / height))


def _outlines(entry: DatasetEntry) -> Iterator[str]:
    """Yield a row for each region: class and points, of a box its four corners."""
    width, height = entry.prediction.resolution_wh
    for region, class_id in zip(entry.prediction.regions, entry.class_ids, strict=True):
        points = in_one_piece(outline_inside(region, (width, height)))
        yield _row(class_id, (share for x, y in points for share in (x / width, y / height)))


def _row(class_id: int, shares: Iterable[float]) -> str:
    return " ".join((str(class_id), *(f"{share:.6f}" for share in shares)))


def _settings(names: list[str], subsets: list[str]) -> str:
    """Return the settings in YAML, of which JSON is a part. Without `train` and `val`, Ultralytics refuses them."""
    folders = {subset: f"images/{subset}" for subset in subsets if subset}
    parts = {"train": "images", "val": "images"} if not folders else dict.fromkeys(("train", "val"), "images") | folders
    places = "".join(f"{part}: {folder}\n" for part, folder in parts.items())
    return f"nc: {len(names)}\nnames: {json.dumps(names, ensure_ascii=False)}\n{places}"


YOLO = Format(
    "yolo", "YOLO (ZIP)", "zip", "zip", _write,
    "YOLO has no place for scores and for who drew a region, and coordinates have six decimals of the picture's size. "
    "Its readers want boxes alone or outlines alone: where one region of all has an outline or a quad, every row is an "
    "outline, of a box its four corners. The parts of an outline are joined by bridges of no width.",
    suffix="-yolo",
    holds=Holds.REGIONS,
    has_parts=True,
)  # fmt: skip
