"""What was read, in the order in which people read it: the view of its lines beside the picture.

Knows predictions and Gradio's component protocol. A line lights its regions on the stage of the same workspace in the
browser, without a round trip; what it looks like and does there is in `assets/reading.*`.
"""

from collections.abc import Sequence

from gradio.data_classes import GradioModel
from pydantic import Field

from playground.export import holds_read_text
from playground.paths import read_asset
from playground.reading_order import lines_in_order
from playground.results import Prediction
from playground.ui.components import AssetComponent, BoxData

_SHORTEST = 2  # lines, below which the table says it all


class ReadLineData(GradioModel):
    """A line: the ids of its boxes, how it is turned, and whether it is the first of a column."""

    text: str
    ids: list[int]
    turn: str = ""
    is_first: bool = False


class ReadingData(GradioModel):
    """The lines in reading order; none where nothing was read with its places."""

    lines: list[ReadLineData] = Field(default_factory=list)


class ReadingView(AssetComponent):
    """The lines, each of which can be lit on the picture and copied."""

    template, style = read_asset("reading.html"), read_asset("reading.css")
    script = read_asset("workspace.js") + read_asset("reading.js")
    data_model = ReadingData

    def preprocess(self, payload: ReadingData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: ReadingData | None) -> ReadingData:  # type: ignore[override]
        return value or ReadingData()


def reading_from(prediction: Prediction, boxes: Sequence[BoxData], shown: Sequence[int]) -> ReadingData:
    """Return the lines of an answer, of whose regions those at the places `shown` are listed as boxes."""
    if not holds_read_text(prediction):
        return ReadingData()
    lines = lines_in_order([prediction.regions[place] for place in shown])
    if len(lines) < _SHORTEST:
        return ReadingData()
    blocks = [-1, *(line.block for line in lines)]
    return ReadingData(
        lines=[
            ReadLineData(
                text=line.text, ids=[boxes[index].id for index in line.indices], turn=line.turn,
                is_first=line.block != before,
            )
            for line, before in zip(lines, blocks[:-1], strict=True)
        ]
    )  # fmt: skip
