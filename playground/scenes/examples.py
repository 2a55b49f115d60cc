"""What is right to say about a scene: for each of Florence-2's tasks a question and its answer.

Everything is listed from left to right, by the left edges, and short captions in the order of the table of kinds, so
that there is one right answer to learn. Prompts and answers are spelled by the grammar that reads answers.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from playground import grammar, tasks
from playground.answering import filled_prompts
from playground.question import Question
from playground.regions import Box, Region
from playground.scenes.backgrounds import BACKGROUNDS
from playground.scenes.composition import bounds
from playground.scenes.scene import SIGN, ScenePlan, Thing
from playground.scenes.things import COLORS, KINDS
from playground.tasks import OutputKind, get_task

PLURALS = {kind: f"{kind}s" for kind in KINDS} | {
    "fish": "fish", "butterfly": "butterflies", "bus": "buses", "cactus": "cactuses",
}  # fmt: skip
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")

TASKS = tuple(task.id for task in tasks.TASKS if task.id in tasks.TASK_TOKENS)


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

    `about` is the thing that is asked for, `rng` chooses what else there is to choose; where they are None the
    scene's seed decides. Tasks about a region are missing from a scene without things.
    """
    rng = rng or random.Random(f"examples of {scene.seed}")
    thing = about or (_choose_thing(rng, scene) if scene.things else None)
    made = [
        Example(Question("<OD>"), regions=_boxes(scene, lambda t: t.kind)),
        Example(Question("<DENSE_REGION_CAPTION>"), regions=_boxes(scene, lambda t: t.description)),
        Example(Question("<REGION_PROPOSAL>"), regions=_boxes(scene, lambda _: "")),
        _find_classes(rng, scene),
        _ground(rng, scene),
        _refer(rng, scene, thing),
        Example(Question("<CAPTION>"), text=caption(scene)[0]),
        Example(Question("<DETAILED_CAPTION>"), text=detailed_caption(scene)[0]),
        Example(Question("<MORE_DETAILED_CAPTION>"), text=more_detailed_caption(scene)[0]),
        Example(Question("<OCR>"), text=" ".join(word.label for word in _words(scene))),
        Example(Question("<OCR_WITH_REGION>"), regions=_words(scene)),
    ]
    if thing:
        box, word = thing.region.xyxy, thing.writing
        made += [
            Example(Question("<REGION_TO_CATEGORY>", regions=(box,)), (_boxed(thing, thing.kind),), thing.kind),
            Example(
                Question("<REGION_TO_DESCRIPTION>", regions=(box,)),
                (_boxed(thing, thing.description),),
                thing.description,
            ),
            Example(Question("<REGION_TO_SEGMENTATION>", regions=(box,)), (replace(thing.region, label=""),)),
            Example(Question("<REGION_TO_OCR>", regions=(box,)), text=word.label if word else ""),
        ]
    return {example.task: example for example in made}


# Captions and their phrases

Phrases = dict[str, list[Thing]]


def caption(scene: ScenePlan) -> tuple[str, Phrases]:
    """Return the short caption, kinds counted, and what its phrases stand for."""
    groups = _groups(scene, lambda t: t.kind, order=lambda t: KINDS.index(t.kind))
    phrases = {_count(kind, len(things)): things for kind, things in groups.items()}
    if not phrases:
        return BACKGROUNDS[scene.background].empty, {}
    return _sentence(f"{_enumerate(list(phrases))} {BACKGROUNDS[scene.background].place}."), phrases


def detailed_caption(scene: ScenePlan) -> tuple[str, Phrases]:
    """Return the detailed caption, with colors and how the first two groups stand to each other."""
    order = [*COLORS]
    groups = _groups(
        scene, lambda t: f"{t.color} {t.kind}", order=lambda t: KINDS.index(t.kind) * len(order) + order.index(t.color)
    )
    phrases = {_count(things[0].kind, len(things), things[0].color): things for things in groups.values()}
    place = BACKGROUNDS[scene.background].place
    names = list(phrases)
    if not names:
        return f"The image shows nothing {place}.", {}
    if len(names) > 1:
        relation = _relation(*list(phrases.values())[:2])
        names = [f"{names[0]} {relation} {names[1]}", *names[2:]]
    return f"The image shows {_enumerate(names)} {place}.", phrases


def more_detailed_caption(scene: ScenePlan) -> tuple[str, Phrases]:
    """Return the paragraph: how many things, all of them from left to right, what hides what, and what is written."""
    things, place = _from_left(scene), BACKGROUNDS[scene.background].place
    if not things:
        return f"There is nothing {place}.", {}
    phrases: Phrases = {}
    for thing in things:
        phrases.setdefault(_with_article(thing.description), []).append(thing)
    listed = _enumerate([_with_article(thing.description) for thing in things])
    if len(things) == 1:
        sentences = [f"There is one thing {place}.", f"It is {listed}."]
    else:
        sentences = [f"There are {_NUMBERS[len(things)]} things {place}.", f"From left to right, they are {listed}."]
    sentences += [
        f"The {t.color} {t.kind} is partly hidden." for t in things if t.hidden > 0.05
    ] + [f"The {t.color} sign says {t.writing.label}." for t in things if t.writing]
    return " ".join(sentences), phrases


def _relation(some: Sequence[Thing], others: Sequence[Thing]) -> str:
    """Say how one group stands to another, by the edges of the boxes around them."""
    left, top, right, bottom = _around(some)
    other_left, other_top, other_right, other_bottom = _around(others)
    if right <= other_left:
        return "left of"
    if left >= other_right:
        return "right of"
    if bottom <= other_top:
        return "above"
    return "below" if top >= other_bottom else "next to"


def _around(things: Sequence[Thing]) -> Box:
    boxes = [thing.region.xyxy for thing in things]
    return bounds([(box[side], box[side + 1]) for box in boxes for side in (0, 2)])


# Questions with a text


def _find_classes(rng: random.Random, scene: ScenePlan) -> Example:
    """Name one to three classes, some of which are not there; each is answered in the words in which it is asked."""
    names: dict[str, list[Thing]] = {}
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        kind, color = _choose_kind_and_color(rng, scene)
        has_color = rng.random() < 0.3
        name = kind if rng.random() < 0.75 else PLURALS[kind]
        name = f"{color} {name}" if has_color else name
        found = _of(scene, kind, color if has_color else None)
        if not any(set(map(id, found)) & set(map(id, others)) for others in names.values()):
            names[name] = found
    regions = tuple(_boxed(thing, name) for name, things in names.items() for thing in things)
    return Example(Question("<OPEN_VOCABULARY_DETECTION>", ", ".join(names)), regions)


def _ground(rng: random.Random, scene: ScenePlan) -> Example:
    """Take a caption of the scene, or a phrase or two of which not all need to be there."""
    say = rng.choice((caption, caption, detailed_caption, more_detailed_caption, None))
    text, phrases = say(scene) if say else _some_phrases(rng, scene)
    regions = tuple(_boxed(thing, phrase) for phrase, things in phrases.items() for thing in things)
    return Example(Question("<CAPTION_TO_PHRASE_GROUNDING>", text), regions)


def _some_phrases(rng: random.Random, scene: ScenePlan) -> tuple[str, Phrases]:
    phrases: Phrases = {}
    for _ in range(rng.randint(1, 2)):
        kind, color = _choose_kind_and_color(rng, scene)
        has_color = rng.random() < 0.5
        phrase = _with_article(f"{color} {kind}" if has_color else kind)
        phrases[phrase] = _of(scene, kind, color if has_color else None)
    return _sentence(_enumerate(list(phrases))) + rng.choice((".", "")), phrases


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
    """Return ways to speak of a thing, and all things that each fits."""
    same = [t for t in _from_left(scene) if t.kind == thing.kind]
    ways = [
        (f"the {thing.kind}", same),
        (f"the {thing.color} {thing.kind}", [t for t in same if t.color == thing.color]),
    ]
    if thing.size != "medium":
        ways.append((f"the {thing.description}", [t for t in same if t.description == thing.description]))
    if len(same) > 1:
        ways += [(f"the leftmost {thing.kind}", same[:1]), (f"the rightmost {thing.kind}", same[-1:])]
    return ways


# Grouping and wording


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


def _of(scene: ScenePlan, kind: str, color: str | None) -> list[Thing]:
    """Return the things of a kind, and of a color if one is given, from left to right."""
    return [t for t in _from_left(scene) if t.kind == kind and color in (None, t.color)]


def _from_left(scene: ScenePlan) -> list[Thing]:
    return sorted(scene.things, key=lambda thing: thing.region.xyxy[:2])


def _words(scene: ScenePlan) -> tuple[Region, ...]:
    return tuple(thing.writing for thing in _from_left(scene) if thing.writing)


def _groups(
    scene: ScenePlan, key: Callable[[Thing], str], order: Callable[[Thing], int] | None = None
) -> dict[str, list[Thing]]:
    """Group the things by a label, from left to right; the groups too, or by `order`."""
    groups: dict[str, list[Thing]] = {}
    for thing in sorted(_from_left(scene), key=order) if order else _from_left(scene):
        groups.setdefault(key(thing), []).append(thing)
    return groups


def _boxes(scene: ScenePlan, label: Callable[[Thing], str]) -> tuple[Region, ...]:
    groups = _groups(scene, label)
    return tuple(_boxed(thing, name) for name, things in groups.items() for thing in things)


def _boxed(thing: Thing, label: str) -> Region:
    return Region(label=label, xyxy=thing.region.xyxy)


def _count(kind: str, number: int, color: str = "") -> str:
    name = kind if number == 1 else PLURALS[kind]
    name = f"{color} {name}" if color else name
    return _with_article(name) if number == 1 else f"{_NUMBERS[number]} {name}"


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _enumerate(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
