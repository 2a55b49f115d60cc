"""The table of tasks: what a person can ask, and how Florence-2 is asked for it.

A task is a row; nothing outside this module compares task tokens. Prompts are those of Florence-2's processor
(Xiao et al., 2023, arXiv:2311.06242, and `Florence2Processor` in transformers).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from playground.errors import UnknownTask

AND = "<and>"  # the token between the names of several classes, in prompts and answers


class InputKind(Enum):
    """What the form must provide; each kind of text is put to the model in its own way."""

    NONE = "none"
    SENTENCE = "sentence"  # one prompt holds the whole sentence
    CLASSES = "classes"  # a comma list, one prompt with the names joined by `<and>`
    EXPRESSIONS = "expressions"  # a comma list, one prompt an expression
    REGIONS = "regions"  # boxes on the picture, one prompt a region
    PROMPT = "prompt"  # the prompt itself, for checkpoints with tasks of their own

    @property
    def is_text(self) -> bool:
        return self not in (InputKind.NONE, InputKind.REGIONS)


class OutputKind(Enum):
    """The shape of the answer, which decides how it is parsed and how it can be drawn."""

    TEXT = "text"
    TEXT_WITH_BOX = "text with box"
    LABELED_BOXES = "labeled boxes"
    BOXES = "boxes"
    QUADS = "quads"
    POLYGONS = "polygons"
    BOXES_OR_POLYGONS = "boxes or polygons"

    @property
    def is_text(self) -> bool:
        return self in (OutputKind.TEXT, OutputKind.TEXT_WITH_BOX)


class Group(Enum):
    """What a person wants; the value is the heading on the page."""

    OWN = "This model's own"  # tasks that a checkpoint brings along
    FIND = "Find"
    DESCRIBE = "Describe"
    READ = "Read"
    REGION = "Ask about a region"
    CUSTOM = "Custom"


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to ask.

    `prompt` is what the model is really asked; "{input}" is filled from the form. `words` are those by which people
    look for it, beside its title. `then` is the id of the task that is asked next, with this one's text as its
    sentence. `on_crop` asks about the pixels of each region alone. `covers` is said of a row whose answer hides a part
    of the picture; such a row asks what the one asks whose id its own begins with.
    """

    id: str
    title: str
    group: Group
    prompt: str
    output_kind: OutputKind
    input_kind: InputKind = InputKind.NONE
    input_hint: str = ""  # the placeholder of the text field, an example
    words: tuple[str, ...] = ()
    then: str | None = None
    on_crop: bool = False
    covers: bool = False

    @property
    def can_tile(self) -> bool:
        """Whether a part of a picture answers for itself: what is found has a box, and nothing but names is given."""
        has_boxes = not self.output_kind.is_text and self.output_kind is not OutputKind.POLYGONS
        return has_boxes and self.input_kind not in (InputKind.REGIONS, InputKind.PROMPT)

    def fill(self, text: str = "") -> str:
        """Return the prompt with a text in its place: a phrase, joined names, or the location tokens of a region."""
        return self.prompt.replace("{input}", text)

    @property
    def learned_as(self) -> str:
        """The id of the row that a checkpoint has learned where it can answer this one."""
        return self.id.partition("+")[0] if self.covers else self.id


@dataclass(frozen=True, slots=True)
class OwnTask(Task):
    """A row that a checkpoint brings along; `own_task` makes them.

    Its id tells its kinds too, `<DocVQA> sentence -> text`, so that whoever is given a question or an answer knows how
    to treat it without the checkpoint at hand.
    """

    token: str = ""  # what the checkpoint calls it: `<DocVQA>`


_GROUNDING = "<CAPTION_TO_PHRASE_GROUNDING>"
_CAPTION = "What does the image describe?"
_DETAILED_CAPTION = "Describe in detail what is shown in the image."
_MORE_DETAILED_CAPTION = "Describe with a paragraph what is shown in the image."
_OCR = "What is the text in the image?"

TASKS: tuple[Task, ...] = (
    Task("<OD>", "Find every object", Group.FIND,
         "Locate the objects with category name in the image.", OutputKind.LABELED_BOXES,
         words=("detect", "count", "boxes", "label")),
    Task("<DENSE_REGION_CAPTION>", "Find and describe every region", Group.FIND,
         "Locate the objects in the image, with their descriptions.", OutputKind.LABELED_BOXES,
         words=("detect", "dense", "caption", "boxes")),
    Task("<REGION_PROPOSAL>", "Find regions, without names", Group.FIND,
         "Locate the region proposals in the image.", OutputKind.BOXES,
         words=("propose", "boxes", "salient")),
    Task("<OPEN_VOCABULARY_DETECTION>", "Find the things I name", Group.FIND,
         "Locate {input} in the image.", OutputKind.BOXES_OR_POLYGONS,
         InputKind.CLASSES, "tree, house",
         words=("detect", "search", "count", "open vocabulary", "classes")),
    Task("<OPEN_VOCABULARY_DETECTION>+<COVER>", "Cover the things I name", Group.FIND,
         "Locate {input} in the image.", OutputKind.BOXES_OR_POLYGONS,
         InputKind.CLASSES, "face, licence plate, sign", covers=True,
         words=("redact", "anonymize", "privacy", "hide", "black out", "blur", "faces", "number plates")),
    Task(_GROUNDING, "Locate the phrases of a sentence", Group.FIND,
         "Locate the phrases in the caption: {input}", OutputKind.LABELED_BOXES,
         InputKind.SENTENCE, "A tree and two boats on a beach.",
         words=("ground", "phrase", "where", "boxes")),
    Task("<REFERRING_EXPRESSION_SEGMENTATION>", "Outline what I describe", Group.FIND,
         "Locate {input} in the image with mask", OutputKind.POLYGONS,
         InputKind.EXPRESSIONS, "the red car, the green tree",
         words=("mask", "segment", "cut out", "polygon", "shape")),
    Task("<CAPTION>", "Short caption", Group.DESCRIBE, _CAPTION, OutputKind.TEXT,
         words=("describe", "alt text", "summary", "title")),
    Task("<DETAILED_CAPTION>", "Detailed caption", Group.DESCRIBE, _DETAILED_CAPTION, OutputKind.TEXT,
         words=("describe", "alt text")),
    Task("<MORE_DETAILED_CAPTION>", "Long description", Group.DESCRIBE, _MORE_DETAILED_CAPTION, OutputKind.TEXT,
         words=("describe", "paragraph", "caption", "alt text")),
    Task(f"<CAPTION>+{_GROUNDING}", "Short caption, its things located", Group.DESCRIBE,
         _CAPTION, OutputKind.TEXT, then=_GROUNDING,
         words=("describe", "ground", "boxes")),
    Task(f"<DETAILED_CAPTION>+{_GROUNDING}", "Detailed caption, its things located", Group.DESCRIBE,
         _DETAILED_CAPTION, OutputKind.TEXT, then=_GROUNDING,
         words=("describe", "ground", "boxes")),
    Task(f"<MORE_DETAILED_CAPTION>+{_GROUNDING}", "Long description, its things located", Group.DESCRIBE,
         _MORE_DETAILED_CAPTION, OutputKind.TEXT, then=_GROUNDING,
         words=("describe", "ground", "boxes", "caption")),
    Task("<OCR>", "Read the text", Group.READ, _OCR, OutputKind.TEXT,
         words=("ocr", "transcribe", "letters", "words", "sign")),
    Task("<OCR_WITH_REGION>", "Read the text and mark its place", Group.READ,
         "What is the text in the image, with regions?", OutputKind.QUADS,
         words=("ocr", "transcribe", "letters", "words", "boxes", "lines")),
    Task("<REGION_TO_CATEGORY>", "Name a region", Group.REGION,
         "What is the region {input}?", OutputKind.TEXT_WITH_BOX, InputKind.REGIONS,
         words=("classify", "category", "what is this", "label")),
    Task("<REGION_TO_DESCRIPTION>", "Describe a region", Group.REGION,
         "What does the region {input} describe?", OutputKind.TEXT_WITH_BOX, InputKind.REGIONS,
         words=("caption",)),
    Task("<REGION_TO_SEGMENTATION>", "Outline the thing in a region", Group.REGION,
         "What is the polygon mask of region {input}", OutputKind.POLYGONS, InputKind.REGIONS,
         words=("mask", "segment", "cut out", "polygon", "shape")),
    Task("<REGION_TO_OCR>", "Read a region", Group.REGION,
         "What text is in the region {input}?", OutputKind.TEXT, InputKind.REGIONS,
         words=("ocr", "text", "letters", "words")),
    Task("<OCR>+<CROP>", "Read a region, cut out first", Group.REGION,
         _OCR, OutputKind.TEXT, InputKind.REGIONS, on_crop=True,
         words=("ocr", "text", "crop", "letters", "words")),
    Task("<CUSTOM>", "A prompt of my own (for fine-tunes)", Group.CUSTOM,
         "{input}", OutputKind.BOXES_OR_POLYGONS, InputKind.PROMPT, "<DocVQA> What is the date on the letter?",
         words=("custom", "docvqa", "question", "answer")),
)  # fmt: skip

DEFAULT_TASK = TASKS[0]
TO_NAME = ("<REGION_TO_CATEGORY>", "<REGION_TO_DESCRIPTION>")  # what says in words what is in a region
TO_FIND = "<OPEN_VOCABULARY_DETECTION>"  # what finds by words
_BY_ID = {task.id: task for task in TASKS}

# The tokens that Florence-2's processor replaces by a sentence: the ids that are one token.
TASK_TOKENS = frozenset(task.id for task in TASKS if "+" not in task.id and task.input_kind is not InputKind.PROMPT)


def join_classes(names: Iterable[str]) -> str:
    """Return the names of classes as one text of a prompt: `cat<and>dog`."""
    return AND.join(names)


def split_classes(text: str) -> list[str]:
    """Return the names of a list that a person typed: divided by commas, by lines or, as the model does, by `<and>`."""
    parts = text.replace(AND, ",").replace("\n", ",").split(",")
    return [part.strip() for part in parts if part.strip()]


def get_task(task_id: str) -> Task:
    """Return the row with this id, of the table or as the id of a checkpoint's own task tells. Raises UnknownTask."""
    row = _BY_ID.get(task_id) or _told_by(task_id) if isinstance(task_id, str) else None
    if row is None:
        raise _unknown(task_id, TASKS)
    return row


def find_task(task_id: str, own_tasks: Sequence[OwnTask]) -> Task:
    """Return the row that a checkpoint with these own tasks is asked for; their tokens alone will do.

    Raises UnknownTask, for a task of another checkpoint too.
    """
    for row in own_tasks:
        if task_id in (row.id, row.token):
            return row
    if not isinstance(task_id, str) or task_id not in _BY_ID:
        raise _unknown(task_id, (*own_tasks, *TASKS))
    return _BY_ID[task_id]


def _unknown(task_id: object, known: Iterable[Task]) -> UnknownTask:
    who = "the checkpoint that is asked" if isinstance(task_id, str) and _told_by(task_id) else "this playground"
    return UnknownTask(f"{str(task_id)[:80]!r} is not a task of {who}. Tasks: {', '.join(row.id for row in known)}.")


# --- What a checkpoint brings along

_OWN_INPUTS = [kind.value for kind in InputKind if kind is not InputKind.PROMPT]
_OWN_ID = re.compile(
    rf"(?P<token>\S.{{0,58}}\S) (?P<input>{'|'.join(_OWN_INPUTS)})"
    rf" -> (?P<output>{'|'.join(kind.value for kind in OutputKind)})"
)


def own_task(
    token: str,
    title: str,
    input_kind: InputKind = InputKind.NONE,
    output_kind: OutputKind = OutputKind.TEXT,
    *,
    prompt: str = "",
    hint: str = "",
) -> OwnTask:
    """Return a row for a task of a checkpoint's own; its prompt is the token, with what is typed behind it.

    Raises ValueError for what cannot be one.
    """
    if input_kind is InputKind.PROMPT:
        raise ValueError(f"input must be one of {', '.join(_OWN_INPUTS)}")
    needs_input = input_kind is not InputKind.NONE
    prompt = prompt or (f"{token}{{input}}" if needs_input else token)
    own_id = f"{token} {input_kind.value} -> {output_kind.value}"
    if not _OWN_ID.fullmatch(own_id) or not token.isprintable():
        raise ValueError(f"id must be 2 to 60 characters without a space at either end, but got {token[:80]!r}")
    if needs_input != ("{input}" in prompt):
        raise ValueError(f"prompt must {'hold' if needs_input else 'not hold'} {{input}}, but got {prompt[:80]!r}")
    if taken := next((row for row in TASKS if token == row.id or title == row.title), None):
        raise ValueError(f"{taken.id} “{taken.title}” is a task of every Florence-2; its own need another id and title")
    return OwnTask(own_id, title, Group.OWN, prompt, output_kind, input_kind, hint, token=token)


def _told_by(task_id: str) -> OwnTask | None:
    """Return what the id of a checkpoint's own task tells: all but its title, its hint and how it is asked."""
    match = _OWN_ID.fullmatch(task_id)
    if match is None or match["token"] in _BY_ID:
        return None
    try:
        return own_task(match["token"], match["token"], InputKind(match["input"]), OutputKind(match["output"]))
    except ValueError:  # a visitor may write any text that looks so
        return None
