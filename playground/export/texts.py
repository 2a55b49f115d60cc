"""What of an answer is text: a caption, what was read, or the names of what was found. Knows no format."""

from playground.errors import UnknownTask
from playground.results import Prediction
from playground.tasks import InputKind, OutputKind, get_task

UNSURE_MARK = "[unsure]"


def text_answered(prediction: Prediction) -> str:
    """Return a caption, what was read or other prose; nothing where the answer is regions, whose labels say it all."""
    try:
        task = get_task(prediction.task)
    except UnknownTask:  # a prediction from outside may name any task
        return "" if prediction.regions else prediction.text
    is_prose = task.input_kind is InputKind.PROMPT and not prediction.regions
    return prediction.text if task.output_kind is OutputKind.TEXT or is_prose else ""


def text_shown(prediction: Prediction) -> str:
    """Return the text of an answer as the page shows it: nothing of one of which the model is not sure."""
    return "" if prediction.is_unsure and not prediction.regions else text_answered(prediction)


def lines_of(prediction: Prediction) -> str:
    """Return the text of an answer, or else a line for each region: its label. An unsure one begins with a mark."""
    text = text_answered(prediction) or "\n".join(" ".join(region.label.split()) for region in prediction.regions)
    return f"{UNSURE_MARK} {text}" if prediction.is_unsure and text else text
