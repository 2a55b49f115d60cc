"""What is taught: pictures with a question and its right answer, written as the model is asked and is to answer.

Prompts are made by `answering`, which asks the model too, and answers are spelled by the grammar that reads them.
Knows no model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from playground import grammar
from playground.answering import filled_prompts
from playground.pictures.reader import InputImage
from playground.question import Question
from playground.regions import Region
from playground.tasks import InputKind, OutputKind, get_task


@dataclass(frozen=True, slots=True)
class Lesson:
    """A picture, or how to get it, a question about it that has one prompt, and the right answer.

    `read` returns the picture each time anew, in whose pixels all regions are; it raises ImageRejected. `text` is the
    answer where that is words. Where a free prompt is answered by words it may have no regions. One that `is_rehearsed`
    was labeled by nobody: its answer is the checkpoint's own, from before it was taught.
    """

    name: str
    read: Callable[[], InputImage]
    question: Question
    regions: tuple[Region, ...] = ()
    text: str = ""
    is_rehearsed: bool = False

    @property
    def output_kind(self) -> OutputKind:
        """The kind of answer that the question has."""
        return get_task(self.question.task).output_kind

    @property
    def is_answered_by_text(self) -> bool:
        """Whether the answer is words alone: of a task that is answered so, or of a free prompt without regions."""
        is_free = get_task(self.question.task).input_kind is InputKind.PROMPT
        return self.output_kind is OutputKind.TEXT or (is_free and not self.regions)

    def prompt(self, resolution_wh: tuple[int, int]) -> str:
        """Return what the model is asked. Raises UnknownTask or InputRejected, ValueError for several prompts."""
        prompts = filled_prompts(self.question, resolution_wh)
        if len(prompts) != 1:
            raise ValueError(f"a lesson must ask one thing, but this one asks {len(prompts)}; make a lesson of each.")
        return prompts[0]

    def answer(self, resolution_wh: tuple[int, int]) -> str:
        """Return what the model is to write. Raises ValueError for what would come back changed."""
        if self.is_answered_by_text:
            return _plain(self.text)
        regions = self.regions
        if self.output_kind is OutputKind.TEXT_WITH_BOX and not regions:
            regions = tuple(Region(self.text, box) for box in self.question.regions)
        return grammar.render(in_order(regions, self.question, self.output_kind), self.question.task, resolution_wh)

    def answered(self, regions: Sequence[Region], text: str) -> "Lesson":
        """Return the lesson with what a checkpoint answers by itself.

        Without scores: nobody learns them, and their last digits would make a teaching that goes on another one.
        """
        bare = tuple(replace(region, score=None) for region in regions)
        return replace(self, regions=bare, text=text, is_rehearsed=True)

    def scaled(self, x: float, y: float) -> "Lesson":
        """Return the lesson about its picture in another size."""
        regions = tuple(_scaled(region, x, y) for region in self.regions)
        asked: Any = tuple((a * x, b * y, c * x, d * y) for a, b, c, d in self.question.regions)
        return replace(self, regions=regions, question=replace(self.question, regions=asked))


def _scaled(region: Region, x: float, y: float) -> Region:
    x_min, y_min, x_max, y_max = region.xyxy
    quad: Any = region.xyxyxyxy and tuple(
        value * (y if place % 2 else x) for place, value in enumerate(region.xyxyxyxy)
    )
    polygons = tuple(tuple((px * x, py * y) for px, py in part) for part in region.polygons)
    return replace(region, xyxy=(x_min * x, y_min * y, x_max * x, y_max * y), xyxyxyxy=quad, polygons=polygons)


def _plain(text: str) -> str:
    special = next((token.text for token in grammar.tokenize(text) if token.is_special), None)
    if special:
        raise ValueError(f"an answer in words must not hold {special}, which would be read as a token.")
    return text.strip()


def in_order(regions: Sequence[Region], question: Question, kind: OutputKind) -> tuple[Region, ...]:
    """Return regions in the order in which they are written, so that there is one right answer to learn.

    What was read keeps its order. Else those of one label stand together, from left to right; the labels follow one
    another as in the phrase that is asked, and those that are not in it from left to right.
    """
    if kind is OutputKind.QUADS:
        return tuple(regions)
    bare = kind is OutputKind.BOXES
    from_left = sorted(regions, key=lambda region: region.xyxy[:2])
    first: dict[str, tuple[int, int]] = {}
    for place, region in enumerate(from_left):
        asked = question.phrase.lower().find(region.label.lower()) if region.label else -1
        first.setdefault(region.label, (asked if asked >= 0 else len(question.phrase), place))
    ordered = from_left if bare else sorted(from_left, key=lambda region: first[region.label])
    return tuple(replace(region, label="") if bare else region for region in ordered)


def lessons_about(
    name: str,
    read: Callable[[], InputImage],
    question: Question,
    regions: Sequence[Region] = (),
    texts: Sequence[str] = (),
) -> Iterator[Lesson]:
    """Yield what a labeled picture teaches of a task: a lesson, or one for each region or each thing that is named.

    `question` says the task; what it leaves open, a phrase or the regions, is taken from what is true of the picture.
    """
    task = get_task(question.task)
    if task.output_kind is OutputKind.POLYGONS and any(region.polygons for region in regions):
        # Where things are outlined, one that has a box alone is a rectangle.
        regions = tuple(replace(region, polygons=region.outline) for region in regions)
    if task.input_kind is InputKind.REGIONS:
        if question.regions:
            yield Lesson(name, read, question, tuple(regions), texts[0] if texts else "")
            return
        for region in regions:
            yield _about_region(name, read, question, region)
    elif task.input_kind is InputKind.EXPRESSIONS and not question.phrase:
        for label in dict.fromkeys(region.label for region in regions if region.label):
            meant = tuple(replace(region, label="") for region in regions if region.label == label)
            yield Lesson(name, read, replace(question, phrase=label), meant)
    elif task.input_kind in (InputKind.CLASSES, InputKind.SENTENCE) and not question.phrase:
        names = dict.fromkeys(region.label for region in regions if region.label)
        if names:
            yield Lesson(name, read, replace(question, phrase=", ".join(names)), tuple(regions))
    elif task.output_kind is OutputKind.TEXT:
        for text in texts:
            yield Lesson(name, read, question, (), text)
    else:
        yield Lesson(name, read, question, tuple(regions), texts[0] if texts else "")


def _about_region(name: str, read: Callable[[], InputImage], question: Question, region: Region) -> Lesson:
    asked = replace(question, regions=(region.xyxy,))
    kind = get_task(question.task).output_kind
    if kind is OutputKind.POLYGONS:
        return Lesson(name, read, asked, (replace(region, label=""),))
    text = (region.text or region.label) if kind is OutputKind.TEXT else region.label
    return Lesson(name, read, asked, (), text)
