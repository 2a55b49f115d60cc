"""The stage, where the picture, the boxes and the drawn regions are, and the table of regions beside it.

Knows predictions and Gradio's component protocol. Knows nothing of tasks, of the model or of the rest of the page.
The two talk to each other in the browser, so that lighting and hiding a box needs no round trip; what they look like
and do there is in `assets/{stage,regions,table}.*`.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import gradio as gr
from gradio.components import Component
from gradio.data_classes import FileData, GradioModel
from pydantic import Field

from playground.paths import ASSETS
from playground.regions import Region
from playground.results import Prediction

_TRUTH_COLOR = "#ffffff"


class TruthData(GradioModel):
    """What is right to answer: in words, and in boxes as on the stage."""

    text: str = ""
    boxes: list[dict[str, Any]] = Field(default_factory=list)


class StageData(GradioModel):
    """What the stage shows. All coordinates are pixels of the upright original, of size `w` x `h`.

    `boxes` come from `boxes_from`. With `annotated`, a picture that shows them already, they light up on hover only.
    `regions` (xyxy) and `hidden` (ids of boxes) belong to the user: None leaves them as they are on the page while the
    picture stays the same, so a streaming answer never undoes a region drawn meanwhile; a list replaces them.
    With `truth`, the page offers to show what is right.
    """

    image: FileData | None = None
    annotated: FileData | None = None
    alt: str = ""
    w: int = 0
    h: int = 0
    boxes: list[dict[str, Any]] = Field(default_factory=list)
    hidden: list[int] | None = None
    regions: list[list[float]] | None = None
    truth: TruthData | None = None
    draw: bool = False
    busy: bool = False


class RegionTableData(GradioModel):
    """What the table shows: boxes as on the stage, or the sentence `empty`; `hidden` as in `StageData`."""

    boxes: list[dict[str, Any]] = Field(default_factory=list)
    hidden: list[int] | None = None
    empty: str = ""


def boxes_from(prediction: Prediction, color_of: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return the regions as boxes for the stage and the table; `color_of` maps a label to "#rrggbb".

    Each is `{"id", "label", "color", "score", "xyxy", "quad"?, "polygons"?}`, with coordinates to a tenth of a pixel.
    A box's `id` is its place in the prediction. It survives filtering: leave boxes out of the list as you like.
    """
    return [_box(index, region, color_of(region.label)) for index, region in enumerate(prediction.regions)]


def truth_from(words: str, regions: Iterable[Region]) -> TruthData:
    """Return what is right for the stage, where all of it is drawn alike."""
    return TruthData(text=words, boxes=[_box(index, region, _TRUTH_COLOR) for index, region in enumerate(regions)])


def _box(index: int, region: Region, color: str) -> dict[str, Any]:
    box = {"id": index, "label": region.label, "color": color, "score": region.score, "xyxy": _tenths(region.xyxy)}
    if region.xyxyxyxy:
        box["quad"] = _tenths(region.xyxyxyxy)
    if region.polygons:
        box["polygons"] = [[_tenths(point) for point in polygon] for polygon in region.polygons]
    return box


def _tenths(pixels: Iterable[float]) -> list[float]:
    return [round(number, 1) for number in pixels]


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


class _AssetComponent(gr.HTML):
    """A component whose template, style and script are files; model text never enters the template.

    Its value is a model; `gr.HTML` declares text, hence the ignored overrides below.
    """

    template: ClassVar[str]
    style: ClassVar[str]
    script: ClassVar[str]

    def __init__(self, value: Any = None, **options: Any) -> None:
        super().__init__(
            value,
            html_template=self.template,
            # `css_template` would be compiled and applied again with every value, and cannot hold keyframes.
            head=f"<style>{self.style}</style>",
            js_on_load=f'"use strict";\n{self.script}',
            apply_default_css=False,
            **options,
        )

    def api_info(self) -> dict[str, Any]:
        return Component.api_info(self)


class Stage(_AssetComponent):
    """The picture with its boxes; as an input, the regions drawn on it. Event: `region`, once a gesture."""

    template, style = _asset("stage.html"), _asset("stage.css")
    script = _asset("regions.js") + _asset("stage.js")
    data_model = StageData

    def preprocess(self, payload: StageData | None) -> StageData:  # type: ignore[override]
        """Take only what the user can change: the rest of a value that comes back is not ours any more."""
        return StageData(regions=payload.regions or []) if payload else StageData(regions=[])

    def postprocess(self, value: StageData | None) -> StageData:  # type: ignore[override]
        return value or StageData()


class RegionTable(_AssetComponent):
    """The boxes as rows; as an input, the ids hidden by clicking. Event: `hide`, once a click."""

    template, style, script = _asset("table.html"), _asset("table.css"), _asset("table.js")
    data_model = RegionTableData

    def preprocess(self, payload: RegionTableData | None) -> RegionTableData:  # type: ignore[override]
        """Take only what the user can change."""
        return RegionTableData(hidden=payload.hidden or []) if payload else RegionTableData(hidden=[])

    def postprocess(self, value: RegionTableData | None) -> RegionTableData:  # type: ignore[override]
        return value or RegionTableData()


class LinesData(GradioModel):
    """Lines of text for the user, each {"text": ..., "tone": "plain" | "busy" | "good" | "warning" | "error"}."""

    lines: list[dict[str, str]] = Field(default_factory=list)


class Lines(_AssetComponent):
    """Sentences with a tone. Not Markdown and not markup: they may quote what a user or a model wrote."""

    template, style, script = _asset("lines.html"), _asset("lines.css"), _asset("lines.js")
    data_model = LinesData

    def preprocess(self, payload: LinesData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: list[dict[str, str]] | None) -> LinesData:  # type: ignore[override]
        return LinesData(lines=value or [])
