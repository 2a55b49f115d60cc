"""A question to prompts, and the events of their answers to texts and regions.

The one place where prompts are made: people who ask, the truth of drawn scenes and the training use it alike. Knows no
engine; what a checkpoint can take or ignores is passed in.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from playground import grammar
from playground.checkpoints.catalog import Probe
from playground.events import Draft, Token
from playground.following import given_by
from playground.question import CheckedQuestion, Question, check_question
from playground.regions import Box, Region
from playground.tasks import InputKind, OutputKind, Task, get_task

MAX_FOLLOWED = 200  # regions of one answer that are asked about afterwards


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a question: a task with the text in its place, and what is known of its answer beforehand."""

    task: Task
    text: str = ""
    label: str = ""  # for regions that the model does not name
    xyxy: Box | None = None  # where the question was asked
    tile: Box | None = None  # the part of the picture that is looked at alone
    about: int | None = None  # the region of the answer before that is asked about, by its place

    @property
    def filled(self) -> str:
        """What the model is really asked."""
        return self.task.fill(self.text)

    def shortened(self, max_tokens: int, num_tokens: Callable[[str], int]) -> "Prompt":
        """Return this prompt with as much of its text as the model can take, cut between words."""

        def is_too_long(length: int) -> bool:
            return num_tokens(self.task.fill(self.text[:length])) > max_tokens

        if not is_too_long(len(self.text)):
            return self
        # No prompt needs more characters: a token stands for fewer than a dozen in any natural text.
        lengths = range(min(len(self.text), 12 * max_tokens))
        first_too_long = bisect_left(lengths, True, key=is_too_long)
        return replace(self, text=self.text[: first_too_long - 1].rsplit(" ", 1)[0])


def prompts_of(question: CheckedQuestion) -> Iterator[Prompt]:
    """Yield the prompts of a question, in their order: one for each region or phrase, or just one."""
    task = question.task
    if task.input_kind is InputKind.REGIONS:
        for index, xyxy in enumerate(question.regions, start=1):
            text = grammar.render_region(xyxy, question.resolution_wh)
            yield Prompt(task, text, label=f"region {index}", xyxy=xyxy)
    else:
        for phrase in question.phrases or ("",):
            is_name = task.input_kind is InputKind.EXPRESSIONS or question.is_one_by_one
            yield Prompt(task, phrase, label=phrase if is_name else "")


def follow_up(task: Task, text: str) -> Prompt | None:
    """Return the prompt that comes after the first answer, with its text as the sentence; None where none does."""
    return Prompt(get_task(task.then), grammar.neutralize(text)) if task.then and text else None


def region_prompts(then: Task, regions: Sequence[Region], resolution_wh: tuple[int, int]) -> list[Prompt]:
    """Return the prompts that ask about each of the regions of an answer."""
    return [
        Prompt(then, grammar.render_region(region.xyxy, resolution_wh), xyxy=region.xyxy, about=place)
        for place, region in enumerate(regions)
    ]


def told_of(regions: Sequence[Region], answers: Sequence["GrowingAnswer"], then: Task | None) -> list[Region]:
    """Return regions with what answers about them say; one about which nothing is said stays as it is."""
    told = list(regions)
    for answer in answers:
        if then is None or answer.about is None:
            continue
        gives: str = given_by(then)
        parts = tuple(part for region in answer.regions for part in region.polygons)
        if value := parts if gives == "polygons" else answer.text:
            told[answer.about] = replace(told[answer.about], **{gives: value})  # type: ignore[arg-type]  # its own field
    return told


def filled_prompts(question: Question, resolution_wh: tuple[int, int]) -> list[str]:
    """Return what the model is asked for a question about a picture. Raises UnknownTask or InputRejected."""
    return [prompt.filled for prompt in prompts_of(check_question(question, resolution_wh))]


class GrowingAnswer:
    """The answer to one prompt while it is written."""

    def __init__(self, prompt: Prompt, resolution_wh: tuple[int, int], banned_phrases: frozenset[str]) -> None:
        """Read an answer about a picture, or a tile of it; grounding drops `banned_phrases`, in lower case."""
        self._prompt = prompt
        self._resolution_wh = resolution_wh
        is_grounding = prompt.task.input_kind is InputKind.SENTENCE
        self._banned = banned_phrases if is_grounding else frozenset()
        self.is_draft = False
        self._regions: list[Region] | None = None
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
    def tile(self) -> Box | None:
        """The part of the picture that it is about; None for the whole."""
        return self._prompt.tile

    @property
    def about(self) -> int | None:
        """The region of the answer before that it is about, by its place."""
        return self._prompt.about

    @property
    def text(self) -> str:
        """What a person reads so far."""
        return self._parser.text

    @property
    def raw_text(self) -> str:
        """What the model has written, with its tokens."""
        return "".join(token.text for token in self._tokens)

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens so far."""
        return tuple(self._tokens)

    @property
    def regions(self) -> list[Region]:
        """The regions of the answer; text about a region is shown where it was asked."""
        if self._regions is None:  # asked for several times between two tokens, while the model writes the next
            self._regions = self._find_regions()
        return self._regions

    def _find_regions(self) -> list[Region]:
        regions = [
            region if region.label or not self._prompt.label else replace(region, label=self._prompt.label)
            for region in self._parser.regions
            if region.label.lower() not in self._banned
        ]
        if self._prompt.tile:
            regions = [region.moved(*self._prompt.tile[:2]) for region in regions]
        is_text = self._prompt.task.output_kind.is_text
        if not regions and self._prompt.xyxy is not None and is_text and self.text:
            score = grammar.region_score([token for token in self._tokens if not token.is_special], [])
            return [Region(self.text, self._prompt.xyxy, score)]
        return regions

    @property
    def confidence(self) -> float | None:
        """How sure the model is of the answer as a whole: the mean score of its regions, of a text `mean_probability`.

        In 0..1, or None where anything was not measured.
        """
        regions = [] if self._prompt.task.output_kind is OutputKind.TEXT else self.regions
        scores = [region.score for region in regions if region.score is not None]
        if not regions:
            return _mean_of(self._log_probability, len(self._tokens))
        return sum(scores) / len(scores) if len(scores) == len(regions) else None

    @property
    def ignored(self) -> list[str]:
        """The labels of regions that are not shown, because the phrase names nothing."""
        return [region.label for region in self._parser.regions if region.label.lower() in self._banned]

    def _begin(self, *, is_draft: bool) -> None:
        self.is_draft = is_draft
        self._tokens: list[Token] = []
        self._log_probability = 0.0  # of all tokens: summed as they come, since each of them asks for the mean
        self._regions = None
        self._parser = grammar.Parser(self._prompt.task.output_kind, self._resolution_wh)

    def _feed(self, token: Token) -> None:
        self._tokens.append(token)
        self._log_probability += _log_probability(token)
        self._regions = None
        self._parser.feed(token)


def mean_probability(tokens: Sequence[Token]) -> float | None:
    """Return the geometric mean of the tokens' probabilities; None when there is no token or any was not measured.

    A location counts with its `bin_probability`.
    """
    return _mean_of(sum(map(_log_probability, tokens)), len(tokens))


def _mean_of(log_probability: float, num_tokens: int) -> float | None:
    if not num_tokens or not math.isfinite(log_probability):
        return None
    return math.exp(min(log_probability / num_tokens, 0.0))  # rounding may leave a certain token slightly above 1


def picture_confidence(probe: Probe, tokens: Sequence[Token]) -> float | None:
    """Return how sure the answer to a probe, or the part of it that counts, is that the picture is of its kind."""
    return mean_probability(tokens[-probe.last_tokens :])


def _log_probability(token: Token) -> float:
    if token.bin_probability is not None:
        return math.log(max(token.bin_probability, 1e-9))
    return math.nan if token.logprob is None else token.logprob


def join_texts(task: Task, texts: Sequence[str], regions: Sequence[Region], *, is_numbered: bool) -> str:
    """Return the texts of several answers as one: of a follow-up the first, of things found a count, else all lines.

    Where none of them says anything, there is nothing to number.
    """
    if task.then is not None:
        return texts[0] if texts else ""
    if len(texts) > 1 and not task.output_kind.is_text:
        return grammar.words_of(regions, task.output_kind)
    lines = [f"{index}. {text}" for index, text in enumerate(texts, start=1)] if is_numbered else texts
    return "\n".join(lines) if any(texts) else ""
