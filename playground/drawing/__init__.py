"""Draw a prediction: regions to `sv.Detections` to an annotated picture, with supervision's annotators.

Knows the styles, the colors and how thick a line must be. Knows nothing of tasks, files and the page.

A label's color is a function of its text alone, so that it is the same on the stage, in every picture and whatever
the user hides. Two labels of one picture can therefore share a color; their names tell them apart.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import supervision as sv
from PIL import Image, ImageFilter
from supervision.config import CLASS_NAME_DATA_FIELD, ORIENTED_BOX_COORDINATES

from playground.drawing.captions import Caption, caption_text, write_captions
from playground.errors import PlaygroundError
from playground.regions import Region
from playground.results import Prediction

Pixels = npt.NDArray[np.uint8]
Shape = Literal["boxes", "quads", "polygons"]

# Spread in OKLab (Ottosson, 2020) between dark enough for a white wall and light enough for a night scene.
PALETTE = (
    "#e5342a", "#fb7e21", "#ffcc2e", "#93640b", "#79d93b", "#2b8a1e", "#45e0b0", "#1f9e94", "#74c6fd",
    "#3a71ac", "#3f53f5", "#9c81f7", "#8f1ddb", "#f3adfa", "#e646ea", "#94508c", "#ee1d86", "#dc8088",
)  # fmt: skip
_COLORS = sv.ColorPalette.from_hex(list(PALETTE))

# With this salt 16 of the 496 pairs of the 32 things of the drawn scenes share a color, where 14 must and a salt at
# random leaves 28; and eighteen usual labels of photographs (person, car, tree, window, ...) get fifteen colors.
_SALT = "6044"


@dataclass(frozen=True, slots=True)
class _Pen:
    """Sizes in pixels, fitted to the resolution of what is drawn on."""

    thickness: int
    text: int
    opacity: float


class _Annotator(Protocol):
    def annotate(self, scene: Any, detections: sv.Detections) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Halo:
    """A glow round each mask. supervision's own blends its colors with black, so that it comes out as a dark smear."""

    opacity: float
    radius: int

    def annotate(self, scene: Pixels, detections: sv.Detections) -> Pixels:
        masks = detections.mask
        assert isinstance(masks, sv.CompactMask), "the style needs polygons"
        height, width = masks.image_shape
        step = max(1, self.radius // 3)  # a glow has no detail, and a small one is painted and blurred faster
        small = replace(detections, mask=masks.resize((math.ceil(height / step), math.ceil(width / step))))
        shape = _union(small).mask[0].astype(np.uint8) * 255
        colors = sv.MaskAnnotator(_COLORS, 1).annotate(np.zeros((*shape.shape, 3), dtype=np.uint8), small)
        glow = Image.fromarray(np.dstack([colors, shape])).convert("RGBa")
        glow = glow.filter(ImageFilter.GaussianBlur(self.radius / step)).convert("RGBA")
        light = np.minimum(np.asarray(glow.getchannel("A")), 127) * (2 * self.opacity)
        size, smooth = (width, height), Image.Resampling.BILINEAR
        mask = np.array(Image.fromarray(light.astype(np.uint8)).resize(size, smooth))
        mask[_union(detections).mask[0]] = 0
        picture = Image.fromarray(scene)
        picture.paste(glow.convert("RGB").resize(size, smooth), mask=Image.fromarray(mask))
        return np.array(picture)


def _union(detections: sv.Detections) -> Any:
    """Return one detection whose mask, shape (1, h, w), is that of all together; boxes without masks as they are."""
    masks = detections.mask
    if not isinstance(masks, sv.CompactMask):
        return detections
    together = np.zeros(masks.image_shape, dtype=bool)
    for index, (x, y) in enumerate(masks.offsets.tolist()):
        crop = masks.crop(index)
        together[y : y + crop.shape[0], x : x + crop.shape[1]] |= crop
    height, width = together.shape
    return sv.Detections(xyxy=np.array([[0, 0, width, height]]), mask=together[None])


def _halve_width(detections: sv.Detections) -> sv.Detections:
    x_min, y_min, x_max, y_max = detections.xyxy.T
    inset = (x_max - x_min) / 4
    return replace(detections, xyxy=np.stack([x_min + inset, y_min, x_max - inset, y_max], axis=1))


@dataclass(frozen=True, slots=True)
class Style:
    """A way to draw regions: it applies to a prediction with at least one region that has the shape it `needs`.

    One that `changes_picture` has no drawing of its own, so it is left out of an overlay.
    """

    id: str
    title: str
    needs: Shape
    annotator: Callable[[_Pen], _Annotator]
    changes_picture: bool = False
    prepare: Callable[[sv.Detections], sv.Detections] = lambda detections: detections


# The order of the menu; painted from the last to the first, so that lines lie over fills and fills over blurs.
STYLES: tuple[Style, ...] = (
    Style("box", "Box", "boxes", lambda pen: sv.BoxAnnotator(_COLORS, pen.thickness)),
    Style("round-box", "Rounded box", "boxes",
          lambda pen: sv.RoundBoxAnnotator(_COLORS, pen.thickness, roundness=0.3)),
    Style("corners", "Corners", "boxes",
          lambda pen: sv.BoxCornerAnnotator(_COLORS, round(pen.thickness * 1.5), corner_length=6 * pen.thickness)),
    Style("oriented-box", "Tilted box", "quads", lambda pen: sv.OrientedBoxAnnotator(_COLORS, pen.thickness)),
    Style("polygon", "Outline", "polygons", lambda pen: sv.PolygonAnnotator(_COLORS, pen.thickness)),
    Style("mask", "Mask", "polygons", lambda pen: sv.MaskAnnotator(_COLORS, pen.opacity)),
    Style("halo", "Halo", "polygons", lambda pen: _Halo(pen.opacity, radius=4 * pen.thickness)),
    # supervision's ring is twice as wide as the box that it is given.
    Style("ellipse", "Ellipse", "boxes", lambda pen: sv.EllipseAnnotator(_COLORS, pen.thickness),
          prepare=_halve_width),
    Style("blur", "Blur", "boxes", lambda _: sv.BlurAnnotator(), changes_picture=True),
    Style("pixelate", "Pixelate", "boxes",
          lambda pen: sv.PixelateAnnotator(pixel_size=6 * pen.thickness), changes_picture=True),
    Style("background", "Darken the background", "boxes",
          lambda pen: sv.BackgroundOverlayAnnotator(opacity=pen.opacity), changes_picture=True, prepare=_union),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What the user chose: ids of STYLES, what is written beside a region, and how opaque fills are (0..1).

    A style that does not apply to a prediction draws nothing. Raises PlaygroundError for a style that is not in
    the table and for an opacity out of range.
    """

    styles: tuple[str, ...]
    labels: bool = True
    scores: bool = False
    opacity: float = 0.5

    def __post_init__(self) -> None:
        known = [style.id for style in STYLES]
        unknown = [style for style in self.styles if style not in known]
        if unknown:
            raise PlaygroundError(f"{unknown[0]!r} is not a style of drawing. Styles: {', '.join(known)}.")
        if not 0 <= self.opacity <= 1:
            raise PlaygroundError(f"The opacity must be between 0 and 1, but got {self.opacity}.")


def color_of(label: str) -> str:
    """Return the color of a label as "#rrggbb", the same in every run."""
    return PALETTE[_class_id(label) % len(PALETTE)]


def styles_for(prediction: Prediction) -> tuple[Style, ...]:
    """Return the rows of STYLES that draw something of this prediction."""
    return tuple(style for style in STYLES if style.needs in _shapes(prediction))


def default_styles(prediction: Prediction) -> tuple[str, ...]:
    """Return the ids of the styles that show the finest shape that the regions have."""
    shapes = _shapes(prediction)
    if "polygons" in shapes:
        return ("mask", "polygon")
    if "quads" in shapes:
        return ("oriented-box",)
    return ("box",) if shapes else ()


def to_detections(prediction: Prediction, *, resolution_wh: tuple[int, int] | None = None) -> sv.Detections:
    """Return the regions as detections in pixels of `resolution_wh`, by default those of the prediction.

    `class_id` is a hash of the label. `confidence` is set only where every region has a score, `mask` only where
    one has polygons, and the corners of oriented boxes only where one has a quad; a region without stands in with
    its box. What lies outside the picture is moved to its edge.
    """
    regions = prediction.regions
    if not regions:
        return sv.Detections.empty()
    fit, shapes, scores = _fitter(prediction, resolution_wh), _shapes(prediction), [region.score for region in regions]
    data: dict[str, Any] = {CLASS_NAME_DATA_FIELD: _object_array([region.label for region in regions])}
    if "quads" in shapes:
        data[ORIENTED_BOX_COORDINATES] = np.array([fit(_quad(region)) for region in regions], dtype=np.float32)
    return sv.Detections(
        xyxy=np.array([fit(region.xyxy).ravel() for region in regions], dtype=np.float32),
        mask=masks(prediction, resolution_wh=resolution_wh) if "polygons" in shapes else None,
        confidence=None if None in scores else np.array(scores, dtype=np.float32),
        class_id=np.array([_class_id(region.label) for region in regions], dtype=np.int64),
        data=data,
    )


def masks(prediction: Prediction, *, resolution_wh: tuple[int, int] | None = None) -> sv.CompactMask:
    """Return the pixels of each region, of at least one: of its polygons together, else of its quad, else of its box.

    Compact, since dense masks of 256 regions can take 10 GB; `np.asarray` makes them dense, shape (n, h, w).
    """
    size, fit = resolution_wh or prediction.resolution_wh, _fitter(prediction, resolution_wh)
    parts = [region.polygons or (_quad(region),) for region in prediction.regions]
    return sv.CompactMask.merge([_mask([fit(part) for part in polygons], size) for polygons in parts])


def draw(image: Image.Image, prediction: Prediction, look: Look) -> Image.Image:
    """Return a copy of an RGB picture with the regions drawn on it, scaled to its size."""
    if not prediction.regions:
        return image.copy()
    wanted = [style for style in reversed(styles_for(prediction)) if style.id in look.styles]
    return _paint(image, prediction, look, wanted)


def draw_overlay(resolution_wh: tuple[int, int], prediction: Prediction, look: Look) -> Image.Image:
    """Return the drawing alone on a transparent ground, as an RGBA picture."""
    if not prediction.regions:
        return Image.new("RGBA", resolution_wh)
    wanted = [style for style in reversed(styles_for(prediction))
              if style.id in look.styles and not style.changes_picture]  # fmt: skip
    on_black, on_white = (
        np.asarray(_paint(Image.new("RGB", resolution_wh, ground), prediction, look, wanted))
        for ground in ("black", "white")
    )
    # Painted over a ground g, a color c of opacity a gives a*c + (1-a)*g: two grounds give a and c.
    alpha = 255 - (on_white - np.minimum(on_black, on_white)).min(axis=2)
    drawn = alpha > 0
    overlay = np.zeros((*alpha.shape, 4), dtype=np.uint8)
    opaque = alpha[drawn].astype(np.uint16)[:, None]
    overlay[drawn, :3] = np.minimum((on_black[drawn] * np.uint16(255) + opaque // 2) // opaque, 255)
    overlay[..., 3] = alpha
    return Image.fromarray(overlay)


def _paint(image: Image.Image, prediction: Prediction, look: Look, styles: list[Style]) -> Image.Image:
    detections = to_detections(prediction, resolution_wh=image.size)
    pen = _pen(image.size, look.opacity)
    scene = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])  # supervision paints BGR
    for style in styles:
        scene = style.annotator(pen).annotate(scene, style.prepare(detections))
    picture = Image.fromarray(scene[:, :, ::-1])
    write_captions(picture, _captions(prediction, detections, look), text_size=pen.text, clearance=pen.thickness // 2)
    return picture


def _captions(prediction: Prediction, detections: sv.Detections, look: Look) -> list[Caption]:
    """Return what is written beside each region, at its place among the detections."""
    return [
        Caption(
            caption_text(region.label if look.labels else "", region.score if look.scores else None),
            tuple(xyxy),
            color_of(region.label),
        )
        for region, xyxy in zip(prediction.regions, detections.xyxy.tolist(), strict=True)
    ]


def _pen(resolution_wh: tuple[int, int], opacity: float) -> _Pen:
    side = math.sqrt(resolution_wh[0] * resolution_wh[1])
    return _Pen(thickness=max(2, round(side / 450)), text=max(12, round(side * 0.0185)), opacity=opacity)


def _class_id(label: str) -> int:
    digest = blake2b((_SALT + label).encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def _shapes(prediction: Prediction) -> set[Shape]:
    shapes: set[Shape] = {"boxes"} if prediction.regions else set()
    if any(region.xyxyxyxy for region in prediction.regions):
        shapes.add("quads")
    if any(region.polygons for region in prediction.regions):
        shapes.add("polygons")
    return shapes


def _quad(region: Region) -> tuple[float, ...]:
    x_min, y_min, x_max, y_max = region.xyxy
    return region.xyxyxyxy or (x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max)


def _fitter(
    prediction: Prediction, resolution_wh: tuple[int, int] | None
) -> Callable[[npt.ArrayLike], npt.NDArray[np.float64]]:
    """Return the way from points of the prediction to those inside a picture of another size, shape (n, 2)."""
    limits = np.array(resolution_wh or prediction.resolution_wh)
    scale = limits / prediction.resolution_wh
    return lambda points: np.clip(np.asarray(points, dtype=np.float64).reshape(-1, 2) * scale, 0, limits)


def _mask(parts: list[npt.NDArray[np.float64]], resolution_wh: tuple[int, int]) -> sv.CompactMask:
    """Fill the parts of one outline, which add up where they overlap.

    Florence-2 cannot write a hole. Where an outline crosses itself one would be left, which the stage does not show
    and for which supervision's writers can fail: it is filled.
    """
    width, height = resolution_wh
    pixels = [np.minimum(part.astype(np.int64), [width - 1, height - 1]) for part in parts]
    x_min, y_min = np.concatenate(pixels).min(axis=0).tolist()
    x_max, y_max = np.concatenate(pixels).max(axis=0).tolist()
    crop_wh = (x_max - x_min + 1, y_max - y_min + 1)
    crop = np.zeros(crop_wh[::-1], dtype=bool)
    for part in pixels:
        crop |= sv.polygon_to_mask(part - [x_min, y_min], crop_wh).astype(bool)
    for contour in sv.mask_to_polygons(crop):
        crop |= sv.polygon_to_mask(contour, crop_wh).astype(bool)
    whole = np.array([[0, 0, crop_wh[0], crop_wh[1]]])
    mask = sv.CompactMask.from_dense(crop[None], whole, crop.shape)
    return mask.with_offset(x_min, y_min, new_image_shape=(height, width))


def _object_array(values: list[str]) -> npt.NDArray[np.object_]:
    # NumPy's own text type gives every row the room of the longest, and a label may have 200,000 letters.
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
