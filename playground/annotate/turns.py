"""What jobs of a server share with each other and with people: their turns to answer, and room on the disk."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import takewhile
from pathlib import Path

from playground.annotate.answers import Answers, Row
from playground.annotate.given import size_of
from playground.engines import WaitCancelled
from playground.fair_lock import FairLock
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction


class WatchedAnswers(Answers):
    """Answers that are written into a file: those that there are at its beginning, since a job may go on meanwhile.

    Between two of them it is looked how large the file has become.
    """

    def __init__(self, folder: Path, take_room: Callable[[int], None]) -> None:
        super().__init__(folder)
        self._take_room = take_room
        self._end = size_of(self._path)

    def placed(self, start: int = 0) -> Iterator[tuple[Row, int]]:
        """Yield the rows as they were finished, each with where its line ends in the journal, from such a place on."""
        return takewhile(lambda placed: placed[1] <= self._end, super().placed(start))

    def rows(self, *, only_approved: bool = False, by_document: bool = False) -> Iterator[Row]:
        """Yield the rows. Raises what `take_room` raises."""
        taken = 0
        for row in super().rows(only_approved=only_approved, by_document=by_document):
            if (size := sum(size_of(path) for path in self.folder.glob("*.part"))) > taken:
                self._take_room(size - taken)
                taken = size
            yield row


class InTurn:
    """Answers a group when no other job does; nothing is answered once the job is to end."""

    def __init__(self, predictor: Predictor, turn: FairLock, ending: threading.Event) -> None:
        self._predictor = predictor
        self._turn = turn
        self._ending = ending

    def predict_each(
        self, images: Sequence[InputImage], question: Question
    ) -> Generator[tuple[int, Prediction], None, None]:
        with (
            self._turn.held(self._check),
            closing(self._predictor.predict_each(images, question, stop=self._ending)) as predictions,
        ):
            for answered in predictions:
                self._check()  # what was cut short is no answer
                yield answered

    def _check(self) -> None:
        if self._ending.is_set():
            raise WaitCancelled
