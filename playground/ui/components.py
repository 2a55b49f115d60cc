"""The stage, where the picture, the boxes and the drawn regions are, and the table of regions beside it.

Knows predictions and Gradio's component protocol. Knows nothing of tasks, of the model or of the rest of the page.
The two talk to each other in the browser, so that lighting and hiding a box needs no round trip: those that belong
together stand in one container of the class `WORKSPACE`, and two such containers on a page do not disturb each other.
What the components look like and do there is in `assets/{workspace,stage,regions,table}.*`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import gradio as gr
from gradio.components import Component
from gradio.data_classes import FileData, GradioModel
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from playground.corrections import Corrections
from playground.drawing import ink_on, score_text
from playground.paths import read_asset
from playground.regions import Region, Source
from playground.results import Prediction

WORKSPACE = "workspace"  # an element class; `assets/workspace.js` looks for it

_TRUTH_COLOR = "#ffffff"


class BoxData(GradioModel):
    """One region as stage and table show it.

    `id` is the region's place in the model's answer, which survives filtering and correcting. `color` is "#rrggbb",
    `ink` the color of text on it. `score`, to a thousandth, is for bars; `score_text` is how it reads. Coordinates are
    to a tenth, and `area`, that of the region's outline, is in square pixels.
    """

    id: int
    label: str
    color: str
    ink: str
    score: float | None = None
    score_text: str = ""
    source: Source = "model"
    xyxy: list[float]
    area: float
    quad: list[float] | None = None
    polygons: list[list[list[float]]] | None = None
    text: str = ""
    cover: str = ""

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Most boxes are boxes and nothing else, and each is sent again with every update of a streaming answer."""
        fields = type(self).model_fields
        return {name: value for name, value in serialize(self).items() if value != fields[name].default}


class TruthData(GradioModel):
    """What is right to answer: in words, and in boxes as on the stage."""

    text: str = ""
    boxes: list[BoxData] = Field(default_factory=list)


class CloseupData(GradioModel):
    """A part of the picture at its own sharpness, and where that is; `of` is the picture that it was asked for.

    From the page, without `image`, it is the part in view.
    """

    xyxy: list[float] = Field(default_factory=list)
    of: str = ""
    image: FileData | None = None


class EditsData(GradioModel):
    """What a person has corrected of an answer: `changes` as `playground/corrections.py` reads them.

    `answer` tells the answer from all others, in which the model has said `count` regions; of several `version`s the
    highest holds. While `is_going_on`, the page draws the answer itself. The labels that it lets choose from are those
    that were `offered` to it last; None says nothing of them.
    """

    answer: str = ""
    count: int = 0
    version: int = 0
    is_going_on: bool = False
    offered: list[str] | None = None
    changes: list[dict[str, Any]] = Field(default_factory=list)


class AskData(GradioModel):
    """What a person asks about regions of the answer that `answer` stands for: `ids` of boxes.

    For the sharper outline of one, `points` say more, each [x, y, 1 for plus or 0 for minus], and `box` is what it
    began with.
    """

    answer: str = ""
    what: str = ""
    ids: list[int] = Field(default_factory=list)
    points: list[list[float]] = Field(default_factory=list)
    box: list[float] | None = None


class FoundData(GradioModel):
    """What a model says about regions of an answer: by box, its new `label`, `text` or `polygons`, or `xyxy` as well.

    Until it `is_final` it is shown and nothing more; then it is a step of its own, which can be undone. `points` are
    those that an outline was asked for with.
    """

    answer: str = ""
    changes: list[dict[str, Any]] = Field(default_factory=list)
    points: list[list[float]] = Field(default_factory=list)
    is_final: bool = False


class StageData(GradioModel):
    """What the stage shows. All coordinates are pixels of the upright original, of size `w` x `h`.

    `boxes` come from `boxes_from`. With `annotated`, a picture that shows them already, they light up on hover only.
    Their labels the page writes, `label_size` times as large as usual; 0 is without.
    `regions` (xyxy) and `hidden` (ids of boxes) belong to the user: None leaves them as they are on the page while the
    picture stays the same, so a streaming answer never undoes a region drawn meanwhile; a list replaces them. So it is
    with `draw`, whether regions can be drawn; with `keep`, everything else stays too.
    With `truth`, the page offers to show what is right. With `closeup`, a part of the picture is sharp. With `edits`,
    the answer is whole and can be corrected; the page keeps its own where they are of a higher version. `answer` stands
    for a whole answer, and comes back with what is wanted of it. `late` comes from the page, for answers that have gone
    before Python knew what was corrected; so does `ask`, which `found` answers.
    """

    image: FileData | None = None
    annotated: FileData | None = None
    alt: str = ""
    w: int = 0
    h: int = 0
    boxes: list[BoxData] = Field(default_factory=list)
    label_size: float = 1
    hidden: list[int] | None = None
    regions: list[list[float]] | None = None
    truth: TruthData | None = None
    closeup: CloseupData | None = None
    answer: str = ""
    edits: EditsData | None = None
    late: list[EditsData] = Field(default_factory=list)
    ask: AskData | None = None
    found: FoundData | None = None
    draw: bool | None = None
    keep: bool = False
    busy: bool = False


class RegionTableData(GradioModel):
    """What the table shows: boxes as on the stage, or the sentence `empty`; `hidden` as in `StageData`.

    With `asks`, the model can be asked about them.
    """

    boxes: list[BoxData] = Field(default_factory=list)
    asks: bool = False
    hidden: list[int] | None = None
    empty: str = ""


def boxes_from(prediction: Prediction, colors: Mapping[str, str], ids: Sequence[int] = ()) -> list[BoxData]:
    """Return the regions as boxes for the stage and the table; `colors` maps labels to "#rrggbb".

    Leave boxes out of the list as you like: each has its id, of `ids` or else its place in the prediction.
    """
    numbers = ids or range(len(prediction.regions))
    return [
        _box(number, region, colors[region.label]) for number, region in zip(numbers, prediction.regions, strict=True)
    ]


def edits_from(answer: str, count: int, version: int, corrections: Corrections) -> EditsData:
    """Return what a page is told of the corrections that it, or the one before a reload, has made."""
    changes = [_change(*row) for row in corrections.by_id]
    return EditsData(answer=answer, count=count, version=version, changes=changes)


def _change(number: int, region: Region | None) -> dict[str, Any]:
    if region is None:
        return {"id": number, "gone": True}
    box = _box(number, region, _TRUTH_COLOR)
    kept = box.model_dump(include={"id", "label", "xyxy", "quad", "polygons", "text", "cover"})
    return {**kept, "polygons": box.polygons or [], "source": region.source}


def truth_from(words: str, regions: Iterable[Region]) -> TruthData:
    """Return what is right for the stage, where all of it is drawn alike."""
    return TruthData(text=words, boxes=[_box(index, region, _TRUTH_COLOR) for index, region in enumerate(regions)])


def _box(index: int, region: Region, color: str) -> BoxData:
    return BoxData(
        id=index,
        label=region.label,
        color=color,
        ink=ink_on(color),
        score=None if region.score is None else round(region.score, 3),
        score_text="" if region.score is None else score_text(region.score),
        source=region.source,
        xyxy=_tenths(region.xyxy),
        area=round(region.area, 1),
        quad=_tenths(region.xyxyxyxy) if region.xyxyxyxy else None,
        polygons=[[_tenths(point) for point in polygon] for polygon in region.polygons] or None,
        text=region.text,
        cover=region.cover,
    )


def _tenths(pixels: Iterable[float]) -> list[float]:
    return [round(number, 1) for number in pixels]


class AssetComponent(gr.HTML):
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


class Stage(AssetComponent):
    """The picture with its boxes; as an input, the regions drawn on it, the part in view, and what was corrected.

    Events: `region`, once a gesture, `closer`, once a part is in view that the page cannot show sharply, `corrected`,
    once the answer was, `ask` and `cut`, when something is wanted of regions.
    """

    template, style = (
        read_asset("stage.html"),
        read_asset("stage.css") + read_asset("correct.css") + read_asset("points.css"),
    )
    script = "".join(
        read_asset(f"{name}.js")
        for name in ("workspace", "regions", "zoom", "shapes", "edits", "correct", "points", "menu", "stage")
    )
    data_model = StageData

    def preprocess(self, payload: StageData | None) -> StageData:  # type: ignore[override]
        """Take only what the user can change: the rest of a value that comes back is not ours any more."""
        payload = payload or StageData()
        seen = payload.closeup
        wanted = CloseupData(xyxy=seen.xyxy, of=seen.of) if seen else None
        return StageData(
            regions=payload.regions or [],
            closeup=wanted,
            answer=payload.answer,
            edits=payload.edits,
            late=payload.late,
            ask=payload.ask,
        )

    def postprocess(self, value: StageData | None) -> StageData:  # type: ignore[override]
        return value or StageData()


class RegionTable(AssetComponent):
    """The boxes as rows; as an input, the ids hidden by clicking. Event: `hide`, once a click."""

    template, style = read_asset("table.html"), read_asset("table.css")
    script = read_asset("workspace.js") + read_asset("table.js")
    data_model = RegionTableData

    def preprocess(self, payload: RegionTableData | None) -> RegionTableData:  # type: ignore[override]
        """Take only what the user can change."""
        return RegionTableData(hidden=payload.hidden or []) if payload else RegionTableData(hidden=[])

    def postprocess(self, value: RegionTableData | None) -> RegionTableData:  # type: ignore[override]
        return value or RegionTableData()


class LinesData(GradioModel):
    """Lines of text for the user, each {"text": ..., "tone": "plain" | "busy" | "good" | "warning" | "error"}."""

    lines: list[dict[str, str]] = Field(default_factory=list)


class Lines(AssetComponent):
    """Sentences with a tone. Not Markdown and not markup: they may quote what a user or a model wrote."""

    template, style, script = read_asset("lines.html"), read_asset("lines.css"), read_asset("lines.js")
    data_model = LinesData

    def preprocess(self, payload: LinesData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: list[dict[str, str]] | None) -> LinesData:  # type: ignore[override]
        return LinesData(lines=value or [])
