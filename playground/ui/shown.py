"""What of an answer the page shows as if the model were sure of it. Knows predictions, no component and no handler."""

from playground.choosing import own_lowest_score, text_with
from playground.results import Prediction


def has_own_lowest_score(prediction: Prediction) -> bool:
    """Whether the score from which on regions are shown says nothing of other answers."""
    return prediction.is_unsure or own_lowest_score(prediction) is not None


def lowest_score(prediction: Prediction, min_score: float) -> float:
    """Return the score from which on regions are shown at first: above all of them where the model is not sure."""
    if not prediction.is_unsure:
        own = own_lowest_score(prediction)
        return min_score if own is None else own
    highest = max((region.score for region in prediction.regions if region.score is not None), default=0.0)
    step = next(step for step in range(102) if step / 100 > highest)  # the slider's steps
    return max(min_score, min(step / 100, 1.0))


def above(prediction: Prediction, min_score: float) -> Prediction:
    """Return a prediction with the regions that are shown from this score on."""
    return prediction.keep(lambda _, region: region.is_sure(min_score))


def shown_at_first(prediction: Prediction, min_score: float) -> Prediction:
    """Return a prediction with the regions that are shown before anybody has chosen anything."""
    return above(prediction, lowest_score(prediction, min_score))


def answer_text(prediction: Prediction, seen: Prediction) -> str:
    """Return the answer in words, of which `seen` holds the regions that are shown."""
    if prediction.is_unsure and not seen.regions:
        return ""
    text = prediction.text if seen.regions == prediction.regions else text_with(prediction, seen.regions)
    missing = ", ".join(f"no {name}" for name in prediction.missing_names())
    if not missing:
        return text
    return f"{missing}; {_counted(seen) or text}" if text else missing


def _counted(seen: Prediction) -> str:
    counts = seen.label_counts().items()
    return ", ".join(f"one {label}" if count == 1 else f"{count} × {label}" for label, count in counts if label)
