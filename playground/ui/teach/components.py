"""The board of the teaching page: the curve, and pictures that were held out, with the answers before and now.

What it looks like and does in the browser is in `assets/teach.*`.
"""

from gradio.data_classes import GradioModel
from pydantic import Field

from playground.paths import read_asset
from playground.ui.components import AssetComponent, BoxData


class AnswerData(GradioModel):
    """An answer: words, and boxes in the pixels of the picture that is shown."""

    text: str = ""
    boxes: list[BoxData] = Field(default_factory=list)


class HeldOutData(GradioModel):
    """A picture that is not taught, as a `data:` address, with what is right, and what was answered before and now."""

    name: str
    image: str
    w: int
    h: int
    right: AnswerData
    before: AnswerData | None = None
    now: AnswerData | None = None


class PointData(GradioModel):
    """What was measured after a step."""

    step: int
    loss: float | None = None
    quality: float | None = None


class BoardData(GradioModel):
    """What is shown of a teaching; `revision` tells it from what was shown before."""

    revision: str = ""
    quality_name: str = ""
    points: list[PointData] = Field(default_factory=list)
    pictures: list[HeldOutData] = Field(default_factory=list)


class Board(AssetComponent):
    """Shows how a teaching goes."""

    template, style, script = read_asset("teach.html"), "", read_asset("teach.js")
    data_model = BoardData

    def preprocess(self, payload: BoardData | None) -> str:  # type: ignore[override]
        """Take which revision the page has; nothing here is the user's to change."""
        return payload.revision[:200] if payload else ""

    def postprocess(self, value: BoardData | None) -> BoardData:  # type: ignore[override]
        return value or BoardData()
