"""An uploaded picture becomes what a tab works on, and what a stage shows. Knows no page."""

from typing import Any

from gradio.data_classes import FileData
from PIL import Image

from playground.pictures.reader import InputImage
from playground.ui.components import StageData
from playground.ui.picture import Upload
from playground.ui.server.files import save_bytes, save_jpeg
from playground.ui.session import Item

DISPLAY_SIDE = 1600  # pixels; a page shows and draws on a copy, files are written at full size


def remember(picture: Upload, image: InputImage, *, seed: int | None = None) -> Item:
    """Keep what was uploaded, and a copy of it to show. `seed` is that of a drawn scene."""
    source = picture.source
    path = source if isinstance(source, str) else save_bytes(source, "picture")
    display = image.pixels.copy()
    display.thumbnail((DISPLAY_SIDE, DISPLAY_SIDE), Image.Resampling.LANCZOS)
    return Item(
        path, save_jpeg(display, "picture"), image.resolution_wh, picture.name, seed=seed,
        file=path if image.num_pages > 1 else "",
        num_pages=image.num_pages,
    )  # fmt: skip


def stage_of(item: Item, **extra: Any) -> StageData:
    """The plain picture of an item, with whatever else is to be on it."""
    if not item.display_path:
        return StageData()
    width, height = item.resolution_wh
    return StageData(image=FileData(path=item.display_path), w=width, h=height, **extra)
