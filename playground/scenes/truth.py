"""What is right to answer to any question about a scene, as far as that can be known.

The questions of `examples` are chosen together with their answers; here the question is given. Knows no model and no
page.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from playground.answering import join_texts, prompts_of
from playground.question import CheckedQuestion, Question, asked_names, check_question, names_of
from playground.regions import Box, Region
from playground.scenes.backgrounds import BACKGROUNDS
from playground.scenes.captions import PLURALS, Phrases, caption, detailed_caption, more_detailed_caption
from playground.scenes.composition import SIZES
from playground.scenes.examples import Example, examples
from playground.scenes.scene import ScenePlan, Thing
from playground.scenes.things import COLORS
from playground.tasks import InputKind, Task, get_task

_MIN_IOU = 0.5  # of a region and the thing that it is taken to mean

_CAPTIONS = {
    "<CAPTION>": caption,
    "<DETAILED_CAPTION>": detailed_caption,
    "<MORE_DETAILED_CAPTION>": more_detailed_caption,
}
_KINDS = {name: kind for kind, plural in PLURALS.items() for name in (kind, plural)}
_EXPRESSION = re.compile(
    rf"(?:(?:the|an?)\s+)?(?:(?P<end>leftmost|rightmost)\s+)?(?:(?P<size>{'|'.join(SIZES)})\s+)?"
    rf"(?:(?P<color>{'|'.join(COLORS)})\s+)?(?P<noun>{'|'.join(_KINDS)})"
)
_PLACE = re.compile(rf"\s+(?:{'|'.join(background.place for background in BACKGROUNDS.values())})$")
_JOINT = re.compile(r"\s*,\s*(?:and\s+)?|\s+(?:and|left of|right of|above|below|next to)\s+")


def truth_of(scene: ScenePlan, question: Question) -> Example | None:
    """Return the right answer, or None where for some part of the question none is known.

    An answer to several regions is joined as the predictor joins it. Raises UnknownTask or InputRejected, as asking the
    model does.
    """
    checked = check_question(question, scene.resolution_wh)
    if checked.task.input_kind is InputKind.NONE:
        return _without_input(scene, question)
    if checked.task.input_kind is InputKind.REGIONS:
        return _about_regions(scene, checked)
    if checked.task.input_kind is InputKind.SENTENCE:
        return _example(question, _phrases_of(scene, checked.phrases[0]))
    if checked.task.input_kind is InputKind.CLASSES:
        return _example(question, _all_fitting(scene, asked_names(question)))
    if checked.task.input_kind is InputKind.EXPRESSIONS:
        meant = _all_fitting(scene, checked.phrases)
        is_clear = meant is not None and all(len(things) < 2 for things in meant.values())
        return _example(question, meant if is_clear else None)
    return None


def _without_input(scene: ScenePlan, question: Question) -> Example | None:
    task = get_task(question.task)
    if task.then is None:
        return examples(scene).get(task.id)
    text, phrases = _CAPTIONS[task.id.partition("+")[0]](scene)
    return Example(question, _regions(get_task(task.then), phrases), text)


def _example(question: Question, phrases: Phrases | None) -> Example | None:
    if phrases is None:
        return None
    called = names_of(question)
    regions = _regions(get_task(question.task), phrases)
    return Example(question, tuple(replace(region, label=called(region.label)) for region in regions))


def _regions(task: Task, phrases: Phrases) -> tuple[Region, ...]:
    """Return each thing under the phrase that stands for it: its outline where that is asked for, else its box."""
    found = [(phrase, thing.region) for phrase, things in phrases.items() for thing in things]
    if task.input_kind is InputKind.EXPRESSIONS:
        return tuple(replace(region, label=phrase) for phrase, region in found)
    return tuple(Region(phrase, region.xyxy) for phrase, region in found)


# Words


def _phrases_of(scene: ScenePlan, sentence: str) -> Phrases | None:
    """Return what the phrases of a sentence stand for: those of a caption of the scene, or a list of things."""
    for text, phrases in (write(scene) for write in _CAPTIONS.values()):
        if sentence.lower().rstrip(".") == text.lower().rstrip("."):
            return phrases
    counted = caption(scene)[1] | detailed_caption(scene)[1]  # such as "two trees"
    parts = _JOINT.split(_PLACE.sub("", sentence.lower().rstrip(" .")))
    return _all_fitting(scene, parts, known=counted)


def _all_fitting(scene: ScenePlan, parts: Iterable[str], *, known: Phrases | None = None) -> Phrases | None:
    """Return the things that each part fits, or None where a part is neither an expression nor known."""
    phrases: Phrases = {}
    for part in parts:
        things = _fitting(scene, part)
        if things is None:
            things = (known or {}).get(part)
        if things is None:
            return None
        phrases[part] = things
    return phrases


def _fitting(scene: ScenePlan, words: str) -> list[Thing] | None:
    """Return the things that "the small red car", "trees" or "the leftmost cup" fits; None for words of other forms."""
    said = _EXPRESSION.fullmatch(words.lower())
    if said is None:
        return None
    things = [
        thing
        for thing in scene.from_left()
        if thing.kind == _KINDS[said["noun"]]
        and said["color"] in (None, thing.color)
        and said["size"] in (None, thing.size)
    ]
    return things[:1] if said["end"] == "leftmost" else things[-1:] if said["end"] == "rightmost" else things


# Regions


def _about_regions(scene: ScenePlan, checked: CheckedQuestion) -> Example | None:
    texts: list[str] = []
    regions: list[Region] = []
    for prompt, box in zip(prompts_of(checked), checked.regions, strict=True):
        thing = _thing_in(scene, box)
        if thing is None:
            return None
        answer = examples(scene, about=thing)["<REGION_TO_OCR>" if checked.task.on_crop else checked.task.id]
        texts.append(answer.text)
        regions += [region if region.label else replace(region, label=prompt.label) for region in answer.regions]
    text = join_texts(checked.task, texts, regions, is_numbered=len(texts) > 1)
    return Example(checked.question, tuple(regions), text)


def _thing_in(scene: ScenePlan, box: Box) -> Thing | None:
    """Return the thing that a region was drawn around, or around the writing on it."""
    import supervision as sv

    def iou(thing: Thing) -> float:
        places = np.array([region.xyxy for region in (thing.region, thing.writing) if region])
        return float(sv.box_iou_batch(np.array([box]), places).max())

    best = max(scene.things, key=iou, default=None)
    return best if best and iou(best) >= _MIN_IOU else None
