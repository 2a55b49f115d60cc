"""One region cut out of its picture."""

import math

from PIL import Image, ImageDraw

from playground.regions import Region


def cut_out(image: Image.Image, region: Region) -> Image.Image:
    """Return the pixels under a region, which touches each of them; outside of a quad or an outline they are clear."""
    width, height = image.size
    points = [point for part in region.outline for point in part]
    left, top = (max(0, math.floor(min(point[axis] for point in points))) for axis in (0, 1))
    right = min(width, max(left + 1, math.ceil(max(x for x, _ in points))))
    bottom = min(height, max(top + 1, math.ceil(max(y for _, y in points))))
    crop = image.crop((left, top, right, bottom))
    if region.polygons or region.xyxyxyxy:
        mask = Image.new("L", crop.size)
        for part in region.outline:
            ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in part], fill=255)
        crop.putalpha(mask)
    return crop
