"""The use case: a picture, a task and its inputs become a stream of predictions.

The only place where tasks, engine and grammar meet. Knows nothing of drawing, files or the web page.
"""

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from playground import grammar
from playground.images import InputImage, Limits, read_image
from playground.pool import Pool, WaitCancelled
from playground.request import Request, read_request
from playground.results import Box, Draft, Event, Finished, Prediction, Progress, Region, Stage, Timings, Token
from playground.settings import Settings
from playground.tasks import InputKind, OutputKind, Task, get_task

if TYPE_CHECKING:
    from playground.engine import Engine  # the page is served before torch is imported


@dataclass(frozen=True, slots=True)
class _Ask:
    """One prompt of a run, and what is known of its answer beforehand."""

    image: InputImage
    prompt: str
    output_kind: OutputKind
    label: str = ""  # for regions that the model does not name
    banned: frozenset[str] = frozenset()  # phrases, in lower case, that grounding ignores
    xyxy: Box | None = None  # where the question was asked


class Predictor:
    """Ask about pictures.

        predictor = Predictor.load("tiny-florence2")
        prediction = predictor.predict("street.png", "<OD>")

    Safe to use from several threads: the model answers one at a time, and ends after `run_seconds` with what is there.
    """

    def __init__(self, pool: Pool, limits: Limits = Limits(), *, run_seconds: float = math.inf) -> None:
        self.pool = pool
        self._limits = limits
        self._run_seconds = run_seconds

    @classmethod
    def load(cls, checkpoint: str, *, device: str = "auto", offline: bool = False) -> "Predictor":
        """Load a catalogue name, a hub id or a folder; returns when it is ready. Raises CheckpointUnavailable."""
        # A download that goes on is worth waiting for: only one that stalls is given up.
        settings = Settings(checkpoint=checkpoint, device=device, offline=offline, load_wait_seconds=math.inf)
        pool = Pool(settings)
        pool.start()
        with pool.acquire(checkpoint, cancelled=lambda: False):
            return cls(pool)

    def read_image(self, source: Any) -> InputImage:
        """Return a picture within the limits. Raises ImageRejected."""
        return source if isinstance(source, InputImage) else read_image(source, self._limits)

    def predict(self, image: Any, task: str, **inputs: Any) -> Prediction:
        """Return the final prediction; the arguments are those of `run`."""
        *_, final = self.run(image, task, **inputs)
        return final

    def run(
        self, image: Any, task: str, *, stop: threading.Event | None = None, **inputs: Any
    ) -> Generator[Prediction, None, None]:
        """Check the question at once, then return a generator of ever more complete predictions.

        `image` is a path, bytes, a PIL picture or an array; `inputs` are those of `request.read_request`: `phrase`,
        `regions` (xyxy in pixels of the upright picture), `checkpoint` (a name of the pool, or empty for the one it
        started with), `decoding` and `max_new_tokens`. Exactly one value is final, the last. Setting `stop` ends the
        run with what is there; closing the generator ends it too.

        Raises ImageRejected, UnknownTask or InputRejected at once, CheckpointUnavailable or EngineFailed on the way.
        """
        return self.answer(read_request(self.read_image(image), task, **inputs), stop or threading.Event())

    def answer(self, request: Request, stop: threading.Event) -> Generator[Prediction, None, None]:
        """Yield predictions for a checked question; see `run`."""
        started = time.perf_counter()
        name = request.checkpoint or self.pool.current_name
        prediction = Prediction(request.task.id, name, request.image.resolution_wh)
        yield prediction
        try:
            with self.pool.acquire(name, cancelled=stop.is_set) as engine:
                answering = _Answering(request, engine, stop, started, self._run_seconds)
                yield from answering.run()
        except WaitCancelled:
            yield replace(prediction, stage=Stage.STOPPED, is_final=True)


class _Answering:
    """One run: asks the prompts of a task and gathers the answers into predictions."""

    def __init__(
        self, request: Request, engine: "Engine", stop: threading.Event, started: float, run_seconds: float
    ) -> None:
        self._run_seconds = run_seconds
        self._deadline = time.monotonic() + run_seconds
        self._request = request
        self._engine = engine
        self._stop = stop
        self._started = started
        self._timings = Timings()
        self._stage = Stage.WAITING
        self._notices = _notices_beforehand(request, engine)
        self._texts: list[str] = []  # of the prompts that are answered
        self._raw_texts: list[str] = []
        self._regions: list[Region] = []
        self._is_truncated = False

    def run(self) -> Generator[Prediction, None, None]:
        asks = self._asks()
        # Prompts about the same picture are answered together.
        size = 1 if self._request.task.on_crop else self._engine.max_prompts
        while self._stage is not Stage.STOPPED and (some := list(islice(asks, size))):
            yield from self._run_some(some)
        if self._request.task.then is not None and self._stage is not Stage.STOPPED and self._texts[0]:
            follow_up = self._phrase_ask(get_task(self._request.task.then), grammar.neutralize(self._texts[0]))
            yield from self._run_some([follow_up])
        yield self._final()

    def _asks(self) -> Iterator[_Ask]:
        """Yield the prompts when their turn comes: a crop is a copy of pixels, and there may be many."""
        request, task = self._request, self._request.task
        if task.input_kind is InputKind.REGIONS:
            for index, xyxy in enumerate(request.regions, start=1):
                yield self._region_ask(index, xyxy)
        else:
            for phrase in request.phrases or ("",):
                yield self._phrase_ask(task, phrase)

    def _phrase_ask(self, task: Task, phrase: str) -> _Ask:
        is_grounding = task.input_kind is InputKind.SENTENCE
        return _Ask(
            self._request.image,
            self._prompt(task, phrase),
            task.output_kind,
            label=phrase if task.input_kind is InputKind.EXPRESSIONS else "",
            banned=self._engine.loaded.banned_phrases if is_grounding else frozenset(),
        )

    def _region_ask(self, index: int, xyxy: Box) -> _Ask:
        request, task = self._request, self._request.task
        image = request.image.crop(xyxy) if task.on_crop else request.image
        prompt = task.prompt.format(input=grammar.render_region(xyxy, request.image.resolution_wh))
        return _Ask(image, prompt, task.output_kind, label=f"region {index}", xyxy=xyxy)

    def _prompt(self, task: Task, text: str) -> str:
        """Fill the prompt with as much of the text as the model has positions for."""

        def fits(length: int) -> bool:
            filled = task.prompt.replace("{input}", text[:length])
            return self._engine.num_tokens(filled) <= self._engine.max_prompt_tokens

        if not fits(len(text)):
            # No prompt needs more letters: a token stands for fewer than a dozen in any natural text.
            lengths = range(min(len(text), 12 * self._engine.max_prompt_tokens))
            first_too_long = bisect_left(lengths, True, key=lambda length: not fits(length))
            text = text[: first_too_long - 1].rsplit(" ", 1)[0]
            self._notice("The text was longer than the model can take; only its beginning was used.")
        return task.prompt.replace("{input}", text)

    def _run_some(self, asks: Sequence[_Ask]) -> Generator[Prediction, None, None]:
        parts = [_Part(ask, self._request.image.resolution_wh) for ask in asks]
        prompts = [ask.prompt for ask in asks]
        events = self._engine.generate(
            asks[0].image, prompts, self._request.decoding, stop=self._stop, deadline=self._deadline
        )
        try:
            for event in events:
                self._take(parts, event)
                yield self._prediction(parts)
        finally:
            events.close()
        for part in parts:
            self._keep(part)

    def _take(self, parts: "Sequence[_Part]", event: Event) -> None:
        now = (time.perf_counter() - self._started) * 1000
        if isinstance(event, Progress):
            self._stage = event.stage
            self._add_encoding_times(event)
        elif isinstance(event, Finished):
            self._is_truncated |= event.is_truncated
            self._stage = Stage.STOPPED if event.is_stopped else self._stage
        else:
            part = parts[event.answer]
            part.take(event)
            if self._timings.first_token is None and part.raw_text:
                self._timings = replace(self._timings, first_token=now)
            if self._timings.first_region is None and part.regions:
                self._timings = replace(self._timings, first_region=now)

    def _add_encoding_times(self, event: Progress) -> None:
        if event.stage is Stage.WRITING:
            self._timings = replace(
                self._timings,
                encode_image=(self._timings.encode_image or 0.0) + (event.encode_image_ms or 0.0),
                encode_prompt=(self._timings.encode_prompt or 0.0) + (event.encode_prompt_ms or 0.0),
            )

    def _keep(self, part: "_Part") -> None:
        self._raw_texts.append(part.raw_text)
        self._texts.append(part.text)
        if part.ignored:
            self._notice(_ignored_sentence(part.ignored))
        self._regions += part.regions

    def _notice(self, sentence: str) -> None:
        if sentence not in self._notices:
            self._notices.append(sentence)

    def _prediction(self, parts: "Sequence[_Part]" = ()) -> Prediction:
        """What is known now: the answers so far and those being written."""
        texts = [*self._texts, *(part.text for part in parts)]
        raw_texts = [*self._raw_texts, *(part.raw_text for part in parts)]
        regions = [*self._regions, *(region for part in parts for region in part.regions)]
        return Prediction(
            task=self._request.task.id,
            checkpoint=self._engine.loaded.checkpoint.name,
            resolution_wh=self._request.image.resolution_wh,
            text=self._join(texts, regions),
            regions=tuple(regions),
            raw_text="\n".join(raw_texts),
            stage=self._stage,
            is_draft=any(part.is_draft for part in parts),
            is_truncated=self._is_truncated,
            notices=tuple(self._notices),
            timings=replace(self._timings, total=(time.perf_counter() - self._started) * 1000),
        )

    def _final(self) -> Prediction:
        if self._is_truncated:
            self._notice(
                f"The answer was cut after {self._request.decoding.max_new_tokens} tokens. "
                "Raise the limit under Advanced to see the rest."
                if self._request.decoding.max_new_tokens < self._engine.max_answer_tokens
                else "The answer was cut: it is longer than this model can write."
            )
        if self._stage is not Stage.STOPPED:
            self._stage = Stage.DONE
        elif not self._stop.is_set():
            self._notice(
                f"The answer was ended after {self._run_seconds:g} seconds, the most that one may take here. "
                "Ask about fewer regions or phrases, or lower the limit of tokens under Advanced."
            )
        return replace(self._prediction(), is_final=True)

    def _join(self, texts: list[str], regions: list[Region]) -> str:
        task = self._request.task
        if task.then is not None:
            return texts[0] if texts else ""
        if len(texts) > 1 and not task.output_kind.is_text:
            return grammar.summarize(regions)
        if len(self._request.regions) > 1:
            return "\n".join(f"{index}. {text}" for index, text in enumerate(texts, start=1))
        return "\n".join(texts)


class _Part:
    """The answer to one prompt while it is written."""

    def __init__(self, ask: _Ask, resolution_wh: tuple[int, int]) -> None:
        self._ask = ask
        self._resolution_wh = resolution_wh
        self.is_draft = False
        self._begin(is_draft=False)

    def take(self, event: Token | Draft) -> None:
        """Take the next token, or the whole leading beam; the first token after a draft replaces it."""
        if isinstance(event, Draft):
            # Mostly the beam that led before, one token longer: reading it anew each time grows with the square.
            num_read = len(self._tokens)
            if not self.is_draft or list(event.tokens[:num_read]) != self._tokens:
                self._begin(is_draft=True)
                num_read = 0
            for token in event.tokens[num_read:]:
                self._feed(token)
        else:
            if self.is_draft:
                self._begin(is_draft=False)
            self._feed(event)

    @property
    def text(self) -> str:
        return self._parser.text

    @property
    def raw_text(self) -> str:
        return "".join(token.text for token in self._tokens)

    @property
    def regions(self) -> list[Region]:
        """The regions of the answer; text about a region is shown where it was asked."""
        regions = [
            region if region.label or not self._ask.label else replace(region, label=self._ask.label)
            for region in self._parser.regions
            if region.label.lower() not in self._ask.banned
        ]
        if not regions and self._ask.xyxy is not None and self._ask.output_kind.is_text and self.text:
            score = grammar.region_score([token for token in self._tokens if not token.is_special], [])
            return [Region(self.text, self._ask.xyxy, score)]
        return regions

    @property
    def ignored(self) -> list[str]:
        """The labels of regions that are not shown, because the phrase names nothing."""
        return [region.label for region in self._parser.regions if region.label.lower() in self._ask.banned]

    def _begin(self, *, is_draft: bool) -> None:
        self.is_draft = is_draft
        self._tokens: list[Token] = []
        self._parser = grammar.Parser(self._ask.output_kind, self._resolution_wh)

    def _feed(self, token: Token) -> None:
        self._tokens.append(token)
        self._parser.feed(token)


def _notices_beforehand(request: Request, engine: "Engine") -> list[str]:
    """What is to be told whatever the answer will be."""
    loaded = engine.loaded
    notices = [sentence for sentence in (loaded.checkpoint.note, loaded.notice) if sentence]
    known_tasks = loaded.checkpoint.known_tasks
    if known_tasks is not None and request.task.id not in known_tasks:
        title = f"“{request.task.title}”"
        notices.append(f"{loaded.checkpoint.title} has not learnt {title}; its answer to that means nothing.")
    if request.is_neutralized:
        notices.append("Names in angle brackets are tokens of the model; yours were put to it as plain text.")
    return notices


def _ignored_sentence(labels: Sequence[str]) -> str:
    names = ", ".join(f"“{label}”" for label in dict.fromkeys(labels))
    return f"Florence-2 does not ground {names}: such words name nothing in particular. Name the thing itself."
