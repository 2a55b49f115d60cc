"""The table of styles, and `Look`, what a user chose of it. Adding a style is adding a row."""

from __future__ import annotations  # of a library that is imported late

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from playground.drawing.annotators import Annotator, CoverAnnotator, HaloAnnotator, halve_width, sv_palette, union
from playground.drawing.detections import Shape, shapes_of
from playground.errors import PlaygroundError
from playground.late import Late
from playground.regions import Region
from playground.results import Prediction
from playground.tasks import get_task

if TYPE_CHECKING:
    import supervision as sv
else:
    sv = Late("supervision")


@dataclass(frozen=True, slots=True)
class Pen:
    """Sizes in pixels, fitted to the resolution of what is drawn on, and the opacity of fills."""

    thickness: int
    text: int
    opacity: float


@dataclass(frozen=True, slots=True)
class Style:
    """A way to draw regions: it applies to a prediction with at least one region that has the shape it `needs`.

    One that `changes_picture` has no drawing of its own, so it is left out of an overlay. One that `hides` is there so
    that something is not seen: then no file holds the picture as it was.
    """

    id: str
    title: str
    needs: Shape
    annotator: Callable[[Pen], Annotator]
    changes_picture: bool = False
    hides: bool = False
    prepare: Callable[[sv.Detections], sv.Detections] = lambda detections: detections


# The order of the menu; painted from the last to the first, so that lines lie over fills and fills over blurs.
STYLES: tuple[Style, ...] = (
    Style("box", "Box", "boxes", lambda pen: sv.BoxAnnotator(sv_palette(), pen.thickness)),
    Style("round-box", "Rounded box", "boxes",
          lambda pen: sv.RoundBoxAnnotator(sv_palette(), pen.thickness, roundness=0.3)),
    Style("corners", "Corners", "boxes",
          lambda pen: sv.BoxCornerAnnotator(sv_palette(), round(pen.thickness * 1.5), corner_length=6 * pen.thickness)),
    Style("oriented-box", "Tilted box", "quads", lambda pen: sv.OrientedBoxAnnotator(sv_palette(), pen.thickness)),
    Style("polygon", "Outline", "polygons", lambda pen: sv.PolygonAnnotator(sv_palette(), pen.thickness)),
    Style("mask", "Mask", "polygons", lambda pen: sv.MaskAnnotator(sv_palette(), pen.opacity)),
    Style("halo", "Halo", "polygons", lambda pen: HaloAnnotator(pen.opacity, radius=4 * pen.thickness)),
    # supervision's ring is twice as wide as the box that it is given.
    Style("ellipse", "Ellipse", "boxes", lambda pen: sv.EllipseAnnotator(sv_palette(), pen.thickness),
          prepare=halve_width),
    Style("blur", "Blur (weaker than a cover)", "boxes", lambda _: sv.BlurAnnotator(),
          changes_picture=True, hides=True),
    Style("pixelate", "Pixelate (weaker than a cover)", "boxes",
          lambda pen: sv.PixelateAnnotator(pixel_size=6 * pen.thickness), changes_picture=True, hides=True),
    Style("cover", "Cover", "boxes", lambda _: CoverAnnotator(), changes_picture=True, hides=True),
    Style("background", "Darken the background", "boxes",
          lambda pen: sv.BackgroundOverlayAnnotator(opacity=pen.opacity), changes_picture=True, prepare=union),
)  # fmt: skip


LABEL_SIZES = (0.5, 3.0)  # the least and the most, of the usual size


@dataclass(frozen=True, slots=True)
class Look:
    """What the user chose: ids of STYLES, what is written beside a region, how opaque fills are (0..1), how large
    labels are beside their usual size, and whether things that are followed have a color each, whatever they are.

    A style that does not apply to a prediction draws nothing. Raises PlaygroundError for a style that is not in
    the table, and for an opacity and a size out of range.
    """

    styles: tuple[str, ...]
    labels: bool = True
    scores: bool = False
    opacity: float = 0.5
    label_size: float = 1.0
    by_track: bool = False

    def __post_init__(self) -> None:
        known = [style.id for style in STYLES]
        unknown = [style for style in self.styles if style not in known]
        if unknown:
            raise PlaygroundError(f"{unknown[0]!r} is not a style of drawing. Styles: {', '.join(known)}.")
        if not 0 <= self.opacity <= 1:
            raise PlaygroundError(f"The opacity must be between 0 and 1, but got {self.opacity}.")
        if not LABEL_SIZES[0] <= self.label_size <= LABEL_SIZES[1]:
            least, most = LABEL_SIZES
            raise PlaygroundError(
                f"The size of labels must be between {least:g} and {most:g}, but got {self.label_size}."
            )

    @property
    def hiding(self) -> Look:
        """What of it is there so that something is not seen, alone."""
        styles = tuple(style.id for style in STYLES if style.hides and style.id in self.styles)
        return replace(self, styles=styles, labels=False, scores=False)


def is_drawn_on(style: Style, region: Region, look: Look) -> bool:
    """Whether a look has a style for a region, or a person has hidden that region under it."""
    return style.id in look.styles or (style.hides and region.cover == style.id)


def styles_in(prediction: Prediction, look: Look) -> tuple[Style, ...]:
    """Return the rows of STYLES in which something of a prediction is drawn."""
    rows = styles_for(prediction)
    return tuple(style for style in rows if any(is_drawn_on(style, region, look) for region in prediction.regions))


def styles_for(prediction: Prediction) -> tuple[Style, ...]:
    """Return the rows of STYLES that draw something of this prediction."""
    return tuple(style for style in STYLES if style.needs in shapes_of(prediction))


def default_styles(prediction: Prediction) -> tuple[str, ...]:
    """Return the ids of the styles that show the finest shape that the regions have, or that cover them if asked to."""
    if get_task(prediction.task).covers:
        return ("cover",)
    shapes = shapes_of(prediction)
    if "polygons" in shapes:
        return ("mask", "polygon")
    if "quads" in shapes:
        return ("oriented-box",)
    return ("box",) if shapes else ()
