"""The use case: a picture and a question become a stream of predictions.

The only place where questions and engines meet. Knows nothing of drawing, files or the web page.
"""

import math
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, overload

from playground.asking import KnownPictures, PictureRun, answer_each, answer_one
from playground.engines import AskedEngine, Engines, WaitCancelled
from playground.errors import CheckpointUnavailable, InputRejected, UnknownTask
from playground.events import RunStage
from playground.glances import Glance, look
from playground.likeness import likeness
from playground.masks.prompts import Sharpened
from playground.masks.sharpener import OFF, Sharpener
from playground.pictures.plain import PlainLook, look_plainly
from playground.pictures.reader import InputImage, read_image
from playground.pool import Pool
from playground.question import MAX_INPUTS, Question, check_question
from playground.regions import Region
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import TASKS, TO_FIND, TO_NAME, OwnTask, Task

_MOST_NOTICES = 10  # of regions that have no sharper outline


class Predictor:
    """Ask about pictures.

        predictor = Predictor.load("tiny-florence2")
        prediction = predictor.predict("street.png", "<OD>")

    Safe to use from several threads: the model answers one at a time, and ends after `run_seconds` with what is there.
    """

    def __init__(
        self,
        engines: Engines,
        *,
        read: Callable[..., InputImage] = read_image,
        look_plainly: Callable[..., PlainLook | None] = look_plainly,
        run_seconds: float = math.inf,
        sharpener: Sharpener | None = None,
    ) -> None:
        self.engines = engines
        self.sharpener = sharpener or Sharpener(Settings(masks=OFF))
        self.look_plainly = look_plainly
        self._read = read
        self._run_seconds = run_seconds
        self._known_pictures = KnownPictures()

    @classmethod
    def load(
        cls,
        checkpoint: str | os.PathLike[str],
        *,
        adapter: str | os.PathLike[str] = "",
        device: str = "auto",
        offline: bool = False,
        masks: str | os.PathLike[str] = "",
    ) -> "Predictor":
        """Load a catalog name, a hub id or a folder; returns when it is ready. Raises CheckpointUnavailable.

        `adapter` is a LoRA of it, a hub id or a folder; of several, with commas, the first one answers. `masks` is what
        `sharpen` uses, as `app.py --masks` takes it; it is loaded when it is first needed.
        """
        # A download that goes on is worth waiting for: only one that stalls is given up.
        settings = Settings(
            checkpoint=os.fspath(checkpoint), adapter=os.fspath(adapter), device=device, offline=offline,
            masks=os.fspath(masks), load_wait_seconds=math.inf,
        )  # fmt: skip
        pool, sharpener = Pool(settings), Sharpener(settings)
        pool.start()
        try:
            with pool.acquire():
                return cls(pool, sharpener=sharpener)
        except CheckpointUnavailable as error:
            raise error.in_full() from error

    def read_image(self, source: Any, *, page: int = 0) -> InputImage:
        """Return a picture within the limits: of a path, bytes, a PIL picture or an array. Raises ImageRejected.

        `page` counts from 0 those of a file that has several.
        """
        return source if isinstance(source, InputImage) else self._read(source, page=page)

    def predict(
        self,
        image: Any,
        question: Question | str,
        *,
        phrase: str = "",
        regions: Sequence[Sequence[float]] = (),
        checkpoint: str = "",
        decoding: str = "greedy",
        max_new_tokens: int | None = None,
    ) -> Prediction:
        """Return the final prediction for a question, or for the id of a task and what is given beside it.

        Raises what `run` raises, and InputRejected for what is given beside a question.
        """
        given: Any = regions  # whatever kind of sequence it is, the question makes it tuples
        beside = Question("", phrase, given, checkpoint, decoding, max_new_tokens)
        if not isinstance(question, Question):
            question = replace(beside, task=question)
        elif beside != Question(""):
            sentence = "A question has its phrase, its regions and the rest itself. Give them to it, or give its task."
            raise InputRejected(sentence, field="question")
        *_, final = self.run(image, question)
        return final

    def predict_each(
        self, images: Sequence[Any], question: Question | str, *, stop: threading.Event | None = None
    ) -> Generator[tuple[int, Prediction], None, None]:
        """Ask about several pictures at the same time; yield the place of each and its final prediction, once complete.

        Quicker than one after another, and without timings, which would be those of all. Takes memory for all pictures
        together. Setting `stop` ends each answer with what is there. Raises what `run` raises.
        """
        if isinstance(images, str | bytes):
            raise InputRejected(
                "These are to be several pictures, but one was given. Put it into a list.", field="image"
            )
        question, pictures = _as_question(question), [self.read_image(image) for image in images]
        for picture in pictures:
            question = self._checked(question, picture)
        stop, started = stop or threading.Event(), time.perf_counter()
        name, seconds = question.checkpoint or self.engines.current_name, self._run_seconds * len(pictures)
        try:
            with self.engines.acquire(name, cancelled=stop.is_set) as engine:
                runs = [self._begin(picture, question, engine, stop, started, seconds) for picture in pictures]
                yield from answer_each(runs, engine.max_asks)
        except WaitCancelled:
            for place, picture in enumerate(pictures):
                waiting = Prediction(question, name, picture.resolution_wh, picture.digest)
                yield place, replace(waiting, stage=RunStage.STOPPED, is_final=True)

    def predict_together(
        self, images: Sequence[Any], question: Question | str, *, stop: threading.Event | None = None
    ) -> list[Prediction]:
        """Return the final predictions of `predict_each`, in the order of the pictures."""
        return [prediction for _, prediction in sorted(self.predict_each(images, question, stop=stop), key=_place)]

    def run(
        self, image: Any, question: Question | str, *, stop: threading.Event | None = None
    ) -> Generator[Prediction, None, None]:
        """Check the question at once, then return a generator of ever more complete predictions.

        `image` is what `read_image` takes, `question` may be the id of a task alone. Exactly one value is final, the
        last. Setting `stop` ends the run with what is there; closing the generator ends it too.

        Raises ImageRejected, UnknownTask or InputRejected at once, CheckpointUnavailable or EngineFailed on the way.
        """
        picture = self.read_image(image)
        return self._run(picture, self._checked(_as_question(question), picture), stop or threading.Event())

    def look(self, image: Any, prediction: Prediction, *, stop: threading.Event | None = None) -> tuple[Glance, ...]:
        """Return where the model looked in a picture while it wrote each word of its answer, as it wrote it.

        Raises InputRejected for an answer about another picture, or about parts that were cut out of one.
        """
        picture, stop = self.read_image(image), stop or threading.Event()
        if picture.digest != prediction.digest:
            sentence = "The answer is about another picture. Send the picture that was asked about."
            raise InputRejected(sentence, field="image")
        with self.engines.acquire(prediction.checkpoint, cancelled=stop.is_set) as engine:
            checked = check_question(prediction.question, picture.resolution_wh, engine.checkpoint.tasks)
            deadline = time.monotonic() + self._run_seconds
            return look(engine, picture, checked, prediction.raw_text, stop=stop, deadline=deadline)

    def find_more(
        self,
        image: Any,
        examples: Sequence[Sequence[float]],
        *,
        checkpoint: str = "",
        stop: threading.Event | None = None,
    ) -> Prediction:
        """Return what in the picture is alike to what is in example boxes; the scores say how alike, from 0 to 1.

        The model names and describes the examples, finds what these words name, and each is compared with the examples
        by the features of the vision tower under both. Raises what `run` raises.
        """
        picture, stop = self.read_image(image), stop or threading.Event()
        given: Any = examples
        asked = [Question(task, regions=given, checkpoint=checkpoint) for task in TO_NAME]
        named = [self._last(picture, question, stop) for question in asked]
        words = list(dict.fromkeys(text for answer in named for text in (r.label for r in answer.regions) if text))
        if not words:
            return replace(named[0], regions=(), text="")
        names = tuple((word, named[0].regions[0].label if named[0].regions else word) for word in words)
        question = Question(TO_FIND, checkpoint=checkpoint, names=names[:MAX_INPUTS], one_by_one=True)
        found = self._last(picture, replace(question, merge="iou"), stop)
        if not found.regions:
            return found
        boxes = check_question(asked[0], picture.resolution_wh).regions
        with self.engines.acquire(found.checkpoint, cancelled=stop.is_set) as engine:
            grid = engine.features(picture, stop=stop, deadline=time.monotonic() + self._run_seconds)
        scores = likeness(grid, picture.resolution_wh, boxes, [region.xyxy for region in found.regions])
        pairs = zip(found.regions, scores, strict=True)
        alike = tuple(replace(region, score=score) for region, score in pairs)
        notices = (*found.notices, "The scores say how alike each is to the example.")
        return replace(found, regions=alike, notices=notices, scores_are_likeness=True)

    @overload
    def sharpen(
        self, image: Any, given: Prediction, points: Any = ..., *, stop: threading.Event | None = ...
    ) -> Prediction: ...

    @overload
    def sharpen(
        self, image: Any, given: Sequence[Region], points: Any = ..., *, stop: threading.Event | None = ...
    ) -> tuple[Region, ...]: ...

    def sharpen(
        self,
        image: Any,
        given: Prediction | Sequence[Region],
        points: Any = (),
        *,
        stop: threading.Event | None = None,
    ) -> Prediction | tuple[Region, ...]:
        """Return a prediction, or regions, with sharper outlines of what is in the boxes.

        `points` say more of a single region, each as (x, y, whether it is to be inside). A region keeps its label and
        its score; where there is no sharper outline it stays as it was. A prediction has a notice of that, and must be
        about this picture. Raises what `sharpen_each` does.
        """
        if not isinstance(given, Prediction):
            return tuple(row.region for row in self.sharpened(image, given, points, stop=stop))
        picture = self.read_image(image)
        if given.digest and picture.digest != given.digest:
            sentence = "The answer is about another picture. Send the picture that was asked about."
            raise InputRejected(sentence, field="image")
        made = self.sharpened(picture, given.regions, points, stop=stop)
        why_not = tuple(dict.fromkeys(f"{row.region.label}: {row.why_not}" for row in made if row.why_not))
        ious = ", ".join([f"{row.predicted_iou:.2f}" for row in made if not row.why_not][:_MOST_NOTICES])
        guess = (f"Predicted IoU of the sharper outlines, which is no score: {ious}",) if ious else ()
        regions = tuple(row.region for row in made)
        return replace(given, regions=regions, notices=(*given.notices, *guess, *why_not[:_MOST_NOTICES]))

    def sharpened(
        self, image: Any, regions: Sequence[Region], points: Any = (), *, stop: threading.Event | None = None
    ) -> tuple[Sharpened, ...]:
        """Return what becomes of each region, with the overlap that the model of masks expects. Raises as `sharpen`."""
        deadline = time.monotonic() + self._run_seconds
        return self.sharpener.sharpen(self.read_image(image), regions, points, stop=stop, deadline=deadline)

    def _last(self, picture: InputImage, question: Question, stop: threading.Event) -> Prediction:
        *_, final = self.run(picture, question, stop=stop)
        return final

    def _checked(self, question: Question, picture: InputImage) -> Question:
        """Return a question with the id of its task, unless only its checkpoint, when it has come, can tell that."""
        own_tasks = None
        with suppress(CheckpointUnavailable):  # which is told when its turn has come
            own_tasks = self.own_tasks(question.checkpoint) if isinstance(question.checkpoint, str) else ()
        try:
            return check_question(question, picture.resolution_wh, own_tasks).question
        except UnknownTask:
            if own_tasks is not None:
                raise
            return question

    def own_tasks(self, checkpoint: str = "") -> tuple[OwnTask, ...] | None:
        """Return the tasks that only this checkpoint knows; None where that is not known before it is loaded.

        Raises CheckpointUnavailable for a name that may not be asked for.
        """
        return self.engines.status(checkpoint).checkpoint.tasks

    def tasks(self, checkpoint: str = "") -> tuple[Task, ...]:
        """Return what a checkpoint can be asked: its own tasks, then those of every Florence-2.

        Raises CheckpointUnavailable as `own_tasks` does.
        """
        return (*(self.own_tasks(checkpoint) or ()), *TASKS)

    def _run(self, image: InputImage, question: Question, stop: threading.Event) -> Generator[Prediction, None, None]:
        started = time.perf_counter()
        name = question.checkpoint or self.engines.current_name
        waiting = Prediction(question, name, image.resolution_wh, image.digest)
        yield waiting
        try:
            with self.engines.acquire(name, cancelled=stop.is_set) as engine:
                run = self._begin(image, question, engine, stop, started, self._run_seconds)
                yield from answer_one(run, engine.max_asks)
        except WaitCancelled:
            yield replace(waiting, stage=RunStage.STOPPED, is_final=True)

    def _begin(
        self,
        image: InputImage,
        question: Question,
        engine: AskedEngine,
        stop: threading.Event,
        started: float,
        run_seconds: float,
    ) -> PictureRun:
        checked = check_question(question, image.resolution_wh, engine.checkpoint.tasks)
        return PictureRun(image, checked, engine, stop, started, run_seconds, self._known_pictures)


def _place(answered: tuple[int, Prediction]) -> int:
    return answered[0]


def _as_question(asked: Question | str) -> Question:
    return asked if isinstance(asked, Question) else Question(asked)
