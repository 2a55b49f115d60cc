"""Examples to learn from and to measure with: for each of Florence-2's tasks a question about a scene and its answer.

Things are listed from left to right, those of one label together, so that there is one right answer to learn. Prompts
are made by `answering`, which asks the model too, and answers are spelled by the grammar that reads them.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from playground import grammar
from playground.answering import filled_prompts
from playground.question import Question
from playground.regions import Region
from playground.scenes.captions import (
    PLURALS,
    Phrases,
    capitalized,
    caption,
    detailed_caption,
    enumerated,
    group,
    more_detailed_caption,
    with_article,
)
from playground.scenes.scene import SIGN, ScenePlan, Thing
from playground.scenes.things import COLORS, KINDS
from playground.tasks import TASK_TOKENS, TASKS, OutputKind, get_task

EXAMPLE_TASKS = tuple(task.id for task in TASKS if task.id in TASK_TOKENS)  # ids, in the order of the table


@dataclass(frozen=True, slots=True)
class Example:
    """A question about a scene and its right answer, in the order in which the model is to write it.

    Regions carry what the answer spells; the label is empty where the answer has none. `text` is what a person reads
    in a text task.
    """

    question: Question
    regions: tuple[Region, ...] = ()
    text: str = ""

    @property
    def task(self) -> str:
        """The id of the task that is asked."""
        return self.question.task

    def prompt(self, resolution_wh: tuple[int, int]) -> str:
        """Return what the model is asked, as the predictor asks it. The question must have one prompt."""
        (prompt,) = filled_prompts(self.question, resolution_wh)
        return prompt

    def answer(self, resolution_wh: tuple[int, int]) -> str:
        """Return what the model is to write."""
        if get_task(self.task).output_kind is OutputKind.TEXT:
            return self.text
        return grammar.render(self.regions, self.task, resolution_wh)


def examples(scene: ScenePlan, *, about: Thing | None = None, rng: random.Random | None = None) -> dict[str, Example]:
    """Return an example of each task, by the task's id.

    `about` is the thing that is asked about and `rng` makes all other choices; where they are None the scene's seed
    decides. Tasks about a region are missing from a scene without things.
    """
    rng = rng or random.Random(f"examples of {scene.seed}")
    thing = about or (_choose_thing(rng, scene) if scene.things else None)
    words = tuple(thing.writing for thing in scene.from_left() if thing.writing)
    made = [
        detection(scene),
        Example(Question("<DENSE_REGION_CAPTION>"), _boxes(scene, lambda t: t.description)),
        Example(Question("<REGION_PROPOSAL>"), _boxes(scene, lambda _: "")),
        _find_classes(rng, scene),
        _ground(rng, scene),
        _refer(rng, scene, thing),
        Example(Question("<CAPTION>"), text=caption(scene)[0]),
        Example(Question("<DETAILED_CAPTION>"), text=detailed_caption(scene)[0]),
        Example(Question("<MORE_DETAILED_CAPTION>"), text=more_detailed_caption(scene)[0]),
        Example(Question("<OCR>"), text=" ".join(word.label for word in words)),
        Example(Question("<OCR_WITH_REGION>"), words),
        *(_about_region(thing) if thing else ()),
    ]
    return {example.task: example for example in made}


def detection(scene: ScenePlan) -> Example:
    """Return what is to be found in a scene, guests too."""
    return Example(Question("<OD>"), _boxes(scene, lambda thing: thing.kind))


def _about_region(thing: Thing) -> list[Example]:
    """Return the examples that ask with the box of a thing."""
    asked, word = (thing.region.xyxy,), thing.writing
    return [
        Example(Question("<REGION_TO_CATEGORY>", regions=asked), (_boxed(thing, thing.kind),), thing.kind),
        Example(
            Question("<REGION_TO_DESCRIPTION>", regions=asked),
            (_boxed(thing, thing.description),),
            thing.description,
        ),
        Example(Question("<REGION_TO_SEGMENTATION>", regions=asked), (replace(thing.region, label=""),)),
        Example(Question("<REGION_TO_OCR>", regions=asked), text=word.label if word else ""),
    ]


# Questions with a text


def _find_classes(rng: random.Random, scene: ScenePlan) -> Example:
    """Name one to three classes, some of which are not there; each is answered in the words in which it is asked."""
    names: Phrases = {}
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        kind, color = _choose_kind_and_color(rng, scene)
        has_color = rng.random() < 0.3
        name = kind if rng.random() < 0.75 else PLURALS[kind]
        name = f"{color} {name}" if has_color else name
        found = _of(scene, kind, color if has_color else None)
        if not any(set(map(id, found)) & set(map(id, others)) for others in names.values()):
            names[name] = found
    return Example(Question("<OPEN_VOCABULARY_DETECTION>", ", ".join(names)), _boxes_of(names))


def _ground(rng: random.Random, scene: ScenePlan) -> Example:
    """Take a caption of the scene, or a phrase or two of which not all need to be there."""
    write = rng.choice((caption, caption, detailed_caption, more_detailed_caption, None))
    text, phrases = write(scene) if write else _some_phrases(rng, scene)
    return Example(Question("<CAPTION_TO_PHRASE_GROUNDING>", text), _boxes_of(phrases))


def _some_phrases(rng: random.Random, scene: ScenePlan) -> tuple[str, Phrases]:
    phrases: Phrases = {}
    for _ in range(rng.randint(1, 2)):
        kind, color = _choose_kind_and_color(rng, scene)
        has_color = rng.random() < 0.5
        phrase = with_article(f"{color} {kind}" if has_color else kind)
        phrases[phrase] = _of(scene, kind, color if has_color else None)
    return capitalized(enumerated(list(phrases))) + rng.choice((".", "")), phrases


def _refer(rng: random.Random, scene: ScenePlan, thing: Thing | None) -> Example:
    """Describe one thing so that no other fits, or in one case of ten one that is not there."""
    task = "<REFERRING_EXPRESSION_SEGMENTATION>"
    if thing is None or rng.random() < 0.1:
        absent = f"{rng.choice(list(COLORS))} {rng.choice(KINDS)}"
        if all(absent != f"{t.color} {t.kind}" for t in scene.things):
            return Example(Question(task, f"the {absent}"))
    others = [other for other in scene.things if other is not thing]
    for candidate in [thing, *others] if thing else []:
        expressions = [words for words, fits in _expressions(scene, candidate) if fits == [candidate]]
        if expressions:
            return Example(Question(task, rng.choice(expressions)), (replace(candidate.region, label=""),))
    return Example(Question(task, "the thing"))


def _expressions(scene: ScenePlan, thing: Thing) -> list[tuple[str, list[Thing]]]:
    """Return ways to refer to a thing, and all things that each fits."""
    same = _of(scene, thing.kind)
    ways = [
        (f"the {thing.kind}", same),
        (f"the {thing.color} {thing.kind}", [t for t in same if t.color == thing.color]),
    ]
    if thing.size != "medium":
        ways.append((f"the {thing.description}", [t for t in same if t.description == thing.description]))
    if len(same) > 1:
        ways += [(f"the leftmost {thing.kind}", same[:1]), (f"the rightmost {thing.kind}", same[-1:])]
    return ways


# Choosing and listing


def _choose_thing(rng: random.Random, scene: ScenePlan) -> Thing:
    """Choose a thing; a sign in half of the scenes that have one, since there is more to ask about it."""
    signs = [thing for thing in scene.things if thing.kind == SIGN]
    return rng.choice(signs if signs and rng.random() < 0.5 else scene.things)


def _choose_kind_and_color(rng: random.Random, scene: ScenePlan) -> tuple[str, str]:
    """Choose those of a thing that is there, or in one case of four any."""
    if scene.things and rng.random() < 0.75:
        thing = rng.choice(scene.things)
        return thing.kind, thing.color
    return rng.choice(KINDS), rng.choice(list(COLORS))


def _of(scene: ScenePlan, kind: str, color: str | None = None) -> list[Thing]:
    """Return the things of a kind, and of a color if one is given, from left to right."""
    return [t for t in scene.from_left() if t.kind == kind and color in (None, t.color)]


def _boxes(scene: ScenePlan, label: Callable[[Thing], str]) -> tuple[Region, ...]:
    return _boxes_of(group(scene.from_left(), label))


def _boxes_of(phrases: Phrases) -> tuple[Region, ...]:
    return tuple(_boxed(thing, phrase) for phrase, things in phrases.items() for thing in things)


def _boxed(thing: Thing, label: str) -> Region:
    return Region(label=label, xyxy=thing.region.xyxy)
