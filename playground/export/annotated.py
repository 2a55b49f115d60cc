"""What is saved: pictures with their predictions, any number of them, one in memory at a time.

`Annotated` is what a caller hands in; `check_pictures` makes of it what every format takes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from PIL import Image

from playground.drawing import Look
from playground.drawing.annotate import hide, is_too_large
from playground.drawing.detections import MAX_PAINTED_MEGAPIXELS
from playground.drawing.styles import styles_in
from playground.errors import ExportRejected
from playground.export.names import UniqueNames, safe_name
from playground.export.originals import LookPlainly, file_as_it_came
from playground.export.texts import Affixes, without_what_was_read
from playground.pictures.plain import look_plainly
from playground.pictures.reader import InputImage
from playground.results import Prediction

MAX_PARTS, MAX_OUTLINE_POINTS = 5000, 200_000  # of all outlines of a picture: a few seconds in the slowest format


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Which page of which document a picture is. `document` is unlike that of any other, `name` is for its file."""

    document: str
    name: str
    number: int  # from 1


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """Which frame of which video a picture is. `video` is unlike that of any other, `name` is for its file.

    `number` counts from 1 the frames that were asked about, which are mostly `step` seconds apart. `frame_from` returns
    the first of all frames from a time on with its own time, `sound` what is heard from a time to another.
    """

    video: str
    name: str
    number: int
    seconds: float
    step: float
    frame_from: Callable[[float], tuple[float, Image.Image] | None] = lambda _: None
    sound: Callable[[float, float], bytes] = lambda _start, _end: b""


@dataclass(frozen=True, slots=True)
class Annotated:
    """A picture with what was answered about it; `name` is that of the picture, without an extension.

    `image` may be a function that reads the picture, which is called once, when its turn comes: so the pictures of a
    long list never lie in memory together. `original` is the file that it came in: data sets take it as it is where
    other readers see the same picture in it, as `look_plainly` says. `labels` are those of the whole answer, of which
    the prediction may be a part: what is drawn keeps its colors. `page` is known of pictures that are pages of a
    document: formats of documents make one file of those that follow one another; so is `frame` for
    videos. `subset` names the part of a data set that a picture belongs to, `affixes` stand around its caption.
    """

    name: str
    prediction: Prediction
    image: InputImage | Callable[[], InputImage]
    original: Path | bytes | None = None
    labels: tuple[str, ...] = ()
    look_plainly: LookPlainly = look_plainly
    page: DocumentPage | None = None
    subset: str = ""
    affixes: Affixes = field(default_factory=Affixes)
    frame: VideoFrame | None = None


@dataclass(frozen=True, slots=True)
class CheckedPicture:
    """A picture that its prediction is about. `stem` is its name for files, unlike that of any other of its export.

    `given` is not read yet where a format has no pixels.
    """

    stem: str
    prediction: Prediction
    given: InputImage | Callable[[], InputImage]
    original: Path | bytes | None
    labels: tuple[str, ...] = ()
    look_plainly: LookPlainly = look_plainly
    page: DocumentPage | None = None
    subset: str = ""
    affixes: Affixes = field(default_factory=Affixes)
    frame: VideoFrame | None = None

    @property
    def file_as_it_came(self) -> tuple[bytes, str] | None:
        """The bytes of the picture's file and their extension, where all readers see the same in it."""
        return file_as_it_came(self.original, self.image, self.look_plainly)

    @property
    def image(self) -> InputImage:
        """The picture itself."""
        return self.given if isinstance(self.given, InputImage) else self.given()


@dataclass(frozen=True, slots=True)
class CheckedPictures:
    """What a format writes: at least one picture, each read when the iterator gets to it, and the look of drawings."""

    each: Iterator[CheckedPicture]
    look: Look
    are_several: bool


def check_pictures(
    pictures: Iterable[Annotated], look: Look, *, has_pixels: bool, as_several: bool, by_document: bool = False
) -> CheckedPictures:
    """Return the pictures to be iterated once; ExportRejected is raised there for one that its prediction is not about.

    What the look hides is hidden in the pictures themselves, whatever is made of them. Without `has_pixels`, what is to
    be read stays unread. With `by_document`, the pages of one document, or the frames of one
    video, are not several. Raises ExportRejected where there is no picture at all.
    """
    rest = iter(pictures)
    begin = list(islice(rest, 2))
    if not begin:
        raise ExportRejected("There is no picture to save.")
    are_several = as_several or (len(begin) > 1 and not (by_document and _are_of_one_file(begin)))
    each = _check_each(_joined(begin, rest), look.hiding, are_several=are_several, has_pixels=has_pixels)
    return CheckedPictures(each, look, are_several)


def _are_of_one_file(pictures: list[Annotated]) -> bool:
    """Whether pictures are pages of one document, or frames of one video."""
    wholes = {picture.page.document if picture.page else picture.frame and picture.frame.video for picture in pictures}
    return len(wholes) == 1 and None not in wholes


def _joined(begin: list[Annotated], rest: Iterator[Annotated]) -> Iterator[Annotated]:
    while begin:  # `itertools.chain` would hold the list, and so its pictures, until the end
        yield begin.pop(0)
    yield from rest


def _check_each(
    pictures: Iterator[Annotated], hiding: Look, *, are_several: bool, has_pixels: bool
) -> Iterator[CheckedPicture]:
    names = UniqueNames()
    for picture in pictures:
        stem = names.take(safe_name(picture.name, fallback="picture"))
        image = picture.image if isinstance(picture.image, InputImage) or not has_pixels else picture.image()
        mismatch = _mismatch(picture.prediction, image) if isinstance(image, InputImage) else ""
        problem = mismatch or _costs(picture.prediction)
        if problem:
            raise ExportRejected(f"{stem}: {problem}" if are_several else problem)
        checked = CheckedPicture(
            stem, picture.prediction, image, picture.original, picture.labels, picture.look_plainly, picture.page,
            picture.subset, picture.affixes, picture.frame,
        )  # fmt: skip
        yield _hidden(checked, image, hiding) if isinstance(image, InputImage) else checked


def check_drawing(prediction: Prediction, look: Look, image: InputImage) -> None:
    """Refuse a drawing that takes too long. Raises ExportRejected."""
    if is_too_large(prediction, look, image.pixels.size):
        raise ExportRejected(
            f"The regions hold more than {MAX_PAINTED_MEGAPIXELS} megapixels together, too many to be drawn. "
            "Hide some of them, choose the style Box, or save another format."
        )


def _hidden(picture: CheckedPicture, image: InputImage, hiding: Look) -> CheckedPicture:
    """Return a picture without the pixels that are hidden, its file, which may say more, and what was read there."""
    if not styles_in(picture.prediction, hiding):
        return picture
    check_drawing(picture.prediction, hiding, image)
    pixels = hide(image.pixels, picture.prediction, hiding)
    silent = without_what_was_read(picture.prediction, lambda region: bool(hiding.styles or region.cover))
    return replace(picture, prediction=silent, given=replace(image, pixels=pixels), original=None)


def _costs(prediction: Prediction) -> str:
    """Return why an outline takes too long to be written in any format, or nothing. No model writes such a one."""
    parts = [part for region in prediction.regions for part in region.polygons]
    num_points = sum(map(len, parts))
    if len(parts) <= MAX_PARTS and num_points <= MAX_OUTLINE_POINTS:
        return ""
    return (
        f"The outlines have {len(parts)} parts and {num_points} points; at most {MAX_PARTS} parts and "
        f"{MAX_OUTLINE_POINTS} points are saved. Hide some regions and save again."
    )


def _mismatch(prediction: Prediction, image: InputImage) -> str:
    """Return why the prediction is not about this picture, or nothing."""
    expected, got = prediction.resolution_wh, image.resolution_wh
    if expected != got:
        return (
            f"The prediction is about a picture of {expected[0]} x {expected[1]} pixels, but this one has "
            f"{got[0]} x {got[1]}. Send the picture that was asked about."
        )
    if prediction.digest not in ("", image.digest):
        return "The prediction is about another picture of the same size. Send the picture that was asked about."
    return ""
