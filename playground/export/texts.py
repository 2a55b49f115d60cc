"""What of an answer is text: a caption, what was read, or the names of what was found. Knows no format."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from playground.choosing import text_with
from playground.errors import UnknownTask
from playground.reading_order import lines_in_order, paragraphs
from playground.regions import Region
from playground.results import Prediction
from playground.tasks import Group, InputKind, OutputKind, get_task


@dataclass(frozen=True, slots=True)
class Affixes:
    """What stands before and behind every caption of a set to train on."""

    prefix: str = ""
    suffix: str = ""


UNSURE_MARK = "[unsure]"

_NOT_XML = re.compile("[^\t\n\r -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def for_xml(text: str) -> str:
    """Return a text without the characters that XML (1.0, production 2) and YAML (1.2) cannot carry."""
    return _NOT_XML.sub("", text)


def holds_read_text(prediction: Prediction) -> bool:
    """Whether the regions of an answer are places of what was read, and not of things that were found."""
    return _output_kind(prediction) is OutputKind.QUADS or any(region.xyxyxyxy for region in prediction.regions)


def text_answered(prediction: Prediction) -> str:
    """Return a caption, what was read or other prose; nothing where the answer is regions, whose labels say it all."""
    try:
        task = get_task(prediction.task)
    except UnknownTask:  # a prediction from outside may name any task
        return "" if prediction.regions else prediction.text
    is_prose = task.input_kind is InputKind.PROMPT and not prediction.regions
    return prediction.text if task.output_kind is OutputKind.TEXT or is_prose else ""


def _output_kind(prediction: Prediction) -> OutputKind | None:
    try:
        return get_task(prediction.task).output_kind
    except UnknownTask:  # as above
        return None


def text_shown(prediction: Prediction) -> str:
    """Return the text of an answer as the page shows it: nothing of one of which the model is not sure."""
    return "" if prediction.is_unsure and not prediction.regions else text_answered(prediction)


def without_what_was_read(prediction: Prediction, is_hidden: Callable[[Region], bool]) -> Prediction:
    """Return an answer without the texts of regions that are hidden; of read text the places stay.

    What tells of all of them together goes, or is made anew of the rest; what describes the whole picture stays as
    long as a person has hidden only a part of it.
    """
    is_read = _output_kind(prediction) is OutputKind.QUADS
    is_caption = get_task(prediction.task).group is Group.DESCRIBE

    def silent(one: Region) -> Region:
        return replace(one, text="", original=None, label="" if is_read else one.label) if is_hidden(one) else one

    rest = [region for region in prediction.regions if not is_hidden(region)]
    text = text_with(prediction, rest) if rest and (is_read or is_caption) else ""
    return replace(prediction, text=text, raw_text="", regions=tuple(map(silent, prediction.regions)))


def caption_of(prediction: Prediction, affixes: Affixes) -> str:
    """Return the one text that is trained on: a caption, what was read, or the names of what was found.

    Nothing where there is none, or where the model is not sure.
    """
    names = ", ".join(dict.fromkeys(" ".join(region.label.split()) for region in prediction.regions if region.label))
    text = text_shown(prediction) or (_labels(prediction) if holds_read_text(prediction) else names)
    return f"{affixes.prefix}{text}{affixes.suffix}" if text else ""


def lines_of(prediction: Prediction) -> str:
    """Return the text of an answer, or else a line for each region: its label. An unsure one begins with a mark.

    Of what was read, the lines come in reading order, with an empty one between columns.
    """
    text = text_answered(prediction) or _labels(prediction)
    return f"{UNSURE_MARK} {text}" if prediction.is_unsure and text else text


def _labels(prediction: Prediction) -> str:
    if holds_read_text(prediction):
        blocks = paragraphs(lines_in_order(prediction.regions))
        return "\n\n".join("\n".join(line.text for line in block) for block in blocks)
    return "\n".join(" ".join(region.label.split()) for region in prediction.regions)
