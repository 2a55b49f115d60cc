"""The tokenizer of the bundled checkpoint: small, for any text, with the special tokens of Florence-2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from playground.grammar import SPECIAL_TOKENS
from playground.locations import location_token
from playground.scenes.examples import examples
from playground.scenes.scene import plan_scene
from playground.scenes.things import COLORS, KINDS
from playground.training import tokenizer as tokenizer_module
from playground.training.tokenizer import IMAGE_TOKEN, MAX_POSITIONS, train_tokenizer

ROOT = Path(__file__).parents[2]


def ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def decoded(tokenizer: PreTrainedTokenizerFast, token_ids: list[int]) -> str:
    text = tokenizer.decode(token_ids, clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return text


def id_of(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    id_ = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(id_, int)
    return id_


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a red car left of two green trees",
        "  two  blanks\n\tand more ",
        "it 's , well . odd !",
        "Ünïcödé",
        "中文字符",
        "🚗 and 👩‍👩‍👧",
        "<loc_5",
        "\x00\x07",
    ],
    ids=ascii,
)
def test_any_text_comes_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert decoded(tokenizer, ids(tokenizer, text)) == text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40))
def test_whatever_text_there_is_comes_back_without_unknown_tokens(
    tokenizer: PreTrainedTokenizerFast, text: str
) -> None:
    token_ids = ids(tokenizer, text)
    assert decoded(tokenizer, token_ids) == text
    assert tokenizer.unk_token_id not in token_ids


def test_prompts_and_answers_of_scenes_come_back_and_are_short(tokenizer: PreTrainedTokenizerFast) -> None:
    lengths = []
    for seed in range(2000, 2060):  # not among those that it learned from
        for example in examples(plan_scene(seed, resolution_wh=(64, 64))).values():
            for text in (example.prompt((64, 64)), example.answer((64, 64))):
                token_ids = ids(tokenizer, text)
                assert decoded(tokenizer, token_ids) == text
                lengths.append(len(token_ids))
    assert max(lengths) + 2 <= MAX_POSITIONS
    assert sum(lengths) / len(lengths) < 40


def test_a_text_is_enclosed_as_bart_does(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer("a car").input_ids == [0, *ids(tokenizer, "a car"), 2]


@pytest.mark.parametrize(("token", "id_"), [("<s>", 0), ("<pad>", 1), ("</s>", 2), ("<unk>", 3)])
def test_the_control_tokens_have_the_ids_of_bart(tokenizer: PreTrainedTokenizerFast, token: str, id_: int) -> None:
    assert id_of(tokenizer, token) == id_


def test_the_locations_are_contiguous(tokenizer: PreTrainedTokenizerFast) -> None:
    first = id_of(tokenizer, "<loc_0>")
    assert [id_of(tokenizer, location_token(bin_)) for bin_ in range(1000)] == list(range(first, first + 1000))


def test_each_special_token_is_one_token_wherever_it_stands(tokenizer: PreTrainedTokenizerFast) -> None:
    for token in [*SPECIAL_TOKENS, IMAGE_TOKEN, "<od>", "</ocr>", "<region_cap>"]:
        id_ = id_of(tokenizer, token)
        assert id_ != tokenizer.unk_token_id or token == "<unk>"
        assert ids(tokenizer, f"car{token}car") == [*ids(tokenizer, "car"), id_, *ids(tokenizer, "car")], token
        assert tokenizer.decode([id_], skip_special_tokens=True) == ""


def test_the_image_token_is_the_one_that_the_processor_asks_for(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.image_token == IMAGE_TOKEN == "<image>"


@pytest.mark.parametrize("word", ["BAKERY", "ZOO", "QOZ", "7", "1402", "WELCOME", "THEATER"])
def test_printed_words_are_spelled_in_characters(tokenizer: PreTrainedTokenizerFast, word: str) -> None:
    assert [decoded(tokenizer, [id_]) for id_ in ids(tokenizer, word)] == list(word)
    pieces = [decoded(tokenizer, [id_]).strip() for id_ in ids(tokenizer, f"The red sign says {word}.")]
    assert [piece for piece in pieces if piece][-len(word) - 1 :] == [*word, "."]


def test_kinds_and_colors_are_worth_a_token(tokenizer: PreTrainedTokenizerFast) -> None:
    for word in (*KINDS, *COLORS):
        assert len(ids(tokenizer, f" {word}")) == 1, word


def test_it_is_small(tokenizer: PreTrainedTokenizerFast) -> None:
    assert 1024 < len(tokenizer) < 1800


def test_it_is_the_same_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_module, "_CORPUS_SCENES", 40)
    here = train_tokenizer().backend_tokenizer.to_str()
    program = (
        "from playground.training import tokenizer as t\nt._CORPUS_SCENES = 40\n"
        "print(t.train_tokenizer().backend_tokenizer.to_str())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    there = subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, check=True)
    assert json.loads(there.stdout) == json.loads(here)


def test_a_saved_tokenizer_is_the_same(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    text = "A red car<loc_5><loc_999>, 中文 and OPEN."
    assert loaded(text).input_ids == tokenizer(text).input_ids
    assert (loaded.bos_token, loaded.eos_token, loaded.pad_token) == ("<s>", "</s>", "<pad>")
    assert loaded.model_max_length == MAX_POSITIONS
