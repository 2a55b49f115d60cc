"""The use case: a picture and a question become a stream of predictions.

The only place where questions and engines meet. Knows nothing of drawing, files or the web page.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice
from statistics import fmean
from typing import Any

from playground.answering import GrowingAnswer, Prompt, follow_up, join_texts, picture_confidence, prompts_of
from playground.checkpoints.catalog import Probe
from playground.engines import Ask, AskedEngine, Engines, WaitCancelled
from playground.errors import CheckpointUnavailable, EngineFailed, UnknownTask
from playground.events import Decoding, Event, Finished, Progress, RunStage, Token
from playground.pictures.reader import InputImage, read_image
from playground.pool import Pool
from playground.question import CheckedQuestion, Question, check_question
from playground.regions import Region
from playground.results import Prediction, Timings
from playground.settings import Settings
from playground.tasks import TASKS, OwnTask, Task, get_task

_PROBING = Decoding(max_new_tokens=256)  # greedy, and longer than any sentence about one picture
_MAX_PICTURES = 1000  # whose confidence is remembered: a number each


class Predictor:
    """Ask about pictures.

        predictor = Predictor.load("tiny-florence2")
        prediction = predictor.predict("street.png", "<OD>")

    Safe to use from several threads: the model answers one at a time, and ends after `run_seconds` with what is there.
    """

    def __init__(
        self, engines: Engines, *, read: Callable[..., InputImage] = read_image, run_seconds: float = math.inf
    ) -> None:
        self.engines = engines
        self._read = read
        self._run_seconds = run_seconds
        self._known_pictures = _KnownPictures()

    @classmethod
    def load(cls, checkpoint: str, *, device: str = "auto", offline: bool = False) -> "Predictor":
        """Load a catalog name, a hub id or a folder; returns when it is ready. Raises CheckpointUnavailable."""
        # A download that goes on is worth waiting for: only one that stalls is given up.
        settings = Settings(checkpoint=checkpoint, device=device, offline=offline, load_wait_seconds=math.inf)
        pool = Pool(settings)
        pool.start()
        with pool.acquire(checkpoint, cancelled=lambda: False):
            return cls(pool)

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
        """Return the final prediction for a question, or for the id of a task and what `Question` takes beside it."""
        if not isinstance(question, Question):
            given: Any = regions  # whatever kind of sequence it is, the question makes it tuples
            question = Question(question, phrase, given, checkpoint, decoding, max_new_tokens)
        *_, final = self.run(image, question)
        return final

    def run(
        self, image: Any, question: Question, *, stop: threading.Event | None = None
    ) -> Generator[Prediction, None, None]:
        """Check the question at once, then return a generator of ever more complete predictions.

        `image` is what `read_image` takes. Exactly one value is final, the last. Setting `stop` ends the run with what
        is there; closing the generator ends it too.

        Raises ImageRejected, UnknownTask or InputRejected at once, CheckpointUnavailable or EngineFailed on the way.
        """
        picture = self.read_image(image)
        return self._run(picture, self._checked(question, picture), stop or threading.Event())

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
                checked = check_question(question, image.resolution_wh, engine.checkpoint.tasks)
                yield from _Run(
                    image, checked, engine, stop, started, self._run_seconds, self._known_pictures
                ).predictions()
        except WaitCancelled:
            yield replace(waiting, stage=RunStage.STOPPED, is_final=True)


class _KnownPictures:
    """What the probes of checkpoints have told of the last pictures, by checkpoint and digest."""

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[str, str], float | None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> float | None:
        return self._values.get(key)

    def put(self, key: tuple[str, str], value: float | None) -> None:
        with self._lock:
            self._values[key] = value
            if len(self._values) > _MAX_PICTURES:
                self._values.popitem(last=False)


class _Run:
    """One run: puts the prompts of a question to an engine and gathers the answers into predictions."""

    def __init__(
        self,
        image: InputImage,
        question: CheckedQuestion,
        engine: AskedEngine,
        stop: threading.Event,
        started: float,
        run_seconds: float,
        known_pictures: "_KnownPictures",
    ) -> None:
        self._known_pictures = known_pictures
        self._image = image
        self._question = question
        self._engine = engine
        self._stop = stop
        self._started = started
        self._run_seconds = run_seconds
        self._deadline = time.monotonic() + run_seconds
        self._timings = Timings()
        self._stage = RunStage.WAITING
        self._notices = [*image.notices, *_notices_beforehand(question, engine)]
        self._texts: list[str] = []  # of the prompts that are answered
        self._raw_texts: list[str] = []
        self._regions: list[Region] = []
        self._confidences: list[float | None] = []
        self._picture_key = (engine.checkpoint.name, image.digest)
        self._picture_confidence = known_pictures.get(self._picture_key)
        self._is_truncated = False

    def predictions(self) -> Generator[Prediction, None, None]:
        # Some at once: each takes memory for its keys and values, and a crop is a copy of pixels.
        prompts = prompts_of(self._question)
        while self._stage is not RunStage.STOPPED and (some := list(islice(prompts, self._engine.max_asks))):
            yield from self._answer(some)
        following = follow_up(self._question.task, self._texts[0] if self._texts else "")
        if following and self._stage is not RunStage.STOPPED:
            yield from self._answer([following])
        probe = self._engine.checkpoint.probe
        if probe and self._picture_confidence is None and self._stage is not RunStage.STOPPED:
            self._probe(probe)
        yield self._final()

    def _probe(self, probe: Probe) -> None:
        """Find out whether the picture is one of the checkpoint's kind, once for all questions about it.

        Comes after the answer, which is complete: a probe that is stopped or fails leaves the picture unjudged.
        """
        asks, tokens = [Ask(self._image, get_task(probe.task).fill())], []
        events = self._engine.generate(asks, _PROBING, stop=self._stop, deadline=self._deadline)
        with suppress(EngineFailed), closing(events):
            for event in events:
                if isinstance(event, Token):
                    tokens.append(event)
                elif isinstance(event, Finished) and not event.is_stopped:
                    self._picture_confidence = picture_confidence(probe, tokens)
                    self._known_pictures.put(self._picture_key, self._picture_confidence)

    def _answer(self, prompts: Sequence[Prompt]) -> Generator[Prediction, None, None]:
        prompts = [self._fit(prompt) for prompt in prompts]
        banned = self._engine.banned_phrases
        answers = [GrowingAnswer(prompt, self._image.resolution_wh, banned) for prompt in prompts]
        asks = [Ask(self._picture_for(prompt), prompt.filled) for prompt in prompts]
        events = self._engine.generate(asks, self._question.decoding, stop=self._stop, deadline=self._deadline)
        try:
            for event in events:
                self._take(answers, event)
                yield self._prediction(answers)
        finally:
            events.close()
        for answer in answers:
            self._keep(answer)

    def _fit(self, prompt: Prompt) -> Prompt:
        shortened = prompt.shortened(self._engine.max_prompt_tokens, self._engine.num_tokens)
        if shortened != prompt:
            self._notice("The text was longer than the model can take; only its beginning was used.")
        return shortened

    def _picture_for(self, prompt: Prompt) -> InputImage:
        return self._image.crop(prompt.xyxy) if prompt.task.on_crop and prompt.xyxy else self._image

    def _take(self, answers: Sequence[GrowingAnswer], event: Event) -> None:
        now = (time.perf_counter() - self._started) * 1000
        if isinstance(event, Progress):
            self._stage = event.stage
            self._add_encoding_times(event)
        elif isinstance(event, Finished):
            self._is_truncated |= event.is_truncated
            self._stage = RunStage.STOPPED if event.is_stopped else self._stage
        else:
            answer = answers[event.answer]
            answer.take(event)
            if self._timings.first_token is None and answer.raw_text:
                self._timings = replace(self._timings, first_token=now)
            if self._timings.first_region is None and answer.regions:
                self._timings = replace(self._timings, first_region=now)

    def _add_encoding_times(self, event: Progress) -> None:
        if event.stage is RunStage.WRITING:
            self._timings = replace(
                self._timings,
                encode_image=(self._timings.encode_image or 0.0) + (event.encode_image_ms or 0.0),
                encode_prompt=(self._timings.encode_prompt or 0.0) + (event.encode_prompt_ms or 0.0),
            )

    def _keep(self, answer: GrowingAnswer) -> None:
        self._raw_texts.append(answer.raw_text)
        self._texts.append(answer.text)
        if answer.ignored:
            self._notice(_ignored_sentence(answer.ignored))
        self._regions += answer.regions
        self._confidences.append(answer.confidence)

    def _notice(self, sentence: str) -> None:
        if sentence not in self._notices:
            self._notices.append(sentence)

    def _prediction(self, answers: Sequence[GrowingAnswer] = ()) -> Prediction:
        """What is known now: the answers so far and those being written."""
        texts = [*self._texts, *(answer.text for answer in answers)]
        raw_texts = [*self._raw_texts, *(answer.raw_text for answer in answers)]
        regions = [*self._regions, *(region for answer in answers for region in answer.regions)]
        confidences = [*self._confidences, *(answer.confidence for answer in answers)]
        measured = [confidence for confidence in confidences if confidence is not None]
        confidence = fmean(measured) if measured else None
        is_numbered = len(self._question.regions) > 1
        return Prediction(
            question=self._question.question,
            checkpoint=self._engine.checkpoint.name,
            resolution_wh=self._image.resolution_wh,
            digest=self._image.digest,
            text=join_texts(self._question.task, texts, regions, is_numbered=is_numbered),
            regions=tuple(regions),
            raw_text="\n".join(raw_texts),
            stage=self._stage,
            is_draft=any(answer.is_draft for answer in answers),
            is_truncated=self._is_truncated,
            notices=tuple(self._notices),
            confidence=confidence,
            picture_confidence=self._picture_confidence,
            is_unsure=self._engine.checkpoint.is_unsure(self._question.task.id, confidence, self._picture_confidence),
            timings=replace(self._timings, total=(time.perf_counter() - self._started) * 1000),
        )

    def _final(self) -> Prediction:
        if self._is_truncated:
            asked = self._question.decoding.max_new_tokens
            self._notice(
                f"The answer was cut after {asked} tokens. Raise the limit under Advanced to see the rest."
                if asked is not None and asked < self._engine.max_answer_tokens
                else "The answer was cut: it is longer than this model can write."
            )
        if self._stage is not RunStage.STOPPED:
            self._stage = RunStage.DONE
        elif not self._stop.is_set():
            self._notice(
                f"The answer was ended after {self._run_seconds:g} seconds, the most that one may take here. "
                "Ask about fewer regions or phrases, or lower the limit of tokens under Advanced."
            )
        final = self._prediction()
        unsure = (self._engine.checkpoint.unsure_note,) if final.is_unsure else ()
        return replace(final, notices=(*final.notices, *unsure), is_final=True)


def _notices_beforehand(question: CheckedQuestion, engine: AskedEngine) -> list[str]:
    """What is to be told whatever the answer will be."""
    checkpoint, task = engine.checkpoint, question.task
    notices = [sentence for sentence in (checkpoint.note, engine.notice) if sentence]
    is_known = checkpoint.known_tasks is None or task.id in checkpoint.known_tasks or task in (checkpoint.tasks or ())
    if not is_known:
        notices.append(f"{checkpoint.title} has not learned “{task.title}”; its answer to that means nothing.")
    if question.is_neutralized:
        notices.append("Names in angle brackets are tokens of the model; yours were put to it as plain text.")
    return notices


def _ignored_sentence(labels: Sequence[str]) -> str:
    names = ", ".join(f"“{label}”" for label in dict.fromkeys(labels))
    return f"Florence-2 does not ground {names}: such words name nothing in particular. Name the thing itself."
