"""Token ids to text, a token at a time: characters of several tokens, special tokens, ids without text."""

from collections.abc import Callable, Sequence

import pytest
from tokenizers.decoders import DecodeStream

from playground.checkpoints.loader import LoadedCheckpoint
from playground.events import Token
from playground.inference.detokenizer import Detokenizer, Vocabulary

Read = Callable[[Sequence[int]], list[Token]]


@pytest.fixture
def read(loaded: LoadedCheckpoint) -> Read:
    reader = Detokenizer(Vocabulary.of(loaded.tokenizer))
    return lambda ids: [reader.read(token_id) for token_id in ids]


@pytest.mark.parametrize(
    ("text", "num_tokens"),
    [
        pytest.param("é", 2, id="two bytes"),
        pytest.param("中", 3, id="three bytes"),
        pytest.param("🙂", 4, id="four bytes"),
    ],
)
def test_a_character_comes_out_whole_with_its_last_token(
    loaded: LoadedCheckpoint, read: Read, text: str, num_tokens: int
) -> None:
    ids = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert [token.text for token in read(ids)] == [*[""] * (num_tokens - 1), text]


def test_text_in_any_script_comes_back_as_it_was(loaded: LoadedCheckpoint, read: Read) -> None:
    text = "a café, 中文 and two 🙂🙂, <b>naïve</b>"
    assert "".join(token.text for token in read(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])) == text


@pytest.fixture
def cut_character(loaded: LoadedCheckpoint) -> list[int]:
    """The first byte of a character, then a location, then a whole character."""
    first_byte, _ = loaded.tokenizer("é", add_special_tokens=False)["input_ids"]
    return [first_byte, loaded.location_ids[5], loaded.tokenizer.convert_tokens_to_ids("a")]


def test_a_special_token_ends_a_character_that_was_begun(read: Read, cut_character: list[int]) -> None:
    assert [token.text for token in read(cut_character)] == ["", "<loc_5>", "a"]


def test_the_stream_of_tokenizers_glues_a_character_that_was_begun_to_a_special_token(
    loaded: LoadedCheckpoint, cut_character: list[int]
) -> None:
    tokenizer = loaded.tokenizer.backend_tokenizer
    kept, skipped = DecodeStream(skip_special_tokens=False), DecodeStream(skip_special_tokens=True)
    assert [kept.step(tokenizer, token_id) for token_id in cut_character] == [None, "\ufffd<loc_5>", "a"]
    assert [skipped.step(tokenizer, token_id) for token_id in cut_character] == [None, None, "\ufffda"]


def test_text_that_looks_like_a_location_is_not_special(loaded: LoadedCheckpoint, read: Read) -> None:
    tokens = read(loaded.tokenizer.convert_tokens_to_ids([*"<loc_5>"]))
    assert "".join(token.text for token in tokens) == "<loc_5>"
    assert not any(token.is_special for token in tokens)
    assert [token.is_special for token in read([loaded.location_ids[5], 0])] == [True, True]


def test_an_id_beyond_the_vocabulary_is_no_text(read: Read) -> None:
    assert read([51327]) == [Token(51327, "")]


def test_another_version_of_an_answer_is_read_from_its_beginning(
    loaded: LoadedCheckpoint, cut_character: list[int]
) -> None:
    reader = Detokenizer(Vocabulary.of(loaded.tokenizer), answer=3)
    first_byte, last_byte = loaded.tokenizer("é", add_special_tokens=False)["input_ids"]
    assert reader.read(first_byte).text == ""
    version = reader.read_anew([cut_character[-1], first_byte, last_byte])
    assert [(token.text, token.answer) for token in version] == [("a", 3), ("", 3), ("é", 3)]
    assert reader.read(last_byte).text == "é"
