"""What is covered is in no file, whatever its format."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image, UnidentifiedImageError

from playground.drawing import Look
from playground.export import FORMATS, Annotated, export
from playground.pictures.reader import read_image
from playground.question import Question
from playground.regions import Region
from tests.export.samples import predict

FACE = Region("face", (40.0, 30.0, 80.0, 70.0))
PLATE = Region("plate", (100.0, 80.0, 140.0, 95.0), xyxyxyxy=(100.0, 80.0, 140.0, 84.0, 140.0, 95.0, 100.0, 91.0))
OUTLINED = Region("cat", (10.0, 80.0, 40.0, 110.0), polygons=(((10.0, 80.0), (40.0, 95.0), (20.0, 110.0)),))


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A photograph of bright noise that says where it was taken."""
    pixels = np.random.default_rng(1).integers(120, 256, (120, 160, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Image.fromarray(pixels).save(tmp_path / "home.png", exif=exif)
    return tmp_path / "home.png"


def files_in(content: bytes) -> list[bytes]:
    if content[:4] == b"%PDF":
        drawn = io.BytesIO()
        pypdfium2.PdfDocument(content)[0].render(scale=200 / 72).to_pil().resize((160, 120)).save(drawn, "PNG")
        return [content, drawn.getvalue()]
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return [content]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [archive.read(name) for name in archive.namelist()]


@pytest.mark.parametrize("row", [row for row in FORMATS if row.has_pixels], ids=lambda row: row.id)
@pytest.mark.parametrize(
    ("regions", "is_by_person"),
    [((FACE,), False), ((FACE, PLATE, OUTLINED), False), ((FACE, PLATE, OUTLINED), True)],
    ids=["a box", "every shape", "every shape, by a person"],
)
def test_no_pixel_of_what_is_covered_is_in_a_file_and_nothing_of_where_it_came_from(
    row, regions, is_by_person, photograph
):
    image, target = read_image(str(photograph)), io.BytesIO()
    if is_by_person:
        regions = [replace(region, cover="cover", score=0.1) for region in regions]
    annotated = Annotated("home", predict(*regions), image, photograph)
    export([annotated], row.id, target, Look(("box",) if is_by_person else ("cover", "box"), labels=False))
    bright = 0
    for content in files_in(target.getvalue()):
        assert b"taken at home" not in content
        assert b"A car." not in content  # what was read there may be the very text that is covered
        try:
            picture = Image.open(io.BytesIO(content))
        except UnidentifiedImageError:
            continue
        if picture.mode == "1":
            continue  # the masks of crops
        if picture.size == (160, 120):
            seen = np.asarray(picture.convert("RGB"))
            for region in regions:  # but for the lines round them
                x_min, y_min, x_max, y_max = map(int, region.xyxy)
                assert seen[y_min + 3 : y_max - 3, x_min + 3 : x_max - 3].max() < 20, row.id
            bright += int((seen > 120).mean() > 0.5)
        else:
            assert np.asarray(picture.convert("RGB")).max() < 20, f"a crop in {row.id}"
    assert bright or row.id in ("overlay", "crops"), "the rest of the picture stays"


@pytest.mark.parametrize("style", ["blur", "pixelate"])
def test_what_is_blurred_is_so_in_a_data_set_too(style, photograph):
    image, target = read_image(str(photograph)), io.BytesIO()
    annotated = Annotated("home", predict(FACE), image, photograph)
    export([annotated], "yolo", target, Look((style,)))
    (picture,) = (Image.open(io.BytesIO(file)) for file in files_in(target.getvalue()) if file[:4] == b"\x89PNG")
    before, after = (np.asarray(one.convert("RGB"))[32:68, 42:78].astype(int) for one in (image.pixels, picture))
    assert after.std() < 0.5 * before.std()


def test_what_is_taken_off_is_not_covered(photograph):
    image, target = read_image(str(photograph)), io.BytesIO()
    whole = predict(FACE, replace(FACE, xyxy=(100.0, 30.0, 140.0, 70.0)))
    export([Annotated("home", whole.keep(lambda index, _: index == 0), image)], "png", target, Look(("cover",), False))
    seen = np.asarray(Image.open(target))
    assert seen[40:60, 50:70].max() == 0
    assert seen[40:60, 110:130].min() >= 120


def test_what_a_person_has_covered_is_hidden_in_its_own_way_and_its_text_with_it(photograph):
    blurred = replace(FACE, label="12 Main Street", text="12 Main", cover="blur")
    beside = replace(FACE, label="open", xyxy=(100.0, 30.0, 140.0, 70.0))
    read = replace(predict(blurred, beside), question=Question("<OCR_WITH_REGION>"), text="12 Main Street open")
    image = read_image(str(photograph))
    for row in FORMATS:
        target = io.BytesIO()
        export([Annotated("home", read, image, photograph)], row.id, target, Look(()))
        assert not any(b"Main" in content for content in files_in(target.getvalue())), row.id
        if row.id == "png":
            before, after = (np.asarray(one.convert("RGB")).astype(int) for one in (image.pixels, Image.open(target)))
            assert after[32:68, 42:78].std() < 0.5 * before[32:68, 42:78].std()
            assert (after[32:68, 102:138] == before[32:68, 102:138]).all()
        if row.id == "txt":
            assert target.getvalue().decode().split() == ["open"]
