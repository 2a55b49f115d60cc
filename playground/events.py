"""What an engine is told and what it says: how to decode, and the events of an answer while it is written."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an answer is searched for. One beam is greedy decoding; three are what Microsoft's samples use."""

    num_beams: int = 1
    max_new_tokens: int | None = None  # None: as many as the checkpoint can write


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer.

    `text` is empty while a character that spans several tokens is incomplete. `logprob` comes from the raw logits.
    `bin_probability` is, for a location token, the probability mass within a few bins of the chosen one. Only a
    special token can be a location or a separator: the same characters spelled out by ordinary tokens are text.
    `answer` is the index of what was asked, here and in the other events.
    """

    id: int
    text: str
    logprob: float | None = None
    bin_probability: float | None = None
    is_special: bool = False
    answer: int = 0


class RunStage(Enum):
    """The step that a run has reached, in the order in which they happen."""

    WAITING = "waiting"  # for the checkpoint or for the model's turn
    ENCODING_IMAGE = "encoding image"
    ENCODING_PROMPT = "encoding prompt"
    WRITING = "writing"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Progress:
    """A stage begins. `encode_image_ms` and `encode_prompt_ms` are known once done; 0 means from the cache."""

    stage: RunStage
    encode_image_ms: float | None = None
    encode_prompt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """The leading beam of a beam search, whole. The final answer need not begin with it."""

    tokens: tuple[Token, ...]
    answer: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every answer. Truncated: the token budget ended before the answer did."""

    is_truncated: bool
    is_stopped: bool
    answer: int = 0


Event = Progress | Token | Draft | Finished


@dataclass(frozen=True, slots=True)
class Attention:
    """Where a decoder looked while it wrote each token of an answer: `cells` of tokens x layers x rows x columns.

    Each is the mean of the layer's heads, a share of all that the token attended to; the prompt has the rest.
    """

    texts: tuple[str, ...]
    cells: npt.NDArray[np.float32]
