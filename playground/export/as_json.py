"""The wire form of the prediction, as the API returns it."""

from playground.export.common import Export, Format, wire_json


def write(export: Export) -> bytes:
    """Write the prediction without the picture."""
    return wire_json(export.prediction)


FORMAT = Format("json", "Prediction (JSON)", "json", write, "The picture and the style of drawing are not in it.")
