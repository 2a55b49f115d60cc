"""The journal to files: one data set, table or set of texts over all pictures that are answered."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from playground.annotate.answers import JOB, REVIEWS, Answers, Row
from playground.annotate.reading import SourceReader
from playground.annotate.sources import JOURNAL, page_of
from playground.annotate.splits import Split
from playground.annotate.tracking import Followed, film_frames
from playground.choosing import chosen
from playground.drawing import Look, default_styles
from playground.errors import ExportRejected, ImageRejected
from playground.export import FORMATS, VIDEO_FORMATS, Affixes, Annotated, Format, export, file_name
from playground.question import Question
from playground.results import Prediction

_ALIASES = {"jsonl": "json"}
_NO_AFFIXES = Affixes()
_OWN_FILES = (JOURNAL, REVIEWS, JOB)  # of a job, in the folder in which its data sets are
_FORMATS = {row.id: row for row in (*FORMATS, *VIDEO_FORMATS)}
FORMAT_IDS = (*_FORMATS, *_ALIASES)
VIDEO_FORMAT_IDS = tuple(row.id for row in VIDEO_FORMATS)
DIVIDED_FORMAT_IDS = tuple(row.id for row in FORMATS if row.has_parts)


def read_formats(text: str) -> tuple[str, ...]:
    """Return the ids of formats from a list with commas. Raises ExportRejected."""
    named = [part.strip().lower() for part in text.split(",") if part.strip()]
    for name in named:
        if name not in FORMAT_IDS:
            raise ExportRejected(f"{name[:80]!r} is not a format. Formats: {', '.join(FORMAT_IDS)}.")
    return tuple(dict.fromkeys(_ALIASES.get(name, name) for name in named))


@dataclass(slots=True)
class WrittenFile:
    """A file, with the pictures that are in it, and those that could not be put there."""

    path: Path
    num_pictures: int = 0
    left_out: list[str] = field(default_factory=list)  # sentences
    num_failed: int = 0  # that could not be answered, and are not named there
    is_cut: bool = False  # whether it was stopped before its end


def write_output(
    journal: Answers,
    reader: SourceReader,
    format_id: str,
    wanted: Question,
    *,
    shown_from: float,
    only_approved: bool = False,
    name: str = "",
    split: Split | None = None,
    affixes: Affixes = _NO_AFFIXES,
    is_stopped: Callable[[], bool] = lambda: False,
    by_track: bool = False,
) -> WrittenFile | None:
    """Write the answered pictures of a journal into its folder; returns None where there is none.

    `wanted` is the question of the journal with what is to be made of its answers. A picture that is not there any
    more, or is another by now, is left out. `shown_from` is the lowest score that the page would show; the file has a
    `name`, or that of the folder. A data set that knows parts is divided by `split`. A video that `is_stopped` ends
    there; `by_track` gives each thing in it a color of its own. Raises ExportRejected.
    """
    row_of_format = _FORMATS[format_id]
    has_pixels, suffix = row_of_format.has_pixels, row_of_format.suffix
    is_one = _is_one(journal, row_of_format, only_approved=only_approved)
    # A name that no other format has.
    is_alone = suffix or is_one or row_of_format.extension_of_several != "zip"
    name = name or journal.folder.resolve().name
    plain, told = (file_name(each, format_id, count=1 if is_one else 2) for each in (name, f"{name}-{format_id}"))
    written = WrittenFile(journal.folder / (plain if is_alone and plain.lower() not in _OWN_FILES else told))
    least = None if row_of_format.holds_all else shown_from
    parts = _parts(journal, split, only_approved=only_approved) if split and row_of_format.has_parts else {}
    followed = cache(partial(Followed, journal, wanted, shown_from))

    def frames() -> Iterator[Annotated]:
        all_frames = film_frames(
            journal, reader, followed(), written.left_out, has_pixels=has_pixels, only_approved=only_approved
        )
        for frame in all_frames:
            if is_stopped():
                written.is_cut = True
                return
            written.num_pictures += 1
            yield frame

    def pictures() -> Iterator[Annotated]:
        for row in journal.rows(only_approved=only_approved, by_document=row_of_format.is_document):
            if row.prediction is None:
                if row_of_format.is_document:
                    written.left_out.append(f"{row.source}: {row.error}")
                else:
                    written.num_failed += 1
                continue
            is_frame = row.source.seconds is not None
            told = replace(row, prediction=followed().with_tracks(row)) if is_frame else row
            try:
                picture = replace(
                    _annotated(told, reader, wanted, least, has_pixels=has_pixels),
                    subset=parts.get(row.sha256, ""), affixes=affixes,
                    frame=followed().frame_of(row) if is_frame else None,
                )  # fmt: skip
            except ImageRejected as error:
                written.left_out.append(f"{row.source}: {error}")
                continue
            written.num_pictures += 1
            yield picture

    try:
        wanted_pictures = frames() if row_of_format.is_film else pictures()
        export(
            wanted_pictures, format_id, written.path, replace(_look(journal), by_track=by_track), as_several=not is_one
        )
    except ExportRejected:
        if written.num_pictures:
            raise
        return None
    except OSError as error:
        raise ExportRejected(
            f"{written.path} cannot be written ({error.strerror}). Make room and try again."
        ) from error
    return written


def prediction_of(row: Row, wanted: Question, least: float | None) -> Prediction:
    """Return what of an answer goes into files; `least` is the lowest score that the page would show."""
    assert row.prediction is not None
    return chosen(replace(row.prediction, question=wanted), shown_from=least)


def _parts(journal: Answers, split: Split, *, only_approved: bool) -> dict[str, str]:
    """Return the part of each file, by the digest of its content: two copies of one are in one part."""
    rows = journal.rows(only_approved=only_approved)
    return split.assign(Counter(row.sha256 for row in rows if row.prediction is not None))


def _annotated(row: Row, reader: SourceReader, wanted: Question, least: float | None, *, has_pixels: bool) -> Annotated:
    assert row.prediction is not None
    name, prediction = row.source.stem, prediction_of(row, wanted, least)
    if not has_pixels:
        return Annotated(name, prediction, lambda: reader.read(row.source), page=page_of(row.source))
    file = reader.file_of(row.source)
    image = reader.read(row.source, file)
    if image.digest != row.prediction.digest:
        raise ImageRejected("It is another picture than the one that was asked about. Start the command again.")
    original = file if row.source.is_whole_file else None
    labels = tuple(region.label for region in row.prediction.regions)
    return Annotated(name, prediction, image, original, labels, page=page_of(row.source))


def _is_one(journal: Answers, row_of_format: Format, *, only_approved: bool) -> bool:
    """Whether a format makes one file of all: the pages of a document, or the frames of a video."""
    wholes: set[str] = set()
    for row in journal.rows(only_approved=only_approved):
        page = page_of(row.source)
        if row_of_format.is_film:
            wholes |= {row.source.path} if row.source.seconds is not None else set()
        elif not row_of_format.is_document or page is None:
            return False
        else:
            wholes.add(page.document)
        if len(wholes) > 1:
            return False
    return bool(wholes)


def _look(journal: Answers) -> Look:
    """Return the look that shows the finest shape of the first answer that has one."""
    for row in journal.rows():
        if row.prediction and row.prediction.regions:
            return Look(default_styles(row.prediction))
    return Look(("box",))
