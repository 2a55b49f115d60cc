"""The door: a picture, a task and its inputs become a checked `Request`, or one sentence about what is missing.

Knows the table of tasks and what the model can be asked. Knows nothing of checkpoints and answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from playground import grammar
from playground.errors import InputRejected
from playground.images import InputImage
from playground.results import Box, Decoding
from playground.tasks import TASK_TOKENS, InputKind, Task, get_task

DECODINGS = {"greedy": 1, "careful": 3}  # beams; three are what Microsoft's samples use
MAX_NEW_TOKENS = 1024
MAX_PHRASE = 20_000  # letters; the model takes far fewer
MAX_INPUTS = 24  # regions or phrases of one run: each is a prompt of its own

_NEUTRALIZED = (InputKind.SENTENCE, InputKind.CLASSES, InputKind.EXPRESSIONS)
_ASK_FOR = {
    InputKind.SENTENCE: "Type a sentence about the picture, such as “{hint}”",
    InputKind.CLASSES: "Type the names of the things to find, separated by commas, such as “{hint}”.",
    InputKind.EXPRESSIONS: "Describe what to outline, separated by commas, such as “{hint}”.",
    InputKind.PROMPT: "Type the prompt of your fine-tune, such as “{hint}”",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A checked question. Only `read_request` makes one.

    `phrases` are put to the model as they stand, with nothing in them that could be taken for a token; one for each
    prompt of the run. `regions` are ordered xyxy in pixels, inside the picture.
    """

    image: InputImage
    task: Task
    phrases: tuple[str, ...]
    is_neutralized: bool  # the user's text held names of tokens
    regions: tuple[Box, ...]
    checkpoint: str
    decoding: Decoding


def read_request(
    image: InputImage,
    task: str,
    *,
    phrase: str = "",
    regions: Sequence[Sequence[float]] = (),
    checkpoint: str = "",
    decoding: str = "greedy",
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> Request:
    """Check a question before anything runs. Raises UnknownTask or InputRejected."""
    row = get_task(task)
    if not isinstance(checkpoint, str):
        raise InputRejected(f"The checkpoint must be a name, but got {type(checkpoint).__name__}.", field="checkpoint")
    phrases, boxes = read_inputs(row, image.resolution_wh, phrase=phrase, regions=regions)
    return Request(
        image=image,
        task=row,
        phrases=phrases,
        is_neutralized=row.input_kind in _NEUTRALIZED and _holds_tokens(row, phrase),
        regions=boxes,
        checkpoint=checkpoint,
        decoding=_read_decoding(decoding, max_new_tokens),
    )


def read_inputs(
    task: Task, resolution_wh: tuple[int, int], *, phrase: str, regions: Sequence[Sequence[float]]
) -> tuple[tuple[str, ...], tuple[Box, ...]]:
    """Return the phrases and the regions that a task needs, checked; what it does not need is ignored."""
    phrases = _read_phrases(task, phrase) if task.input_kind.is_text else ()
    boxes = _read_regions(regions, resolution_wh) if task.input_kind is InputKind.REGIONS else ()
    return phrases, boxes


def _read_phrases(task: Task, phrase: str) -> tuple[str, ...]:
    if not isinstance(phrase, str):
        raise InputRejected(f"The phrase must be text, but got {type(phrase).__name__}.", field="phrase")
    if len(phrase) > MAX_PHRASE:
        raise InputRejected(
            f"The text has {len(phrase)} letters; the limit is {MAX_PHRASE}. Shorten it.", field="phrase"
        )
    phrase = phrase.encode(errors="replace").decode()  # JSON can carry half a surrogate pair, the tokenizer cannot
    if task.input_kind is InputKind.PROMPT:
        return (_read_prompt(task, phrase.strip()),)
    texts = [grammar.neutralize(part) for part in _split(task, phrase)]
    if not texts:
        raise _missing(task)
    if task.input_kind is InputKind.CLASSES:
        return ("<and>".join(texts),)
    if len(texts) > MAX_INPUTS:
        raise InputRejected(
            f"That is {len(texts)} phrases; at most {MAX_INPUTS} are answered in one run. Ask for fewer at once.",
            field="phrase",
        )
    return tuple(texts)


def _missing(task: Task) -> InputRejected:
    return InputRejected(_ASK_FOR[task.input_kind].format(hint=task.input_hint), field="phrase")


def _holds_tokens(task: Task, phrase: str) -> bool:
    return any(grammar.neutralize(part) != part for part in _split(task, phrase))


def _split(task: Task, phrase: str) -> list[str]:
    """Split a comma list, but not a sentence; people who know Florence-2 also write `cat<and>dog`."""
    is_sentence = task.input_kind is InputKind.SENTENCE
    parts = [phrase] if is_sentence else phrase.replace("<and>", ",").replace("\n", ",").split(",")
    return [part.strip() for part in parts if part.strip()]


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
    if hasattr(regions, "tolist"):  # an array, such as `sv.Detections.xyxy`
        regions = regions.tolist()
    if not isinstance(regions, list | tuple) or not regions:
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


def _read_decoding(decoding: str, max_new_tokens: int) -> Decoding:
    if not isinstance(decoding, str) or decoding not in DECODINGS:
        raise InputRejected(
            f"{str(decoding)[:40]!r} is no way to decode; choose one of: {', '.join(DECODINGS)}.", field="decoding"
        )
    if isinstance(max_new_tokens, bool) or not isinstance(max_new_tokens, int | float) or not max_new_tokens >= 1:
        raise InputRejected(
            f"The limit of new tokens must be a number from 1 to {MAX_NEW_TOKENS}, but got {max_new_tokens!r}.",
            field="decoding",
        )
    return Decoding(num_beams=DECODINGS[decoding], max_new_tokens=int(min(max_new_tokens, MAX_NEW_TOKENS)))
