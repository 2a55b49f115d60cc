"""What happens to pictures between drawing and upload: a page around them, JPEG, blur, noise, other light."""

import io
import random
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from playground.regions import Point, Quad, Region
from playground.scenes.scene import Scene, Thing


def degrade(rng: random.Random, image: Image.Image) -> Image.Image:
    """Return the picture with none, one or several flaws, each so mild that a person may overlook it."""
    if rng.random() < 0.4:
        for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhancer(image).enhance(rng.uniform(0.75, 1.25))
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2) * min(image.size) / 300))
    if rng.random() < 0.15:
        noise = np.random.default_rng(rng.randrange(2**32)).normal(0, rng.uniform(2, 10), (*image.size[::-1], 3))
        image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    return jpeg(image, rng.randint(30, 95)) if rng.random() < 0.35 else image


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Return the picture as it comes back from a JPEG file of a quality in 1..95."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def on_page(rng: random.Random, scene: Scene) -> Scene:
    """Return the scene as a screenshot shows it: on a page of its own size, with bars and lines for text around it."""
    width, height = scene.resolution_wh
    share = rng.uniform(0.6, 0.92)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    left, top = rng.randint(0, width - size[0]), rng.randint(0, height - size[1])
    paper, line = rng.choice(((250, 210), (235, 190), (40, 75)))
    page = Image.new("RGB", (width, height), (paper,) * 3)
    draw, step = ImageDraw.Draw(page), max(3, height // 24)
    for y in range(step, height, 2 * step):
        draw.rectangle((step, y, max(step, rng.uniform(0.5, 1) * width), y + step / 2), fill=(line,) * 3)
    page.paste(scene.image.resize(size, Image.Resampling.BILINEAR), (left, top))
    things = tuple(_moved(thing, (size[0] / width, size[1] / height), (left, top)) for thing in scene.things)
    return replace(scene, image=page, things=things)


def _moved(thing: Thing, scale: Point, offset: Point) -> Thing:
    writing = thing.writing and _moved_region(thing.writing, scale, offset)
    return replace(thing, region=_moved_region(thing.region, scale, offset), writing=writing)


def _moved_region(region: Region, scale: Point, offset: Point) -> Region:
    def move(x: float, y: float) -> Point:
        return x * scale[0] + offset[0], y * scale[1] + offset[1]

    quad: Quad | None = None
    if region.xyxyxyxy:
        x1, y1, x2, y2, x3, y3, x4, y4 = region.xyxyxyxy
        quad = (*move(x1, y1), *move(x2, y2), *move(x3, y3), *move(x4, y4))
    x_min, y_min, x_max, y_max = region.xyxy
    polygons = tuple(tuple(move(*point) for point in polygon) for polygon in region.polygons)
    return replace(region, xyxy=(*move(x_min, y_min), *move(x_max, y_max)), xyxyxyxy=quad, polygons=polygons)
