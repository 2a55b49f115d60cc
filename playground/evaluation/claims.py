"""Ask about scenes and about pictures of any other kind, and tell what each answer claims and whether it is right.

Knows the engine and the truth of scenes. Knows nothing of how claims are counted.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from playground.answering import GrowingAnswer, follow_up, picture_confidence, prompts_of
from playground.checkpoints.catalog import Checkpoint
from playground.engines import Ask, AskedEngine
from playground.errors import ImageRejected
from playground.evaluation.metrics import mask_iou, matches
from playground.events import Decoding, Draft, Token
from playground.pictures.reader import InputImage, read_image
from playground.question import Question, check_question
from playground.regions import Region
from playground.scenes.examples import Example, examples
from playground.scenes.scene import make_scene
from playground.scenes.truth import truth_of
from playground.tasks import InputKind, OutputKind, get_task

_LONGEST = Decoding(max_new_tokens=256)  # tokens: a checkpoint that babbles shall not take hours
_MIN_IOU = 0.5

# What is asked of a picture about which nothing is known.
_PHRASES = {
    InputKind.CLASSES: ("car, cat, house", "person", "trees"),
    InputKind.SENTENCE: ("A red car and a tree.", "a man in front of a house"),
    InputKind.EXPRESSIONS: ("the red car", "the cat", "the thing"),
}
_PLACES = ((0.25, 0.25, 0.75, 0.75), (0.05, 0.5, 0.4, 0.95))  # regions, as shares of the sides


@dataclass(frozen=True, slots=True)
class Claim:
    """A region or a text that an answer gives, and whether it is right. A text has no score of its own."""

    score: float | None
    is_right: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer about a picture (a seed, or the name of a file), how sure it is, and what it claims."""

    picture: str
    task: str
    tokens: tuple[Token, ...]
    region_scores: tuple[float, ...]
    confidence: float | None
    picture_confidence: float | None
    claims: tuple[Claim, ...]

    def shown(self, checkpoint: Checkpoint) -> list[Claim]:
        """Return the claims that the page shows as if they were sure."""
        if checkpoint.is_unsure(self.task, self.confidence, self.picture_confidence):
            return []
        return [claim for claim in self.claims if claim.score is None or claim.score >= checkpoint.min_score]


# Asking


def ask_about_scenes(engine: AskedEngine, seeds: Sequence[int]) -> Iterator[Asked]:
    """Ask every known task about held-out scenes."""
    for seed in seeds:
        scene = make_scene(seed)
        image = read_image(scene.image)
        truths = list(examples(scene).values())
        truths += [truth for task in _joint_tasks(engine.checkpoint) if (truth := truth_of(scene, Question(task)))]
        yield from _ask_all(engine, image, str(seed), [(truth.question, truth) for truth in truths])


def ask_about_others(engine: AskedEngine, files: Sequence[Path]) -> Iterator[Asked]:
    """Ask every known task about pictures of which nothing is right to say; files that are no pictures are left out."""
    for file in files:
        try:
            image = read_image(str(file))
        except ImageRejected as error:
            print(f"{file.name}: {error}", file=sys.stderr)
            continue
        questions = [(question, None) for question in questions_about(image.resolution_wh, engine.checkpoint)]
        yield from _ask_all(engine, image, file.name, questions)


def questions_about(resolution_wh: tuple[int, int], checkpoint: Checkpoint) -> Iterator[Question]:
    """Yield questions of each task that a checkpoint knows, about any picture of this size."""
    width, height = resolution_wh
    for task in sorted(checkpoint.known_tasks or ()):
        kind = get_task(task).input_kind
        if kind is InputKind.REGIONS:
            for x_min, y_min, x_max, y_max in _PLACES:
                yield Question(task, regions=((x_min * width, y_min * height, x_max * width, y_max * height),))
        else:
            yield from (Question(task, phrase) for phrase in _PHRASES.get(kind, ("",)))


def _joint_tasks(checkpoint: Checkpoint) -> list[str]:
    return sorted(task for task in checkpoint.known_tasks or () if get_task(task).then)


def _ask_all(
    engine: AskedEngine, image: InputImage, name: str, questions: Sequence[tuple[Question, Example | None]]
) -> Iterator[Asked]:
    of_picture = None
    if probe := engine.checkpoint.probe:
        (answer,) = _answers(engine, image, Question(probe.task))
        of_picture = picture_confidence(probe, answer.tokens)
    for question, truth in questions:
        answers = _answers(engine, image, question)
        regions = [region for answer in answers for region in answer.regions]
        confidences = [answer.confidence for answer in answers if answer.confidence is not None]
        yield Asked(
            picture=name,
            task=question.task,
            tokens=tuple(token for answer in answers for token in answer.tokens),
            region_scores=tuple(region.score for region in regions if region.score is not None),
            confidence=mean(confidences) if confidences else None,
            picture_confidence=of_picture,
            claims=tuple(claims_of(question, answers[0].text, regions, truth, image.resolution_wh)),
        )


def _answers(engine: AskedEngine, image: InputImage, question: Question) -> list[GrowingAnswer]:
    checked = check_question(question, image.resolution_wh)
    prompts = list(prompts_of(checked))
    answers: list[GrowingAnswer] = []
    while prompts:
        prompt = prompts.pop(0)
        answer = GrowingAnswer(prompt, image.resolution_wh, engine.banned_phrases)
        for event in engine.generate([Ask(image, prompt.filled)], _LONGEST):
            if isinstance(event, Token | Draft):
                answer.take(event)
        answers.append(answer)
        following = follow_up(checked.task, answer.text) if len(answers) == 1 else None
        prompts += [following] if following else []
    return answers


def claims_of(
    question: Question, text: str, regions: Sequence[Region], truth: Example | None, resolution_wh: tuple[int, int]
) -> list[Claim]:
    """Return what an answer claims: its text, where the task is to write one, else its regions."""
    kind = get_task(question.task).output_kind
    if kind.is_text:
        return [Claim(None, truth is not None and text == truth.text)] if text else []
    if truth is None:
        hits = [False] * len(regions)
    elif kind is OutputKind.POLYGONS:
        hits = [mask_iou(regions, truth.regions, resolution_wh) >= _MIN_IOU] * len(regions)
    else:
        hits = matches(regions, truth.regions, _MIN_IOU).tolist()
    return [Claim(region.score, hit) for region, hit in zip(regions, hits, strict=True)]
