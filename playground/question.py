"""What is asked of a picture: `Question`, the value that page, API, command line and cluster share, and its check.

Knows the table of tasks and what a person may ask. Knows nothing of pixels, checkpoints and answers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, TypeGuard

from pydantic import BeforeValidator, Field, PlainSerializer, TypeAdapter, ValidationError
from pydantic_core import PydanticKnownError

from playground import grammar
from playground.errors import InputRejected
from playground.events import Decoding
from playground.regions import Box, Number, Text
from playground.tasks import (
    TASK_TOKENS,
    TASKS,
    InputKind,
    OwnTask,
    Task,
    find_task,
    get_task,
    join_classes,
    split_classes,
)
from playground.tiling import MAX_TILES, MIN_SIDE, count_tiles
from playground.wire import misspelled, what_is_wrong

DECODINGS = {"greedy": 1, "careful": 3}  # beams; three are what Microsoft's samples use
MAX_PHRASE = 20_000  # characters; the model takes far fewer
MAX_INPUTS = 24  # regions or phrases of one run: each is a prompt of its own
_MOST = 1_000_000  # tokens, and pixels of a side: more than any checkpoint or picture has
MERGES = ("", "iou", "ios")  # by what regions are taken for one thing; see `merging`

_NEUTRALIZED = (InputKind.SENTENCE, InputKind.CLASSES, InputKind.EXPRESSIONS)
_ASK_FOR = {
    InputKind.SENTENCE: "Type a sentence about the picture, such as “{hint}”",
    InputKind.CLASSES: "Type the names of the things to find, separated by commas, such as “{hint}”.",
    InputKind.EXPRESSIONS: "Describe what to outline, separated by commas, such as “{hint}”.",
    InputKind.PROMPT: "Type the prompt of your fine-tune, such as “{hint}”",
}
_ASK_FOR_OWN_SENTENCE = "Type your question, or a sentence, such as “{hint}”"

_NAMED = (InputKind.CLASSES, InputKind.EXPRESSIONS)  # what asks for things by their names


def _as_pairs(given: Any) -> Any:
    """Return a mapping as pairs, and one number as that of all names; what is neither stays, to be refused later."""
    if given is None:
        return ()
    if isinstance(given, int | float) and not isinstance(given, bool):
        return (("", given),)
    if isinstance(given, Mapping):
        given = tuple(given.items())
    return _as_tuples(given)


def _read_pairs(given: Any) -> Any:
    """Return what was sent as pairs; refuse what is no object, which a list of pairs, as Python has them, is too."""
    pairs = _as_pairs(given)
    if not isinstance(pairs, tuple):
        raise PydanticKnownError("dict_type")
    return pairs


_TOLD_IF_USED = ("names", "min_scores", "merge", "one_by_one", "then")
_PAIRS = (Field(max_length=1000), BeforeValidator(_read_pairs), PlainSerializer(dict))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a picture, as it was put: `check_question` says whether it can be answered.

    `task` is the id of one of its checkpoint's tasks. `phrase` is the text that the task needs, `regions` are boxes
    xyxy in pixels of the upright picture. An empty `checkpoint` is the one that the playground started with; `decoding`
    is a name of DECODINGS; without `max_new_tokens` an answer is as long as the checkpoint can write.

    `names` says what is called otherwise than it is asked for, as pairs (asked, called): what has a name is asked for
    too, where the task asks for things by name. `min_scores` holds pairs (called, lowest score); that of the empty name
    is for all that have none of their own. With `merge`, one of MERGES, of regions that lie on one another the surest
    stays. With `one_by_one` each name is a prompt of its own.

    `tiles` looks closer, at overlapping tiles of so many pixels a side beside the whole picture; 0 lets the size of
    what the checkpoint sees decide.

    `then` is the id of a task that follows: one about regions is asked about each that was found, one about a sentence
    about the text of a caption.
    """

    task: Text
    phrase: Text = ""
    regions: tuple[Box, ...] = ()
    checkpoint: Text = ""
    decoding: Text = "greedy"
    max_new_tokens: Annotated[Number | None, PlainSerializer(lambda limit: limit)] = None  # a whole number as such
    names: Annotated[tuple[tuple[Text, Text], ...], *_PAIRS] = ()
    min_scores: Annotated[tuple[tuple[Text, Number], ...], *_PAIRS] = ()
    merge: Text = ""
    one_by_one: Annotated[bool, Field(strict=True)] = False
    tiles: Annotated[Number | None, PlainSerializer(lambda side: side)] = None
    then: Text = ""

    def __post_init__(self) -> None:
        phrase = "" if self.phrase is None else self.phrase
        object.__setattr__(self, "phrase", _whole(phrase) if isinstance(phrase, str) else phrase)
        object.__setattr__(self, "regions", () if self.regions is None else _as_tuples(self.regions))
        object.__setattr__(self, "names", _as_pairs(self.names))
        object.__setattr__(self, "min_scores", _as_pairs(self.min_scores))
        for name in ("max_new_tokens", "tiles"):
            number = _plain(getattr(self, name))
            is_whole = isinstance(number, float) and number % 1 == 0 and abs(number) <= _MOST
            object.__setattr__(self, name, int(number) if is_whole else number)  # pages and JSON write 5.0 for 5

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form: values that JSON can carry; what is made of the answer only where that is told."""
        wire: dict[str, Any] = _WIRE.dump_python(self, mode="json", warnings=False)
        is_used = {"tiles": self.tiles is not None} | {name: bool(wire[name]) for name in _TOLD_IF_USED}
        return {name: value for name, value in wire.items() if is_used.get(name, True)}

    @classmethod
    def from_dict(cls, wire: Mapping[str, Any], *, is_asked: bool = False) -> "Question":
        """Read the wire form, from whoever sent it; only `task` must be there. Raises InputRejected.

        Of a question that `is_asked` now every key must be known: one that is misspelled would not count. One that was
        kept may be that of a later playground.
        """
        if is_asked and (reason := misspelled(wire, cls)):
            raise _not_a_question(reason)
        try:
            return _WIRE.validate_python(wire)
        except ValidationError as error:
            raise _not_a_question(what_is_wrong(error)) from error

    def without_choices(self) -> "Question":
        """Return what is asked alone, without what is then made of the answer: names, lowest scores and merging."""
        phrase = ", ".join(asked_names(self)) if self.names and asked_names(self) else self.phrase
        return replace(self, phrase=phrase, names=(), min_scores=(), merge="")


_WIRE = TypeAdapter(Question)


def _not_a_question(reason: str) -> InputRejected:
    return InputRejected(
        f"This is not a question of the playground: {reason}. Send at least "
        '{"task": "<OD>"}, with what else it has as you need it, such as phrase, regions and names.',
        field="question",
    )


def _as_tuples(rows: Any) -> Any:
    """Return rows as tuples, whatever kind of sequence they came in; what is none stays, to be refused later."""
    rows = _plain(rows)
    if not isinstance(rows, list | tuple):
        return rows
    return tuple(tuple(map(_plain, row)) if isinstance(row, list | tuple) else row for row in map(_plain, rows))


def _plain(value: Any) -> Any:
    """Return an array, such as `sv.Detections.xyxy`, or a number of one as Python's own."""
    return value.tolist() if hasattr(value, "tolist") else value


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
    then: Task | None = None  # what is asked about each region that was found

    @property
    def is_one_by_one(self) -> bool:
        """Whether each of several classes is a prompt of its own."""
        return self.task.input_kind is InputKind.CLASSES and self.question.one_by_one


def check_question(
    question: Question, resolution_wh: tuple[int, int], own_tasks: Sequence[OwnTask] | None = None
) -> CheckedQuestion:
    """Check a question before anything runs. Raises UnknownTask or InputRejected.

    What its task does not need is ignored. `own_tasks` are those that the checkpoint brings along; None where that is
    not known, and the id of such a task is taken at its word.
    """
    task, then = _read_tasks(question, own_tasks)
    question = replace(question, task=task.id, then=then.id if then else "")
    if not isinstance(question.checkpoint, str):
        raise InputRejected(
            f"The checkpoint must be a name, but got {type(question.checkpoint).__name__}.", field="checkpoint"
        )
    _check_choices(question)
    _check_tiles(question, task, resolution_wh)
    has_regions = task.input_kind is InputKind.REGIONS
    checked = CheckedQuestion(
        question=question,
        resolution_wh=resolution_wh,
        task=task,
        phrases=_read_phrases(task, question) if task.input_kind.is_text else (),
        is_neutralized=task.input_kind in _NEUTRALIZED and _holds_tokens(task, question),
        regions=_read_regions(question.regions, resolution_wh) if has_regions else (),
        decoding=_read_decoding(question.decoding, question.max_new_tokens),
        then=then,
    )
    # What the task ignores is kept with the answer, and must be readable with it.
    Question.from_dict({field.name: getattr(question, field.name) for field in fields(question)})
    return checked


def _read_tasks(question: Question, own_tasks: Sequence[OwnTask] | None) -> tuple[Task, Task | None]:
    """Return the task, and the one that is asked about its regions; a caption that is grounded is one task."""

    def find(task_id: str) -> Task:
        return get_task(task_id) if own_tasks is None else find_task(task_id, own_tasks)

    task = find(question.task)
    if not question.then:
        return task, None
    then = find(question.then)
    if then.input_kind is InputKind.REGIONS and (task.then or not task.output_kind.is_text):
        return task, then
    for row in TASKS:
        if (row.prompt, row.then) == (task.prompt, then.id) and not task.then:
            return row, None
    raise InputRejected(
        f"“{then.title}” cannot follow “{task.title}”: after a task that finds regions comes one about a region, such "
        "as <REGION_TO_DESCRIPTION>, and after a caption <CAPTION_TO_PHRASE_GROUNDING>.",
        field="then",
    )


def asked_names(question: Question) -> tuple[str, ...]:
    """Return the names that a question asks for, in their order; none where the task names nothing itself."""
    task = get_task(question.task)
    if task.input_kind not in _NAMED or not isinstance(question.phrase, str):
        return ()
    return tuple(dict.fromkeys(grammar.neutralize(name) for name in _names_in(question)))


def called_names(question: Question) -> tuple[str, ...]:
    """Return what the names that a question asks for are called, in their order."""
    called = names_of(question)
    return tuple(dict.fromkeys(map(called, asked_names(question))))


def names_of(question: Question) -> Callable[[str], str]:
    """Return the function from a label, as the model writes it, to what it is called."""
    exact = {grammar.neutralize(asked): called for asked, called in question.names}
    alike = {same_name(asked): called for asked, called in reversed(exact.items())}
    return lambda label: exact.get(label) or alike.get(same_name(label), label)


def same_name(name: str) -> str:
    """Return what is the same for a name in capitals, with other spaces or in its plural."""
    words = " ".join(name.casefold().split())
    return words[:-1] if words.endswith("s") and not words.endswith("ss") else words


def _names_in(question: Question) -> list[str]:
    """The names of the phrase, then those that are only among what has a name."""
    typed = split_classes(question.phrase)
    return [*typed, *(asked for asked, _ in question.names if asked.strip() and asked.strip() not in typed)]


def _check_choices(question: Question) -> None:
    """Refuse what cannot be made of an answer."""
    for pair in _each(question.names):
        if not _is_pair(pair) or not isinstance(pair[1], str) or not (pair[0].strip() and pair[1].strip()):
            raise InputRejected(
                f"{str(pair)[:80]} gives no name: say what is asked for and what it is called, such as "
                '{"person wearing helmet": "helmet"}.',
                field="names",
            )
        if len(split_classes(pair[0])) != 1:
            raise InputRejected(f"“{pair[0][:80]}” is several names; give each one of its own.", field="names")
    for pair in _each(question.min_scores):
        if not _is_pair(pair) or not _is_number(pair[1]) or not 0 <= pair[1] <= 1:
            raise InputRejected(
                f"{str(pair)[:80]} is no lowest score: give each name a number from 0 to 1, such as "
                '{"helmet": 0.3}; that of "" is for all others.',
                field="min_scores",
            )
    if question.merge not in MERGES:
        raise InputRejected(
            f"{str(question.merge)[:40]!r} is no way to merge; choose iou (regions that lie on one another), ios (one "
            "that lies in another too), or nothing.",
            field="merge",
        )


def _check_tiles(question: Question, task: Task, resolution_wh: tuple[int, int]) -> None:
    side = question.tiles
    if side is None:
        return
    if not task.can_tile:
        raise InputRejected(
            f"“{task.title}” is about the picture as a whole and cannot look closer. Choose a task that finds things "
            "or marks where text stands, or look at the whole.",
            field="tiles",
        )
    if not _is_whole(side) or not (side == 0 or MIN_SIDE <= side <= _MOST):
        raise InputRejected(
            f"The side of a tile must be a whole number from {MIN_SIDE} to {_MOST} pixels, but got {repr(side)[:40]}. "
            "0 lets the playground choose.",
            field="tiles",
        )
    if side and (count := count_tiles(resolution_wh, side)) > MAX_TILES:
        raise InputRejected(
            f"That is {count} tiles; at most {MAX_TILES} are looked at in a run. Make them larger.",
            field="tiles",
        )


def _each(pairs: object) -> Iterable[Any]:
    return pairs if isinstance(pairs, tuple) else (pairs,)


def _is_pair(pair: object) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_phrases(task: Task, question: Question) -> tuple[str, ...]:
    phrase = question.phrase
    if not isinstance(phrase, str):
        raise InputRejected(f"The phrase must be text, but got {type(phrase).__name__}.", field="phrase")
    if len(phrase) > MAX_PHRASE:
        raise InputRejected(
            f"The text has {len(phrase)} characters; the limit is {MAX_PHRASE}. Shorten it.", field="phrase"
        )
    if task.input_kind is InputKind.PROMPT:
        return (_read_prompt(task, phrase.strip()),)
    texts = [grammar.neutralize(part) for part in _split(task, question)]
    if not texts:
        raise _missing(task)
    if task.input_kind is InputKind.CLASSES and not question.one_by_one:
        return (join_classes(texts),)
    if len(texts) > MAX_INPUTS:
        raise InputRejected(
            f"That is {len(texts)} phrases; at most {MAX_INPUTS} are answered in one run. Ask for fewer at once.",
            field="phrase",
        )
    return tuple(texts)


def _whole(text: str) -> str:
    """JSON can carry half a surrogate pair, the tokenizer cannot."""
    return text.encode(errors="replace").decode()


def _missing(task: Task) -> InputRejected:
    is_own_sentence = isinstance(task, OwnTask) and task.input_kind is InputKind.SENTENCE
    sentence = _ASK_FOR_OWN_SENTENCE if is_own_sentence else _ASK_FOR[task.input_kind]
    told = sentence.format(hint=task.input_hint) if task.input_hint else f"{sentence.partition(', such as')[0]}."
    return InputRejected(told, field="phrase")


def _holds_tokens(task: Task, question: Question) -> bool:
    return any(grammar.neutralize(part) != part for part in _split(task, question))


def _split(task: Task, question: Question) -> list[str]:
    """Split a list of names, but not a sentence."""
    if task.input_kind is InputKind.SENTENCE:
        return [question.phrase.strip()] if question.phrase.strip() else []
    return _names_in(question)


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
    if not isinstance(regions, tuple):
        raise InputRejected(
            "The regions must be a list of boxes [x_min, y_min, x_max, y_max] in pixels, but got "
            f"{type(regions).__name__}.",
            field="regions",
        )
    if not regions:
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
    return all(_is_number(n) and abs(n) < 1e9 for n in region)


def _read_decoding(decoding: str, max_new_tokens: float | None) -> Decoding:
    if not isinstance(decoding, str) or decoding not in DECODINGS:
        raise InputRejected(
            f"{str(decoding)[:40]!r} is no way to decode; choose one of: {', '.join(DECODINGS)}.", field="decoding"
        )
    if max_new_tokens is None:
        return Decoding(DECODINGS[decoding])
    if not _is_whole(max_new_tokens) or not 1 <= max_new_tokens <= _MOST:
        raise InputRejected(
            f"The limit of new tokens must be a whole number from 1 to {_MOST}, but got {repr(max_new_tokens)[:40]}. "
            "Leave it out for answers as long as the checkpoint can write.",
            field="decoding",
        )
    return Decoding(DECODINGS[decoding], max_new_tokens)
