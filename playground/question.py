"""What is asked of a picture: `Question`, the value that page, API, command line and cluster share, and its check.

Knows the table of tasks and what a person may ask. Knows nothing of pixels, checkpoints and answers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import PlainSerializer, TypeAdapter, ValidationError

from playground import grammar
from playground.errors import InputRejected
from playground.events import Decoding
from playground.regions import Box, Number, Text
from playground.tasks import (
    TASK_TOKENS,
    InputKind,
    OwnTask,
    Task,
    find_task,
    get_task,
    join_classes,
    split_classes,
)
from playground.wire import what_is_wrong

DECODINGS = {"greedy": 1, "careful": 3}  # beams; three are what Microsoft's samples use
MAX_PHRASE = 20_000  # characters; the model takes far fewer
MAX_INPUTS = 24  # regions or phrases of one run: each is a prompt of its own

_NEUTRALIZED = (InputKind.SENTENCE, InputKind.CLASSES, InputKind.EXPRESSIONS)
_ASK_FOR = {
    InputKind.SENTENCE: "Type a sentence about the picture, such as “{hint}”",
    InputKind.CLASSES: "Type the names of the things to find, separated by commas, such as “{hint}”.",
    InputKind.EXPRESSIONS: "Describe what to outline, separated by commas, such as “{hint}”.",
    InputKind.PROMPT: "Type the prompt of your fine-tune, such as “{hint}”",
}
_ASK_FOR_OWN_SENTENCE = "Type your question, or a sentence, such as “{hint}”"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a picture, as it was put: `check_question` says whether it can be answered.

    `task` is the id of one of its checkpoint's tasks. `phrase` is the text that the task needs, `regions` are boxes
    xyxy in pixels of the upright picture. An empty `checkpoint` is the one that the playground started with; `decoding`
    is a name of DECODINGS; without `max_new_tokens` an answer is as long as the checkpoint can write.
    """

    task: Text
    phrase: Text = ""
    regions: tuple[Box, ...] = ()
    checkpoint: Text = ""
    decoding: Text = "greedy"
    max_new_tokens: Annotated[Number | None, PlainSerializer(lambda limit: limit)] = None  # a whole number as such

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", _as_tuples(self.regions))
        if isinstance(self.max_new_tokens, float) and self.max_new_tokens.is_integer():  # as JSON and pages write it
            object.__setattr__(self, "max_new_tokens", int(self.max_new_tokens))

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form: values that JSON can carry."""
        return dict(_WIRE.dump_python(self, mode="json", warnings=False))

    @classmethod
    def from_dict(cls, wire: Mapping[str, Any]) -> "Question":
        """Read the wire form, from whoever sent it; only `task` must be there. Raises InputRejected."""
        try:
            return _WIRE.validate_python(wire)
        except ValidationError as error:
            raise InputRejected(
                f"This is not a question of the playground: {what_is_wrong(error)}. Send at least "
                '{"task": "<OD>"}, with phrase, regions, checkpoint, decoding and max_new_tokens as you need them.',
                field="question",
            ) from error


_WIRE = TypeAdapter(Question)


def _as_tuples(regions: Any) -> Any:
    """Return boxes as tuples, whatever kind of sequence they came in; what is none stays, to be refused later."""
    if hasattr(regions, "tolist"):  # an array, such as `sv.Detections.xyxy`
        regions = regions.tolist()
    if not isinstance(regions, list | tuple):
        return regions
    return tuple(tuple(region) if isinstance(region, list) else region for region in regions)


@dataclass(frozen=True, slots=True)
class CheckedQuestion:
    """A question that can be answered about pictures of one resolution. Only `check_question` makes one.

    `phrases` are put to the model as they stand, with nothing in them that could be taken for a token; one for each
    prompt of the run. `regions` are ordered xyxy in pixels, inside the picture.
    """

    question: Question
    resolution_wh: tuple[int, int]
    task: Task
    phrases: tuple[str, ...]
    is_neutralized: bool  # the user's text held names of tokens
    regions: tuple[Box, ...]
    decoding: Decoding


def check_question(
    question: Question, resolution_wh: tuple[int, int], own_tasks: Sequence[OwnTask] | None = None
) -> CheckedQuestion:
    """Check a question before anything runs. Raises UnknownTask or InputRejected.

    What its task does not need is ignored. `own_tasks` are those that the checkpoint brings along; None where that is
    not known, and the id of such a task is taken at its word.
    """
    task = get_task(question.task) if own_tasks is None else find_task(question.task, own_tasks)
    question = replace(question, task=task.id)
    if not isinstance(question.checkpoint, str):
        raise InputRejected(
            f"The checkpoint must be a name, but got {type(question.checkpoint).__name__}.", field="checkpoint"
        )
    has_regions = task.input_kind is InputKind.REGIONS
    return CheckedQuestion(
        question=question,
        resolution_wh=resolution_wh,
        task=task,
        phrases=_read_phrases(task, question.phrase) if task.input_kind.is_text else (),
        is_neutralized=task.input_kind in _NEUTRALIZED and _holds_tokens(task, question.phrase),
        regions=_read_regions(question.regions, resolution_wh) if has_regions else (),
        decoding=_read_decoding(question.decoding, question.max_new_tokens),
    )


def asked_names(question: Question) -> tuple[str, ...]:
    """Return the names that a question asks for, in their order; none where the task names nothing itself."""
    task = get_task(question.task)
    if task.input_kind not in (InputKind.CLASSES, InputKind.EXPRESSIONS) or not isinstance(question.phrase, str):
        return ()
    return tuple(dict.fromkeys(grammar.neutralize(name) for name in split_classes(question.phrase)))


def _read_phrases(task: Task, phrase: str) -> tuple[str, ...]:
    if not isinstance(phrase, str):
        raise InputRejected(f"The phrase must be text, but got {type(phrase).__name__}.", field="phrase")
    if len(phrase) > MAX_PHRASE:
        raise InputRejected(
            f"The text has {len(phrase)} characters; the limit is {MAX_PHRASE}. Shorten it.", field="phrase"
        )
    phrase = phrase.encode(errors="replace").decode()  # JSON can carry half a surrogate pair, the tokenizer cannot
    if task.input_kind is InputKind.PROMPT:
        return (_read_prompt(task, phrase.strip()),)
    texts = [grammar.neutralize(part) for part in _split(task, phrase)]
    if not texts:
        raise _missing(task)
    if task.input_kind is InputKind.CLASSES:
        return (join_classes(texts),)
    if len(texts) > MAX_INPUTS:
        raise InputRejected(
            f"That is {len(texts)} phrases; at most {MAX_INPUTS} are answered in one run. Ask for fewer at once.",
            field="phrase",
        )
    return tuple(texts)


def _missing(task: Task) -> InputRejected:
    is_own_sentence = isinstance(task, OwnTask) and task.input_kind is InputKind.SENTENCE
    sentence = _ASK_FOR_OWN_SENTENCE if is_own_sentence else _ASK_FOR[task.input_kind]
    told = sentence.format(hint=task.input_hint) if task.input_hint else f"{sentence.partition(', such as')[0]}."
    return InputRejected(told, field="phrase")


def _holds_tokens(task: Task, phrase: str) -> bool:
    return any(grammar.neutralize(part) != part for part in _split(task, phrase))


def _split(task: Task, phrase: str) -> list[str]:
    """Split a list of names, but not a sentence."""
    if task.input_kind is InputKind.SENTENCE:
        return [phrase.strip()] if phrase.strip() else []
    return split_classes(phrase)


def _read_prompt(task: Task, prompt: str) -> str:
    """A prompt of one's own may hold the tokens of a fine-tune and locations, but not the ends of the sentence."""
    if not prompt:
        raise _missing(task)
    for token in grammar.CONTROL_TOKENS:
        if token in prompt:
            raise InputRejected(f"A prompt may not contain {token}; remove it.", field="phrase")
    for token in TASK_TOKENS:
        if token in prompt:
            title = get_task(token).title
            raise InputRejected(
                f"{token} is one of Florence-2's own tasks; pick “{title}” in the list instead.", field="phrase"
            )
    return prompt


def _read_regions(regions: Sequence[Sequence[float]], resolution_wh: tuple[int, int]) -> tuple[Box, ...]:
    if not isinstance(regions, tuple) or not regions:
        raise InputRejected("Mark a region: drag on the picture from one corner to the other.", field="regions")
    if len(regions) > MAX_INPUTS:
        raise InputRejected(
            f"That is {len(regions)} regions; at most {MAX_INPUTS} are answered in one run. Remove some.",
            field="regions",
        )
    return tuple(_read_region(index, region, resolution_wh) for index, region in enumerate(regions, start=1))


def _read_region(index: int, region: Sequence[float], resolution_wh: tuple[int, int]) -> Box:
    """Return a region with its corners sorted and inside the picture."""
    if not _is_box(region):
        raise InputRejected(
            f"Region {index} must be four numbers [x_min, y_min, x_max, y_max] in pixels, but got {str(region)[:80]}.",
            field="regions",
        )
    width, height = resolution_wh
    x_min, x_max = sorted(min(max(float(x), 0.0), float(width)) for x in region[0::2])
    y_min, y_max = sorted(min(max(float(y), 0.0), float(height)) for y in region[1::2])
    if x_max <= x_min or y_max <= y_min:
        raise InputRejected(
            f"Region {index} has no area inside the picture of {width} x {height} pixels. Draw it again.",
            field="regions",
        )
    return x_min, y_min, x_max, y_max


def _is_box(region: object) -> bool:
    if not isinstance(region, list | tuple) or len(region) != 4:
        return False
    return all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e9 for n in region)


def _read_decoding(decoding: str, max_new_tokens: float | None) -> Decoding:
    if not isinstance(decoding, str) or decoding not in DECODINGS:
        raise InputRejected(
            f"{str(decoding)[:40]!r} is no way to decode; choose one of: {', '.join(DECODINGS)}.", field="decoding"
        )
    if max_new_tokens is None:
        return Decoding(DECODINGS[decoding])
    is_number = isinstance(max_new_tokens, int | float) and not isinstance(max_new_tokens, bool)
    if not is_number or not max_new_tokens >= 1:
        raise InputRejected(
            f"The limit of new tokens must be a number of at least 1, but got {max_new_tokens!r}. "
            "Leave it out for answers as long as the checkpoint can write.",
            field="decoding",
        )
    return Decoding(DECODINGS[decoding], None if max_new_tokens == math.inf else int(max_new_tokens))
