"""A prediction as a `sv.DetectionDataset` of one picture, written by one of supervision's writers and zipped."""

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import supervision as sv

from playground.drawing import to_detections
from playground.export.common import Export, png, read_folder, readme, safe_name, zip_files

UNNAMED = "region"
MAX_CLASS_LETTERS = 500

CLASSES = (
    f"Classes are numbered from 0 in the order of the answer; a label without letters becomes “{UNNAMED}”, "
    f"line breaks become spaces, and {MAX_CLASS_LETTERS} letters of a label are kept."
)

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_dataset(
    export: Export,
    save: Callable[[sv.DetectionDataset, Path], None],
    cannot_carry: str,
    **data: Any,
) -> bytes:
    """Let `save` write the dataset into a folder, and return the folder as an archive.

    `data` are arrays of one entry a region, for the writer.
    """
    classes = [class_name(region.label) for region in export.prediction.regions]
    names = list(dict.fromkeys(classes))
    detections = to_detections(export.prediction)
    detections.class_id = np.array([names.index(name) for name in classes], dtype=np.int64)
    detections.data.update(data)
    with TemporaryDirectory() as temporary:
        # OpenCV opens no picture on Windows whose path is not in the system's own code page.
        stem = safe_name(export.name.encode("ascii", "ignore").decode(), fallback="picture")
        picture = Path(temporary, f"{stem}.png")
        picture.write_bytes(png(export.image.pixels))
        folder = Path(temporary, "dataset")
        folder.mkdir()
        save(sv.DetectionDataset(names, [str(picture)], {str(picture): detections}), folder)
        files = read_folder(folder)
    return zip_files({"README.txt": readme(export, f"{cannot_carry} {CLASSES}").encode("utf-8"), **files})


def class_name(label: str) -> str:
    """Return a label as the name of a class, in letters that XML can carry (XML 1.0, production 2)."""
    return " ".join(_NOT_XML.sub("", label[: 2 * MAX_CLASS_LETTERS]).split())[:MAX_CLASS_LETTERS].strip() or UNNAMED
