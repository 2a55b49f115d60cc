"""A question is put to an engine, about one picture or about several at the same time, and the answers become
predictions.

Knows engines and questions. Knows nothing of how either came to be.
"""

import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice
from statistics import fmean

from playground.answering import (
    MAX_FOLLOWED,
    GrowingAnswer,
    Prompt,
    follow_up,
    join_texts,
    picture_confidence,
    prompts_of,
    region_prompts,
    told_of,
)
from playground.choosing import chosen, text_with
from playground.engines import Ask, AskedEngine
from playground.errors import EngineFailed
from playground.events import Decoding, Event, Finished, Progress, RunStage, Token
from playground.following import given_by
from playground.pictures.reader import InputImage
from playground.question import CheckedQuestion
from playground.regions import Box, Region
from playground.results import Prediction, Timings
from playground.tasks import get_task
from playground.tiling import TileAnswer, join_parts, side_for, tiles_of

_PROBING = Decoding(max_new_tokens=256)  # greedy, and longer than any sentence about one picture
_MAX_PICTURES = 1000  # whose confidence is remembered: a number each


class KnownPictures:
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


class PictureRun:
    """What is asked about one picture in a run, and what is known of the answers so far."""

    def __init__(
        self,
        image: InputImage,
        question: CheckedQuestion,
        engine: AskedEngine,
        stop: threading.Event,
        started: float,
        run_seconds: float,
        known_pictures: KnownPictures,
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
        self._parts: list[TileAnswer] = []  # what was found, by the tile that it was found in
        self._regions: list[Region] = []  # the same as one answer
        self._whole: Box = (0.0, 0.0, float(image.resolution_wh[0]), float(image.resolution_wh[1]))
        self._tiles = self._choose_tiles()
        self._confidences: list[float | None] = []
        self._stages = deque((self._about_the_text, self._about_the_regions))
        self._picture_key = (engine.checkpoint.name, image.digest)
        self._picture_confidence = known_pictures.get(self._picture_key)
        self._is_truncated = False

    @property
    def is_stopped(self) -> bool:
        """Whether an answer was ended before it was complete."""
        return self._stage is RunStage.STOPPED

    def prompts(self) -> Generator[Prompt, None, None]:
        """Yield the prompts of the question: about the whole picture, then about each of its tiles."""
        for tile in (None, *self._tiles):
            yield from (replace(prompt, tile=tile) for prompt in prompts_of(self._question))

    def _choose_tiles(self) -> list[Box]:
        side, size = self._question.question.tiles, self._image.resolution_wh
        if side is None:
            return []
        if not side:
            pixels = self._image.pixels  # of which there may be fewer than the original had
            side = side_for(pixels.size, self._engine.image_side) * size[0] / pixels.width
        tiles = tiles_of(size, math.ceil(side))
        if not tiles:
            self._notice("The picture has no more to show than the model sees at once, so there was no closer look.")
        return tiles

    def following(self) -> Sequence[Prompt]:
        """Return the next prompts that the answers so far lead to; nothing once there are none."""
        while self._stages and not self.is_stopped:
            if prompts := self._stages.popleft()():
                return prompts
        return ()

    def _about_the_text(self) -> Sequence[Prompt]:
        following = follow_up(self._question.task, self._texts[0] if self._texts else "")
        return [following] if following else ()

    def _about_the_regions(self) -> Sequence[Prompt]:
        then = self._question.then
        if then is None or not self._regions:
            return ()
        if (more := len(self._regions) - MAX_FOLLOWED) > 0:
            self._notice(f"Only the first {MAX_FOLLOWED} regions were asked about, not the other {more}.")
        return region_prompts(then, self._regions[:MAX_FOLLOWED], self._image.resolution_wh)

    def begin(self, prompt: Prompt) -> tuple[Ask, GrowingAnswer]:
        """Return what the engine is asked for a prompt, and where its answer grows."""
        fitting = self._fit(prompt)
        picture = self._picture_for(fitting)
        size = picture.resolution_wh if fitting.tile else self._image.resolution_wh
        return Ask(picture, fitting.filled), GrowingAnswer(fitting, size, self._engine.banned_phrases)

    def put(self, asks: Sequence[Ask]) -> Generator[Event, None, None]:
        """Put asks to the engine, those of other runs of the same question too."""
        return self._engine.generate(asks, self._question.decoding, stop=self._stop, deadline=self._deadline)

    def probes(self) -> list[Ask]:
        """Return what tells whether the picture is one of the checkpoint's kind, where that is not known yet."""
        probe = self._engine.checkpoint.probe
        is_due = probe is not None and self._picture_confidence is None and not self.is_stopped
        return [Ask(self._image, get_task(probe.task).fill())] if probe and is_due else []

    def put_probes(self, asks: Sequence[Ask]) -> Generator[Event, None, None]:
        """Put probes to the engine, those of other runs too."""
        return self._engine.generate(asks, _PROBING, stop=self._stop, deadline=self._deadline)

    def judge(self, tokens: Sequence[Token]) -> None:
        """Take the whole answer to the probe."""
        probe = self._engine.checkpoint.probe
        self._picture_confidence = picture_confidence(probe, tokens) if probe else None
        self._known_pictures.put(self._picture_key, self._picture_confidence)

    def _fit(self, prompt: Prompt) -> Prompt:
        shortened = prompt.shortened(self._engine.max_prompt_tokens, self._engine.num_tokens)
        if shortened != prompt:
            self._notice("The text was longer than the model can take; only its beginning was used.")
        return shortened

    def _picture_for(self, prompt: Prompt) -> InputImage:
        part = prompt.tile or (prompt.xyxy if prompt.task.on_crop else None)
        return self._image.crop(part) if part else self._image

    def take(self, answers: Sequence[GrowingAnswer], event: Event) -> None:
        """Take an event of the answers that were put together."""
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

    def keep(self, answers: Sequence[GrowingAnswer]) -> None:
        """Take answers that are over."""
        about_regions = [answer for answer in answers if answer.about is not None]
        self._regions = told_of(self._regions, about_regions, self._question.then)
        self._raw_texts += [answer.raw_text for answer in answers]
        answers = [answer for answer in answers if answer.about is None]
        for answer in answers:
            self._texts.append(answer.text)
            if answer.ignored:
                self._notice(_ignored_sentence(answer.ignored))
            self._regions += answer.regions
            self._parts.append(TileAnswer(answer.tile or self._whole, answer.regions))
            self._confidences.append(answer.confidence)
        if self._tiles and answers:
            self._regions = join_parts(self._parts, self._image.resolution_wh)
            scores = [region.score for region in self._regions if region.score is not None]
            self._confidences = [*scores] if scores else self._confidences

    def _notice(self, sentence: str) -> None:
        if sentence not in self._notices:
            self._notices.append(sentence)

    def prediction(self, answers: Sequence[GrowingAnswer] = ()) -> Prediction:
        """Return what is known now: the answers so far and those being written."""
        raw_texts = [*self._raw_texts, *(answer.raw_text for answer in answers)]
        about_regions = [answer for answer in answers if answer.about is not None]
        known = told_of(self._regions, about_regions, self._question.then)
        answers = [answer for answer in answers if answer.about is None]
        texts = [*self._texts, *(answer.text for answer in answers)]
        regions = [*known, *(region for answer in answers for region in answer.regions)]
        confidences = [*self._confidences, *(answer.confidence for answer in answers)]
        measured = [confidence for confidence in confidences if confidence is not None]
        confidence = fmean(measured) if measured else None
        is_numbered = len(self._question.regions) > 1
        text = join_texts(self._question.task, texts, regions, is_numbered=is_numbered)
        answer = Prediction(
            question=self._question.question,
            checkpoint=self._engine.checkpoint.name,
            resolution_wh=self._image.resolution_wh,
            digest=self._image.digest,
            text=text,
            regions=tuple(map(self._scored, regions)),
            raw_text="\n".join(raw_texts),
            stage=self._stage,
            is_draft=any(answer.is_draft for answer in answers),
            is_truncated=self._is_truncated,
            notices=tuple(self._notices),
            confidence=confidence,
            picture_confidence=self._picture_confidence,
            is_unsure=self._engine.checkpoint.is_unsure(
                self._question.task.learned_as, confidence, self._picture_confidence
            ),
            timings=replace(self._timings, total=(time.perf_counter() - self._started) * 1000),
        )
        then = self._question.then
        if then and given_by(then) == "label":
            answer = replace(answer, text=text_with(answer, regions))
        return chosen(answer)

    def _scored(self, region: Region) -> Region:
        """Return a region with its score as the checkpoint gives it; its bounds of confidence are about raw ones."""
        if region.score is None or self._engine.checkpoint.score_temperature == 1.0:
            return region
        return replace(region, score=self._engine.checkpoint.scored(region.score))

    def final(self) -> Prediction:
        """Return the last prediction."""
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
        final = self.prediction()
        unsure = (self._engine.checkpoint.unsure_note,) if final.is_unsure else ()
        return replace(final, notices=(*final.notices, *unsure), is_final=True)


def answer_one(run: PictureRun, max_asks: int) -> Generator[Prediction, None, None]:
    """Yield ever more complete predictions, of which the last is final."""
    prompts: Iterable[Prompt] = run.prompts()
    while prompts:
        # Some at once: each takes memory for its keys and values, and a crop is a copy of pixels.
        rest = iter(prompts)
        while not run.is_stopped and (some := list(islice(rest, max_asks))):
            yield from _answer_some(run, some)
        prompts = run.following()
    _probe([run], max_asks)  # last, since a person waits for the answer
    yield run.final()


def _answer_some(run: PictureRun, prompts: Sequence[Prompt]) -> Generator[Prediction, None, None]:
    begun = [run.begin(prompt) for prompt in prompts]
    answers = [answer for _, answer in begun]
    with closing(run.put([ask for ask, _ in begun])) as events:
        for event in events:
            run.take(answers, event)
            yield run.prediction(answers)
    run.keep(answers)


def answer_each(runs: Sequence[PictureRun], max_asks: int) -> Generator[tuple[int, Prediction], None, None]:
    """Yield the place and the final prediction of each run as soon as it is complete.

    All are of one question and one engine, to which so many prompts are put at a time: whoever waits for the engine is
    let in between.
    """
    _probe(runs, max_asks)
    waiting = deque((place, prompt) for place, run in enumerate(runs) for prompt in run.prompts())
    num_open = Counter(place for place, _ in waiting)
    while waiting:
        some = [waiting.popleft() for _ in range(min(max_asks, len(waiting)))]
        for place, num_answered in _answer_together(runs, some):
            num_open[place] -= num_answered
            if num_open[place]:
                continue
            following = runs[place].following()
            waiting.extend((place, prompt) for prompt in following)
            num_open[place] = len(following)
            if not following:
                # The time that they took is that of all.
                yield place, replace(runs[place].final(), timings=Timings())


def _answer_together(
    runs: Sequence[PictureRun], asked: Sequence[tuple[int, Prompt]]
) -> Generator[tuple[int, int], None, None]:
    """Put prompts of runs to the engine; yield the place of each run whose answers are over, and how many they were."""
    begun = [(place, *runs[place].begin(prompt)) for place, prompt in asked]
    answers = [answer for _, _, answer in begun]
    num_open = Counter(place for place, _ in asked)
    with closing(runs[0].put([ask for _, ask, _ in begun])) as events:
        for event in events:
            if isinstance(event, Progress):
                continue
            place = begun[event.answer][0]
            runs[place].take(answers, event)
            num_open[place] -= isinstance(event, Finished)
            if not num_open[place]:
                own = [answer for other, _, answer in begun if other == place]
                runs[place].keep(own)
                yield place, len(own)


def _probe(runs: Sequence[PictureRun], max_asks: int) -> None:
    """Find out which pictures are of the checkpoint's kind, of each once for all questions about it.

    A probe that is stopped or fails leaves its picture unjudged.
    """
    asked = [(run, ask) for run in runs for ask in run.probes()]
    for first in range(0, len(asked), max_asks):
        _put_probes(asked[first : first + max_asks])


def _put_probes(asked: Sequence[tuple[PictureRun, Ask]]) -> None:
    tokens: list[list[Token]] = [[] for _ in asked]
    events = asked[0][0].put_probes([ask for _, ask in asked])
    with suppress(EngineFailed), closing(events):
        for event in events:
            if isinstance(event, Token):
                tokens[event.answer].append(event)
            elif isinstance(event, Finished) and not event.is_stopped:
                asked[event.answer][0].judge(tokens[event.answer])


def _notices_beforehand(question: CheckedQuestion, engine: AskedEngine) -> list[str]:
    """What is to be told whatever the answer will be."""
    checkpoint, task = engine.checkpoint, question.task
    notices = [sentence for sentence in (checkpoint.note, engine.notice) if sentence]
    known = checkpoint.known_tasks
    for asked in filter(None, (task, question.then)):
        is_known = known is None or asked.learned_as in known or asked in (checkpoint.tasks or ())
        if not is_known:
            notices.append(f"{checkpoint.title} has not learned “{asked.title}”; its answer to that means nothing.")
    if task.covers:
        notices.append("What is not found is not covered. Look at the picture before you give it away.")
    if question.is_neutralized:
        notices.append("Names in angle brackets are tokens of the model; yours were put to it as plain text.")
    return notices


def _ignored_sentence(labels: Sequence[str]) -> str:
    names = ", ".join(f"“{label}”" for label in dict.fromkeys(labels))
    return f"Florence-2 does not ground {names}: such words name nothing in particular. Name the thing itself."
