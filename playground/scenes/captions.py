"""Captions of a scene, and the things that each of their phrases stands for.

The things of a short caption are in the order of the table of kinds, those of a paragraph from left to right, so that
there is one right caption to learn.
"""

from collections.abc import Callable, Sequence

from playground.regions import Box
from playground.scenes.backgrounds import BACKGROUNDS
from playground.scenes.composition import bounds
from playground.scenes.scene import ScenePlan, Thing
from playground.scenes.things import COLORS, KINDS

Phrases = dict[str, list[Thing]]

PLURALS = {kind: f"{kind}s" for kind in KINDS} | {
    "fish": "fish", "butterfly": "butterflies", "bus": "buses", "cactus": "cactuses",
}  # fmt: skip
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_COLOR_NAMES = list(COLORS)


def caption(scene: ScenePlan) -> tuple[str, Phrases]:
    """Return the short caption, kinds counted, and what its phrases stand for."""
    groups = group(sorted(scene.from_left(), key=_kind_index), lambda thing: thing.kind)
    phrases = {_counted(kind, len(things)): things for kind, things in groups.items()}
    background = BACKGROUNDS[scene.background]
    if not phrases:
        return background.empty, {}
    return capitalized(f"{enumerated(list(phrases))} {background.place}."), phrases


def detailed_caption(scene: ScenePlan) -> tuple[str, Phrases]:
    """Return the detailed caption, with colors and where the first two groups are to each other."""
    by_color = sorted(scene.from_left(), key=lambda thing: (_kind_index(thing), _COLOR_NAMES.index(thing.color)))
    groups = group(by_color, lambda thing: f"{thing.color} {thing.kind}")
    phrases = {_counted(things[0].kind, len(things), things[0].color): things for things in groups.values()}
    place = BACKGROUNDS[scene.background].place
    names = list(phrases)
    if not names:
        return f"The image shows nothing {place}.", {}
    if len(names) > 1:
        relation = _relation(*list(phrases.values())[:2])
        names = [f"{names[0]} {relation} {names[1]}", *names[2:]]
    return f"The image shows {enumerated(names)} {place}.", phrases


def more_detailed_caption(scene: ScenePlan) -> tuple[str, Phrases]:
    """Return the paragraph: how many things, all of them from left to right, which are hidden, and what is written."""
    things, place = scene.from_left(), BACKGROUNDS[scene.background].place
    if not things:
        return f"There is nothing {place}.", {}
    phrases = group(things, lambda thing: with_article(thing.description))
    listed = enumerated([with_article(thing.description) for thing in things])
    if len(things) == 1:
        sentences = [f"There is one thing {place}.", f"It is {listed}."]
    else:
        sentences = [f"There are {_NUMBERS[len(things)]} things {place}.", f"From left to right, they are {listed}."]
    sentences += [f"The {t.color} {t.kind} is partly hidden." for t in things if t.hidden > 0.05] + [
        f"The {t.color} sign says {t.writing.label}." for t in things if t.writing
    ]
    return " ".join(sentences), phrases


def _kind_index(thing: Thing) -> int:
    return KINDS.index(thing.kind)


def _relation(some: Sequence[Thing], others: Sequence[Thing]) -> str:
    """Say where one group is to another, by the edges of the boxes around them."""
    left, top, right, bottom = _box_around(some)
    other_left, other_top, other_right, other_bottom = _box_around(others)
    if right <= other_left:
        return "left of"
    if left >= other_right:
        return "right of"
    if bottom <= other_top:
        return "above"
    return "below" if top >= other_bottom else "next to"


def _box_around(things: Sequence[Thing]) -> Box:
    boxes = [thing.region.xyxy for thing in things]
    return bounds([(box[side], box[side + 1]) for box in boxes for side in (0, 2)])


# Wording


def group(things: Sequence[Thing], label: Callable[[Thing], str]) -> Phrases:
    """Return the things under their labels, both in the order in which they come."""
    groups: Phrases = {}
    for thing in things:
        groups.setdefault(label(thing), []).append(thing)
    return groups


def with_article(words: str) -> str:
    """Return a noun phrase with its indefinite article: "an apple"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def enumerated(phrases: Sequence[str]) -> str:
    """Return phrases as one list: "a cat, two cars and a sign"."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def capitalized(text: str) -> str:
    """Return a text with a capital at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]


def _counted(kind: str, number: int, color: str = "") -> str:
    name = kind if number == 1 else PLURALS[kind]
    name = f"{color} {name}" if color else name
    return with_article(name) if number == 1 else f"{_NUMBERS[number]} {name}"
