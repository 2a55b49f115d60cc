"""The short form for Python: sources and a question to annotated pictures."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from playground.annotate.job import AnswersTogether, PictureAnswered, PictureFailed, run_job
from playground.annotate.own_text import OwnTextFirst
from playground.annotate.reading import SourceReader
from playground.annotate.sources import PictureSource, check_sources, find_sources, page_of
from playground.export import Annotated
from playground.pictures.workers import PictureWorkers
from playground.predictor import Predictor
from playground.question import Question

_logger = logging.getLogger(__name__)


def annotate(
    sources: str | Path | Sequence[str | Path],
    question: Question,
    *,
    predictor: Predictor | None = None,
    own_text: bool = False,
    failed: Callable[[PictureSource, str], None] | None = None,
) -> Iterator[Annotated]:
    """Ask about the pictures of files, folders, patterns and archives, and yield each with its answer, in order.

    Pictures are answered some at a time, and those that follow are read meanwhile. One that cannot be read or answered
    is told to `failed`, or to the log, and the next one comes. With `own_text`, a page of a PDF that holds text is not
    read: that text is its answer. Raises SourceRejected for what is not there, and what
    `Predictor.run` raises for a question that cannot be asked.
    """
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    check_sources(given)
    predictor = predictor or Predictor.load(question.checkpoint)
    with predictor.engines.acquire(question.checkpoint) as engine:
        group_size = engine.max_asks
    answers: AnswersTogether = OwnTextFirst(predictor, question) if own_text else predictor
    return _annotate(given, question, answers, group_size, failed or _log)


def _annotate(
    given: Sequence[str | Path],
    question: Question,
    predictor: AnswersTogether,
    group_size: int,
    failed: Callable[[PictureSource, str], None],
) -> Iterator[Annotated]:
    with closing(PictureWorkers()) as workers:
        reader = SourceReader(workers.read)
        sources = find_sources(given)
        for event in run_job(predictor, reader, sources, question, group_size=group_size, in_order=True):
            if isinstance(event, PictureAnswered):
                original = reader.file_of(event.source) if event.source.is_whole_file else None
                page = page_of(event.source)
                yield Annotated(event.source.stem, event.prediction, event.image, original, page=page)
            elif isinstance(event, PictureFailed):
                failed(event.source, event.error)


def _log(source: PictureSource, error: str) -> None:
    _logger.warning("%s: %s", source, error)
