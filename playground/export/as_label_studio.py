"""Label Studio: pictures, tasks with predictions, and the labeling interface that they need, in a ZIP."""

from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from playground.export.annotated import CheckedPictures
from playground.export.dataset import Dataset, DatasetEntry
from playground.export.files import open_zip
from playground.export.format import Format, Holds
from playground.export.outlines import box_inside, in_one_piece, outline_inside
from playground.export.spooled import SpooledList
from playground.export.texts import text_shown
from playground.regions import Region

_READ_TEXT = "text"  # the label of what was read, whose words stand in a field of their own
_ORIGINS = {"model": "prediction", "edited": "prediction-changed", "added": "manual"}
_HOW_TO = (
    "To load it: unpack this archive into a folder, start Label Studio with LOCAL_FILES_SERVING_ENABLED=true and "
    "LOCAL_FILES_DOCUMENT_ROOT=that folder, make a project whose labeling interface is the content of label_config.xml"
    ", add the folder as local storage, and import tasks.json."
)


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write `images/` and, at the end, `tasks.json` and `label_config.xml`."""
    named: set[int] = set()
    has_read = False
    with open_zip(stream) as archive, SpooledList() as tasks:
        dataset = Dataset(archive, folder="images")
        for entry in dataset.add(pictures):
            tasks.add_row(_task(entry, dataset.classes.names))
            for region, class_id in zip(entry.prediction.regions, entry.class_ids, strict=True):
                has_read |= bool(region.xyxyxyxy)
                named |= set() if region.xyxyxyxy else {class_id}
        with archive.open("tasks.json", "w", force_zip64=True) as file:
            tasks.write(file)
        classes = dataset.classes
        names = [name for number, name in enumerate(classes.names) if number in named or classes.is_asked(name)]
        archive.writestr("label_config.xml", _interface(list(dict.fromkeys([*names, *[_READ_TEXT] * has_read]))))
        dataset.add_readme(LABEL_STUDIO.cannot_carry, _HOW_TO)


def _task(entry: DatasetEntry, names: list[str]) -> dict[str, Any]:
    prediction = entry.prediction
    found: dict[str, Any] = {"model_version": prediction.checkpoint, "result": [*_results(entry, names)]}
    if prediction.confidence is not None:
        found["score"] = prediction.confidence
    return {"data": {"image": f"/data/local-files/?d=images/{quote(entry.file_name)}"}, "predictions": [found]}


def _results(entry: DatasetEntry, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the region, of what was read its words too, and then the text of the whole picture."""
    width, height = entry.prediction.resolution_wh
    whole = {"to_name": "image", "original_width": width, "original_height": height, "image_rotation": 0}
    for number, (region, class_id) in enumerate(zip(entry.prediction.regions, entry.class_ids, strict=True), 1):
        score = {} if region.score is None else {"score": region.score}
        common = {"id": f"region{number}", **whole, "origin": _ORIGINS[region.source], **score}
        if not (region.xyxyxyxy or region.polygons):
            place, kind, name, label = _box(region, (width, height)), "rectanglelabels", "box", names[class_id]
        else:
            place, kind, name = _points(region, (width, height)), "polygonlabels", "outline"
            label = _READ_TEXT if region.xyxyxyxy else names[class_id]
        yield common | {"type": kind, "from_name": name, "value": place | {kind: [label]}}
        if said := [text for text in (region.label if region.xyxyxyxy else "", region.text) if text]:
            value = place | {"text": said}
            yield common | {"type": "textarea", "from_name": "transcription", "value": value}
    if text := text_shown(entry.prediction):
        yield {"id": "caption", **whole, "type": "textarea", "from_name": "caption", "value": {"text": [text]}}


def _box(region: Region, resolution_wh: tuple[int, int]) -> dict[str, Any]:
    """Return a box in percent of the picture's size."""
    width, height = resolution_wh
    x_min, y_min, x_max, y_max = box_inside(region, resolution_wh)
    corner = {"x": 100 * x_min / width, "y": 100 * y_min / height}
    return {**corner, "width": 100 * (x_max - x_min) / width, "height": 100 * (y_max - y_min) / height, "rotation": 0}


def _points(region: Region, resolution_wh: tuple[int, int]) -> dict[str, Any]:
    width, height = resolution_wh
    outline = in_one_piece(outline_inside(region, resolution_wh))
    return {"points": [[100 * x / width, 100 * y / height] for x, y in outline], "closed": True}


def _interface(names: list[str]) -> str:
    root = Element("View")
    SubElement(root, "Image", name="image", value="$image")
    for tag, name in (("RectangleLabels", "box"), ("PolygonLabels", "outline")):
        labels = SubElement(root, tag, name=name, toName="image")
        for label in names:
            SubElement(labels, "Label", value=label)
    SubElement(root, "TextArea", name="transcription", toName="image", perRegion="true", editable="true")
    SubElement(root, "TextArea", name="caption", toName="image", editable="true")
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode") + "\n"


LABEL_STUDIO = Format(
    "label_studio", "Label Studio predictions (ZIP)", "zip", "zip", _write,
    "Label Studio has one polygon a region: the parts of an outline are joined by bridges of no width, and a quad is a "
    f"polygon of four points with the label {_READ_TEXT} and its words as a transcription. Pictures are found once the "
    "archive lies where Label Studio serves local files from, as the README in it says.",
    suffix="-label-studio",
    holds=Holds.REGIONS,
)  # fmt: skip
