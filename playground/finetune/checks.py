"""What is wrong with lessons, said before anything runs: what is left out, and what can be used but may surprise.

Knows no model: how long a text is for one is passed in.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from playground.datasets.labeled import Labeled
from playground.datasets.reading import LabeledData
from playground.errors import ImageRejected, InputRejected, UnknownTask
from playground.finetune.lessons import Lesson, lessons_about
from playground.finetune.teaching import number_of
from playground.pictures.reader import InputImage
from playground.question import Question
from playground.tasks import InputKind, OutputKind, get_task

_TOLD = 20  # sentences of a kind; how many more there are is said
_NAMED = 12  # labels of a sentence
_HELD_OUT_PARTS = ("val", "test")  # of a data set that is divided already
_MIN_TO_DIVIDE = 5  # pictures: of fewer none is held out


@dataclass(frozen=True, slots=True)
class LessonReport:
    """The lessons that can be used, what was left out, and what is worth knowing, a sentence each."""

    lessons: tuple[Lesson, ...]
    held_out: tuple[Lesson, ...]
    left_out: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """How much there is, as a sentence."""
        taught = [lesson for lesson in self.lessons if not lesson.is_rehearsed]
        pictures, others = (len({lesson.name for lesson in side}) for side in (taught, self.held_out))
        labels = Counter(region.label for lesson in taught for region in lesson.regions if region.label)
        named = ", ".join(f"{count} × {label}" for label, count in labels.most_common(8))
        more = f", and {len(labels) - 8} labels more" if len(labels) > 8 else ""
        what = f": {named}{more}" if named else ""
        own = len(self.lessons) - len(taught)
        kept = f" What it answers about {_count(own, 'other picture')} is rehearsed, so that it is kept." if own else ""
        return (
            f"{_count(len(taught), 'lesson')} about {_count(pictures, 'picture')}{what}; "
            f"{_count(len(self.held_out), 'lesson')} about {_count(others, 'picture')} held out to measure.{kept}"
        )

    def lines(self) -> list[str]:
        """Return the report for a terminal."""
        lines = [self.summary]
        for heading, sentences in (("Left out", self.left_out), ("Worth knowing", self.notices)):
            if sentences:
                lines += [f"{heading}:", *(f"  {sentence}" for sentence in sentences[:_TOLD])]
            if len(sentences) > _TOLD:
                lines.append(f"  and {len(sentences) - _TOLD} more.")
        return lines


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def lessons_of_data(data: LabeledData, question: Question | None, *, held_out_share: float, seed: int) -> LessonReport:
    """Return what a data set teaches of a task; without a question what each of its lines asks.

    Its own parts val and test are held out; where it has none, a share of its pictures, chosen by their names. Each
    picture is opened once.
    """
    train: list[Lesson] = []
    held: list[Lesson] = []
    left_out: list[str] = []
    faults: list[str] = []
    is_divided = any(part in data.subsets for part in _HELD_OUT_PARTS) and len(data.subsets) > 1
    for labeled in data.labeled():
        try:
            _, opened = data.open(labeled)
        except ImageRejected as error:
            left_out.append(f"{labeled.name}: {error}")
            continue
        if opened.ignored and not opened.regions and not opened.texts:  # which is not that there is nothing
            left_out.append(f"{labeled.name}: All that is labeled in it is marked as a crowd or as difficult.")
            continue
        faults += [f"{labeled.name}: {fault}" for fault in (*opened.faults, *_not_taught(opened))]
        lessons = _lessons(data, labeled, opened, question)
        if not lessons:
            left_out.append(f"{labeled.name}: {_why_none(opened, question)}")
        (held if is_divided and labeled.subset in _HELD_OUT_PARTS else train).extend(lessons)
    if not is_divided:
        train, held = _divided(train, held_out_share, seed)
    own = [data.notice] if data.notice else []
    notices = (*own, *faults, *_empty([*train, *held]), *_on_both_sides(train, held), *_unseen(train, held))
    return LessonReport(tuple(train), tuple(held), tuple(left_out), notices)


def _not_taught(opened: Labeled) -> list[str]:
    count = len(opened.ignored)
    return [f"{_count(count, 'region')} marked as a crowd or as difficult: not taught."] if count else []


def _lessons(data: LabeledData, labeled: Labeled, opened: Labeled, question: Question | None) -> list[Lesson]:
    """Return what a picture teaches of a task. Words that answer another question are no answer to this one."""
    own = opened.question
    asked = own if question is None or (own and own.task == question.task) else question
    if asked is None or not opened.regions_answer(get_task(asked.task)):
        return []
    texts = opened.texts if own is None or own is asked else ()
    says_nothing = not opened.regions and bool(opened.texts) and not texts
    if says_nothing or (not opened.regions and texts and own is None and not get_task(asked.task).output_kind.is_text):
        return []  # nobody has said that there is nothing
    return list(lessons_about(labeled.name, partial(_open, data, labeled), asked, opened.regions, texts))


def _why_none(opened: Labeled, question: Question | None) -> str:
    asked = question or opened.question
    if asked is None:
        return "It does not say what is asked about it. Choose the task that it is to answer (--task)."
    if opened.question is asked and get_task(asked.task).input_kind is InputKind.REGIONS and not asked.regions:
        return f"It names no region: four <loc_…> must follow {asked.task}."
    other = f" It answers {opened.question.task}." if opened.question and opened.question.task != asked.task else ""
    return f"It holds nothing that could be an answer to {asked.task}.{other}"


def _empty(lessons: Sequence[Lesson]) -> list[str]:
    """Return that nothing is labeled in some pictures, which teaches as much as what is."""
    asked = [lesson for lesson in lessons if not lesson.output_kind.is_text and not lesson.is_answered_by_text]
    pictures = {lesson.name for lesson in asked if not lesson.regions} - {one.name for one in asked if one.regions}
    if not pictures:
        return []
    named = ", ".join(sorted(pictures)[:3]) + (" and others" if len(pictures) > 3 else "")
    return [
        f"In {_count(len(pictures), 'picture')} nothing is labeled ({named}): there it learns to find nothing. Take "
        "them out if nobody has looked at them."
    ]


def _open(data: LabeledData, labeled: Labeled) -> InputImage:
    return data.open(labeled)[0]


def _divided(lessons: Sequence[Lesson], share: float, seed: int) -> tuple[list[Lesson], list[Lesson]]:
    """Hold out a share of the pictures: the same ones for a seed, whatever else comes to the data set."""
    names = sorted({lesson.name for lesson in lessons}, key=lambda name: number_of(f"{seed} {name}"))
    count = max(1, round(share * len(names))) if share and len(names) >= _MIN_TO_DIVIDE else 0
    held = set(names[:count])
    return [one for one in lessons if one.name not in held], [one for one in lessons if one.name in held]


def _on_both_sides(train: Iterable[Lesson], held: Iterable[Lesson]) -> list[str]:
    """Return which pictures are taught and measured with, which says too much of what is learned."""
    names = sorted({lesson.name for lesson in train} & {lesson.name for lesson in held})
    return [f"{_listed(names)}: taught, and held out as well, so that the figures are too good."] if names else []


def _unseen(train: Iterable[Lesson], held: Iterable[Lesson]) -> list[str]:
    """Return which labels are on one side only: they cannot be measured, or not be learned."""
    taught, measured = ({r.label for lesson in side for r in lesson.regions if r.label} for side in (train, held))
    alone = (
        (
            sorted(taught - measured) if measured else [],
            "in no held-out picture: how well it is learned is not measured",
        ),
        (sorted(measured - taught), "in held-out pictures only: it cannot be learned"),
    )
    return [f"{_listed(labels)}: {where}." for labels, where in alone if labels]


def _listed(labels: Sequence[str]) -> str:
    named = ", ".join(f"“{label}”" for label in labels[:_NAMED])
    return f"{named} and {len(labels) - _NAMED} more" if len(labels) > _NAMED else named


def with_rehearsals(report: LessonReport, others: LabeledData, most: int) -> LessonReport:
    """Return a report with what a job has answered about up to so many pictures that nobody has looked at.

    Not where a person has drawn what the model has written nowhere: it may be on those pictures, too, and they would
    teach it away.
    """
    found = lessons_of_data(others, None, held_out_share=0, seed=0)
    own = tuple(lesson.answered(lesson.regions, lesson.text) for lesson in found.lessons)
    corrected = [region for lesson in (*report.lessons, *report.held_out) for region in lesson.regions]
    written = [region.original or region for region in corrected if region.source != "added"]
    known = {region.label for region in (*written, *(region for lesson in own for region in lesson.regions))}
    new = {region.label for region in corrected if region.source == "added"} - known
    if new and own:
        told = f"{_listed(sorted(new))}: new, so that the job's other pictures, which may show it, are not rehearsed."
        return replace(report, notices=(*report.notices, told))
    return replace(report, lessons=(*report.lessons, *own[: max(0, most)]))


def check_lessons(
    report: LessonReport, num_tokens: Callable[[str], int], *, max_prompt_tokens: int, max_answer_tokens: int
) -> LessonReport:
    """Return the report without the lessons that a model cannot be taught, with a sentence for each of them."""
    left_out = list(report.left_out)

    def is_usable(lesson: Lesson) -> bool:
        wrong = _what_is_wrong(lesson, num_tokens, max_prompt_tokens, max_answer_tokens)
        if wrong:
            left_out.append(f"{lesson.name}: {wrong}")
        return not wrong

    lessons, held_out = (tuple(filter(is_usable, side)) for side in (report.lessons, report.held_out))
    if lessons and not any(lesson.regions or lesson.text for lesson in (*lessons, *held_out)):
        left_out.append("In no picture anything is labeled, so that it would learn to find nothing. Give the labels.")
        lessons, held_out = (), ()
    return LessonReport(lessons, held_out, tuple(left_out), report.notices)


def _lacks(lesson: Lesson) -> str:
    """Return that a region has only a box where the task needs more; nothing where that is not so."""
    is_outlined = lesson.output_kind is OutputKind.POLYGONS
    for region in lesson.regions:
        if (is_outlined and not region.polygons) or (lesson.output_kind is OutputKind.QUADS and not region.xyxyxyxy):
            named = region.label or lesson.question.phrase or "A region"
            shape = "outlines" if is_outlined else "text with its four corners"
            return f"“{named}” has a box alone, but {lesson.question.task} is answered by {shape}. Choose another task."
    return ""


def _what_is_wrong(lesson: Lesson, num_tokens: Callable[[str], int], max_prompt: int, max_answer: int) -> str:
    try:
        resolution_wh = lesson.read().resolution_wh
        prompt, answer = lesson.prompt(resolution_wh), lesson.answer(resolution_wh)
    except (ImageRejected, InputRejected, UnknownTask) as error:
        return str(error)
    except ValueError as error:
        return _lacks(lesson) or f"It cannot be written as an answer: {error}"
    width, height = resolution_wh
    for region in lesson.regions:
        x_min, y_min, x_max, y_max = region.xyxy
        if x_max <= 0 or y_max <= 0 or x_min >= width or y_min >= height:
            return f"A region of “{region.label}” lies outside the picture of {width} x {height}."
    for what, text, limit in (("question", prompt, max_prompt), ("answer", answer, max_answer)):
        if (count := num_tokens(text)) > limit:
            return f"Its {what} has {count} tokens; this checkpoint can take {limit}. Divide it."
    return ""
