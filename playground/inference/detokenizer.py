"""Turn token ids into `Token`s with their text. Knows a vocabulary; nothing of models or of what an answer means."""

import codecs
from collections.abc import Sequence
from typing import Any

from playground.events import Token


class Vocabulary:
    """The pieces of a tokenizer by id, in BART's byte-level alphabet, and which of them are special."""

    def __init__(self, pieces: Sequence[str], special_ids: frozenset[int]) -> None:
        self.pieces = pieces
        self.special_ids = special_ids

    @classmethod
    def of(cls, tokenizer: Any) -> "Vocabulary":
        """Read the vocabulary of a tokenizer."""
        # Not all tokenizers mark the task tokens as special, and words that a fine-tune has added are not special.
        special_ids = frozenset(
            token_id
            for token_id, token in tokenizer.added_tokens_decoder.items()
            if token.special or token.content.startswith("<")
        )
        return cls(tokenizer.convert_ids_to_tokens(range(len(tokenizer))), special_ids)


# Not `tokenizers.decoders.DecodeStream`: it returns an incomplete character and the special token after it as one text,
# "\N{REPLACEMENT CHARACTER}<loc_5>", of which no location can be read. `tests/inference/test_detokenizer.py` shows it.
class Detokenizer:
    """Turns the token ids of one answer into `Token`s. A character that spans several of them comes with the last."""

    def __init__(self, vocabulary: Vocabulary, answer: int = 0) -> None:
        self.answer = answer  # the index of what was asked
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read(self, token_id: int, logprob: float | None = None, bin_probability: float | None = None) -> Token:
        """Return the next token of the answer."""
        pieces = self._vocabulary.pieces
        piece = pieces[token_id] if token_id < len(pieces) else ""
        is_special = token_id in self._vocabulary.special_ids
        if is_special:
            self._decoder.reset()
            text = piece
        else:
            text = self._decoder.decode(_bytes(piece))
        return Token(token_id, text, logprob, bin_probability, is_special, self.answer)

    def read_anew(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """Return the tokens of another version of the answer, from its beginning and without measures."""
        reader = Detokenizer(self._vocabulary, self.answer)
        return tuple(reader.read(token_id) for token_id in ids)


# GPT-2's alphabet: the visible characters of Latin-1 stand for themselves, what comes after 255 for the other bytes.
_VISIBLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
_OTHERS = [byte for byte in range(256) if byte not in _VISIBLE]
_BYTE_OF = {chr(byte): byte for byte in _VISIBLE} | {chr(256 + place): byte for place, byte in enumerate(_OTHERS)}


def _bytes(piece: str) -> bytes:
    if all(character in _BYTE_OF for character in piece):
        return bytes(_BYTE_OF[character] for character in piece)
    return piece.encode()  # an added token is stored as plain text, not in the byte-level alphabet
