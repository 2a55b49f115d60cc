"""Annotated pictures: a prediction drawn on its picture, or alone on a transparent ground, in a look."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from playground.drawing.captions import Caption, caption_text, write_captions
from playground.drawing.colors import PALETTE, palette_indices
from playground.drawing.detections import MAX_PAINTED_MEGAPIXELS, painted_megapixels, shapes_of, to_detections
from playground.drawing.styles import Look, Pen, Style, is_drawn_on, styles_in
from playground.regions import Region
from playground.results import Prediction

if TYPE_CHECKING:
    import supervision as sv

_LABEL_BEFORE_TRACK = 100  # characters


def is_too_large(prediction: Prediction, look: Look, resolution_wh: tuple[int, int]) -> bool:
    """Whether what is painted pixel by pixel, outlines and in some styles boxes, is too large together."""
    is_painted = "polygons" in shapes_of(prediction) or any(
        style.changes_picture for style in styles_in(prediction, look)
    )
    return is_painted and painted_megapixels(prediction, resolution_wh=resolution_wh) > MAX_PAINTED_MEGAPIXELS


def draw(image: Image.Image, prediction: Prediction, look: Look, labels: Iterable[str] = ()) -> Image.Image:
    """Return a copy of an RGB picture with the regions drawn on it, scaled to its size.

    `labels` are those of the whole answer, where the prediction is a part of it: colors do not change with the part.
    """
    if not prediction.regions:
        return image.copy()
    return _paint(image, prediction, look, styles_in(prediction, look)[::-1], labels)


def hide(image: Image.Image, prediction: Prediction, look: Look) -> Image.Image:
    """Return an RGB picture without what its look, or a person, hides; the picture itself where that is nothing."""
    return draw(image, prediction, look.hiding) if styles_in(prediction, look.hiding) else image


def draw_overlay(
    resolution_wh: tuple[int, int], prediction: Prediction, look: Look, labels: Iterable[str] = ()
) -> Image.Image:
    """Return the drawing alone on a transparent ground, as an RGBA picture; `labels` as in `draw`."""
    if not prediction.regions:
        return Image.new("RGBA", resolution_wh)
    wanted = [style for style in styles_in(prediction, look)[::-1] if not style.changes_picture]
    on_black, on_white = (
        np.asarray(_paint(Image.new("RGB", resolution_wh, ground), prediction, look, wanted, labels))
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


def _paint(
    image: Image.Image, prediction: Prediction, look: Look, styles: Sequence[Style], labels: Iterable[str]
) -> Image.Image:
    detections = to_detections(prediction, resolution_wh=image.size)
    indices = palette_indices([*labels, *(region.label for region in prediction.regions)])
    places = [_place(region, indices, look) for region in prediction.regions]
    detections.class_id = np.array(places)  # supervision takes the color at this place
    pen = _pen(image.size, look)
    scene = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])  # supervision paints BGR
    for style in styles:
        drawn = np.array([is_drawn_on(style, region, look) for region in prediction.regions])
        some: Any = detections if drawn.all() else detections[drawn]
        scene = style.annotator(pen).annotate(scene, style.prepare(some))
    picture = Image.fromarray(scene[:, :, ::-1])
    write_captions(
        picture, _captions(prediction, detections, look, places), text_size=pen.text, clearance=pen.thickness // 2
    )
    return picture


def _place(region: Region, indices: dict[str, int], look: Look) -> int:
    """Return the place of a region's color in the palette."""
    return region.track % len(PALETTE) if look.by_track and region.track is not None else indices[region.label]


def _captions(prediction: Prediction, detections: "sv.Detections", look: Look, places: list[int]) -> list[Caption]:
    """Return what is written beside each region, at its place among the detections."""
    return [
        Caption(
            caption_text(_called(region) if look.labels else "", region.score if look.scores else None),
            tuple(xyxy),
            PALETTE[place],
        )
        for region, xyxy, place in zip(prediction.regions, detections.xyxy.tolist(), places, strict=True)
    ]


def _called(region: Region) -> str:
    return region.label if region.track is None else f"{region.label[:_LABEL_BEFORE_TRACK]} #{region.track}"


def _pen(resolution_wh: tuple[int, int], look: Look) -> Pen:
    side = math.sqrt(resolution_wh[0] * resolution_wh[1])
    return Pen(
        thickness=max(2, round(side / 450)),
        text=round(look.label_size * max(12, round(side * 0.0185))),
        opacity=look.opacity,
    )
