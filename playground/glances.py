"""Where a model looked while it wrote each word of an answer: the decoder's attention, over the picture.

Which layers say it best was measured: `python -m playground.evaluation.glances`, and `docs/attention.md`.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from playground.answering import Prompt, prompts_of
from playground.engines import Ask, AskedEngine
from playground.errors import InputRejected
from playground.events import Attention
from playground.pictures.reader import InputImage
from playground.question import CheckedQuestion

LAST_LAYERS = 2  # of the decoder, whose mean is shown

Cells = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Glance:
    """A word or a token of an answer, and where the model looked: rows x columns over the picture, 1 where most."""

    text: str
    is_special: bool
    cells: Cells


def look(
    engine: AskedEngine,
    image: InputImage,
    question: CheckedQuestion,
    raw_text: str,
    *,
    stop: threading.Event | None = None,
    deadline: float = math.inf,
) -> tuple[Glance, ...]:
    """Return the glances of an answer, which is given as the model wrote it. Raises InputRejected, EngineFailed.

    Of an answer that asked again about its own words, those of the first prompt.
    """
    prompts = [prompt.shortened(engine.max_prompt_tokens, engine.num_tokens) for prompt in prompts_of(question)]
    _check_whole(prompts, question)
    return tuple(
        glance
        for prompt, answer in zip(prompts, raw_text.split("\n"), strict=False)
        for glance in glances_of(engine.attention(Ask(image, prompt.filled), answer, stop=stop, deadline=deadline))
    )


def _check_whole(prompts: Sequence[Prompt], question: CheckedQuestion) -> None:
    if question.question.tiles is not None or any(prompt.task.on_crop for prompt in prompts):
        raise InputRejected(
            "Where the model looked is shown for an answer about the whole picture; this one is about parts that were "
            "cut out of it.",
            field="question",
        )


def glances_of(attention: Attention, last_layers: int = LAST_LAYERS) -> tuple[Glance, ...]:
    """Return a glance for each word and for each special token of what was written."""
    return tuple(_glance(attention, some, last_layers) for some in _words(attention.texts))


def _words(texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield the tokens of each word, by their index; a special token stands alone."""
    word: list[int] = []
    for index, text in enumerate(texts):
        begins = _is_special(text) or text[:1].isspace() or (word and _is_special(texts[word[-1]]))
        if word and begins:
            yield word
            word = []
        word.append(index)
    if word:
        yield word


def _is_special(text: str) -> bool:
    return text.startswith("<") and text.endswith(">") and len(text) > 2


def _glance(attention: Attention, tokens: Sequence[int], last_layers: int) -> Glance:
    text = "".join(attention.texts[token] for token in tokens)
    cells = attention.cells[list(tokens)][:, -last_layers:].mean((0, 1))
    return Glance(text, _is_special(text), cells / max(float(cells.max()), 1e-9))
