"""Data sets take the uploaded file where every reader sees the picture in it that was asked about."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from playground.export import Annotated
from playground.pictures.reader import InputImage, read_image
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from tests.export.samples import files_of, instances_of, noise, written

PICTURES = {"coco": "images/default", "yolo": "images", "voc": "JPEGImages"}
STREET = noise().pixels
HALF_CLEAR = Image.merge("RGBA", (*STREET.split(), Image.linear_gradient("L").resize(STREET.size)))
OPAQUE = STREET.convert("RGBA")


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return saved(STREET, "JPEG", exif=exif)


def sixteen_bits() -> bytes:
    return saved(Image.fromarray(np.asarray(STREET.convert("L")).astype(np.uint16) * 257), "PNG")


def data_set(original: Path | bytes | None, image: InputImage, format_id: str = "coco") -> bytes:
    prediction = Prediction(Question("<OD>"), "tiny-florence2", image.resolution_wh, is_final=True)
    return written([Annotated("街道", prediction, image, original)], format_id)


def picture_in(content: bytes, format_id: str = "coco") -> tuple[str, bytes]:
    folder = PICTURES[format_id]
    ((name, picture),) = [(n, data) for n, data in files_of(content).items() if n.startswith(f"{folder}/")]
    return name.removeprefix(f"{folder}/"), picture


@pytest.mark.parametrize("format_id", PICTURES)
@pytest.mark.parametrize(
    ("original", "name"),
    [
        pytest.param(saved(STREET, "JPEG"), "街道.jpg", id="jpeg"),
        pytest.param(saved(STREET, "MPO", save_all=True, append_images=[STREET]), "街道.jpg", id="jpeg with a second"),
        pytest.param(saved(STREET.convert("L"), "JPEG"), "街道.jpg", id="gray"),
        pytest.param(saved(STREET, "PNG"), "街道.png", id="png"),
        pytest.param(saved(STREET.quantize(64), "PNG"), "街道.png", id="palette"),
        pytest.param(saved(OPAQUE, "PNG"), "街道.png", id="alpha that is opaque"),
        pytest.param(saved(STREET, "WEBP"), "街道.webp", id="webp"),
        pytest.param(saved(STREET, "BMP"), "街道.bmp", id="bmp"),
        pytest.param(saved(STREET, "TIFF"), "街道.tif", id="tiff"),
    ],
)
def test_a_file_that_all_read_alike_is_taken_byte_for_byte(format_id: str, original: bytes, name: str) -> None:
    content = data_set(original, read_image(original), format_id)
    assert picture_in(content, format_id) == (name, original)
    assert "Pictures that are the uploaded files, byte for byte" in files_of(content)["README.txt"].decode()


@pytest.mark.parametrize(
    "original",
    [
        pytest.param(turned, id="turned by its EXIF"),
        pytest.param(lambda: saved(HALF_CLEAR, "PNG"), id="transparent"),
        pytest.param(lambda: saved(STREET, "PNG", save_all=True, append_images=[noise(4).pixels]), id="frames"),
        pytest.param(lambda: saved(STREET, "GIF"), id="a kind that not all open"),
        pytest.param(sixteen_bits, id="16 bits"),
        pytest.param(lambda: saved(STREET.convert("CMYK"), "TIFF"), id="colors of a printer"),
    ],
)
@pytest.mark.parametrize("format_id", PICTURES)
def test_a_file_that_others_read_otherwise_is_written_anew(format_id: str, original: Callable[[], bytes]) -> None:
    image = read_image(original())
    content = data_set(original(), image, format_id)
    name, picture = picture_in(content, format_id)
    assert name == "街道.png"
    assert Image.open(io.BytesIO(picture)).tobytes() == image.pixels.tobytes()
    assert (
        "written anew as PNG, with the pixels that were asked about: 1 (街道)"
        in files_of(content)["README.txt"].decode()
    )


@pytest.mark.parametrize(
    "original",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xd8\xff", id="no picture"),
        pytest.param(saved(STREET, "PNG")[:5000], id="cut short"),
        pytest.param(Path("/no/such/file.png"), id="deleted"),
        pytest.param(saved(noise(4).pixels, "PNG"), id="another picture of the same size"),
        pytest.param(saved(STREET.resize((80, 60)), "PNG"), id="another size"),
    ],
)
def test_a_file_that_is_not_the_picture_is_not_taken(original: bytes | Path | None) -> None:
    name, picture = picture_in(data_set(original, noise()))
    assert name == "街道.png"
    assert Image.open(io.BytesIO(picture)).tobytes() == STREET.tobytes()


def test_a_file_is_taken_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    STREET.save(path)
    assert picture_in(data_set(path, read_image(path)))[1] == path.read_bytes()


# A picture that was scaled down to be asked about

SCALED = InputImage(STREET.resize((80, 60)), "digest", original_wh=(160, 120))
CAR = Region(
    "car", (40, 30, 80, 60), xyxyxyxy=(40, 30, 80, 30, 80, 60, 40, 60), polygons=(((40, 30), (80, 30), (80, 60)),)
)


def scaled(original: bytes | None, format_id: str) -> bytes:
    prediction = Prediction(Question("<OD>"), "tiny-florence2", (160, 120), regions=(CAR,), is_final=True)
    return written([Annotated("street", prediction, SCALED, original)], format_id)


def test_the_large_file_of_a_scaled_picture_is_taken_with_regions_in_its_pixels() -> None:
    original = saved(STREET, "JPEG")
    content = scaled(original, "coco")
    assert picture_in(content) == ("street.jpg", original)
    whole = instances_of(content)
    assert (whole["images"][0]["width"], whole["annotations"][0]["bbox"]) == (160, [40, 30, 40, 30])


def test_without_its_file_the_regions_are_in_the_pixels_of_what_is_there() -> None:
    content = scaled(None, "coco")
    assert Image.open(io.BytesIO(picture_in(content)[1])).size == (80, 60)
    whole = instances_of(content)
    assert (whole["images"][0]["width"], whole["images"][0]["height"]) == (80, 60)
    assert whole["annotations"][0]["bbox"] == [20, 15, 20, 15]
    assert whole["annotations"][0]["segmentation"] == [[20, 15, 40, 15, 40, 30]]


def test_drawings_and_crops_of_a_scaled_picture_have_its_size() -> None:
    assert Image.open(io.BytesIO(scaled(None, "png"))).size == (80, 60)
    assert Image.open(io.BytesIO(scaled(None, "overlay"))).size == (80, 60)
    crop = Image.open(io.BytesIO(files_of(scaled(None, "crops"))["crops/001-car.png"]))
    assert crop.tobytes() == SCALED.pixels.crop((20, 15, 41, 31)).tobytes()
