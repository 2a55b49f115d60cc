"""Files out: a picture and its prediction in each of `FORMATS`. Knows nothing of the page and of models."""

from playground.errors import ExportRejected
from playground.export import as_coco, as_crops, as_csv, as_json, as_overlay, as_png, as_voc, as_yolo
from playground.export.common import Export, Format, safe_name

__all__ = ["FORMATS", "Export", "Format", "export"]

FORMATS: tuple[Format, ...] = (
    as_png.FORMAT,
    as_overlay.FORMAT,
    as_crops.FORMAT,
    as_json.FORMAT,
    as_csv.FORMAT,
    as_coco.FORMAT,
    as_yolo.FORMAT,
    as_voc.FORMAT,
)
_BY_ID = {row.id: row for row in FORMATS}


def export(answer: Export, format_id: str) -> tuple[str, bytes]:
    """Return a file name and the file's content.

    Raises ExportRejected for an unknown format, for a picture that the prediction is not about, and for what a
    format cannot hold at all.
    """
    if format_id not in _BY_ID:
        raise ExportRejected(f"{str(format_id)[:80]!r} is not a format. Formats: {', '.join(_BY_ID)}.")
    expected, got = answer.prediction.resolution_wh, answer.image.resolution_wh
    if expected != got:
        raise ExportRejected(
            f"The prediction is about a picture of {expected[0]} x {expected[1]} pixels, but this one has "
            f"{got[0]} x {got[1]}. Send the picture that was asked about."
        )
    row = _BY_ID[format_id]
    return f"{safe_name(answer.name, fallback='picture')}{row.suffix}.{row.extension}", row.write(answer)
