"""What stands in for the model where only the job is looked at: an answer that says with whom it was given."""

import threading
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

from playground.annotate.job import JobEvent, run_job
from playground.annotate.journal import Journal
from playground.annotate.reading import SourceReader
from playground.annotate.sources import PictureSource, find_sources
from playground.checkpoints.catalog import BUNDLED
from playground.errors import EngineFailed
from playground.events import RunStage
from playground.pictures.reader import read_image
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.regions import Region
from playground.results import Prediction
from playground.settings import Settings

QUESTION = Question("<OD>", checkpoint=BUNDLED)


class GroupPredictor(Predictor):
    """Answers each picture with its place in its group: another group is another answer, as it may be of a model.

    The last one of a group is finished first.
    """

    def __init__(self) -> None:
        super().__init__(Pool(Settings(checkpoint=BUNDLED, offline=True)))  # of which nothing is loaded
        self.num_asked = 0
        self.fails_with = ""  # the digest of a picture that ends each group that it is in

    def predict_each(
        self, images: Sequence[Any], question: Question, *, stop: threading.Event | None = None
    ) -> Generator[tuple[int, Prediction], None, None]:
        yield from reversed([*enumerate(self.answers(images, question))])

    def answers(self, images: Sequence[Any], question: Question) -> list[Prediction]:
        if self.fails_with in [image.digest for image in images]:
            raise EngineFailed("The machine ran out of memory while answering.")
        self.num_asked += len(images)
        return [
            Prediction(
                check_question(question, image.resolution_wh).question, BUNDLED, image.resolution_wh, image.digest,
                text=f"{place} of {len(images)}", regions=(Region("car", (1.0, 2.0, 5.0, 6.0), 0.5),),
                stage=RunStage.DONE, is_final=True,
            )
            for place, image in enumerate(images, start=1)
        ]  # fmt: skip


def run(
    predictor: Predictor, given: Sequence[str | Path], folder: Path, question: Question = QUESTION,
    *, sources: Iterable[PictureSource] | None = None, **options: Any,
) -> list[JobEvent]:  # fmt: skip
    """Run a job in a folder to its end, and return what happened."""
    journal = Journal(folder, question)
    try:
        reader = SourceReader(read_image)
        return list(run_job(predictor, reader, sources or find_sources(given), question, journal=journal, **options))
    finally:
        journal.close()
