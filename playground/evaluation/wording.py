"""How well what was written fits one of several texts that are right. Knows no data set and no model.

sacrebleu compares captions (BLEU of Papineni et al., 2002, and chrF of Popović, 2015). CIDEr has no package of its own
that a small installation could carry: pycocoevalcap has 104 MB and wants Java, aac-metrics several language models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from playground.evaluation import metrics

WITHOUT_SACREBLEU = "BLEU and chrF need sacrebleu. Install it: pip install -r requirements-extra.txt"


@dataclass(frozen=True, slots=True)
class WrittenText:
    """What was written about a picture, and the texts that would be right; at least one."""

    answer: str
    truths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextFigures:
    """Of all answers. The error rates are edits as a share of the nearest truth; BLEU and chrF are shares of 1."""

    num_answers: int
    exact: float
    character_errors: float
    word_errors: float
    word_f1: float
    bleu: float | None = None
    chrf: float | None = None
    notice: str = ""


def measure_texts(texts: Sequence[WrittenText], *, as_captions: bool) -> TextFigures:
    """Return the figures of all answers; captions are compared by their phrases too."""
    characters = [nearest(text) for text in texts]
    words = [(answer.split(), truth.split()) for answer, truth in characters]
    bleu, chrf, notice = _phrases(texts) if as_captions else (None, None, "")
    return TextFigures(
        num_answers=len(texts),
        exact=metrics.mean([_plain(text.answer) in map(_plain, text.truths) for text in texts]),
        character_errors=metrics.error_rate(characters),
        word_errors=metrics.error_rate(words),
        word_f1=metrics.mean([max(metrics.token_f1(text.answer, truth) for truth in text.truths) for text in texts]),
        bleu=bleu,
        chrf=chrf,
        notice=notice,
    )


def nearest(text: WrittenText) -> tuple[str, str]:
    """Return the answer, and the truth that fewest edits lead to."""
    answer = _plain(text.answer)
    return answer, min(map(_plain, text.truths), key=lambda truth: metrics.edit_distance(answer, truth))


def errors_of(text: WrittenText) -> float:
    """Return the edits of one answer as a share of the nearest truth."""
    return metrics.error_rate([nearest(text)])


def _plain(text: str) -> str:
    """Return a text whose spaces and line breaks say nothing."""
    return " ".join(text.split())


def _phrases(texts: Sequence[WrittenText]) -> tuple[float | None, float | None, str]:
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        return None, None, WITHOUT_SACREBLEU
    most = max(len(text.truths) for text in texts)
    # Of the n-th truths of all; where a text has fewer, an empty one is skipped.
    truths = [[text.truths[place] if place < len(text.truths) else "" for text in texts] for place in range(most)]
    answers = [text.answer for text in texts]
    bleu, chrf = BLEU(lowercase=True), CHRF(lowercase=True)
    return bleu.corpus_score(answers, truths).score / 100, chrf.corpus_score(answers, truths).score / 100, ""
