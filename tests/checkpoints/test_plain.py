"""What is read without transformers beside what transformers reads."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, Florence2Config, GenerationConfig

from playground.checkpoints.catalog import BUNDLED, resolve
from playground.checkpoints.loader import LoadedCheckpoint
from playground.checkpoints.parts import complete_tokenizer
from playground.checkpoints.plain import Rules, Tokenizer, read_config
from tests.checkpoints.original import write_tiny

TINY = Path(resolve(BUNDLED).source)
TEXT = "Locate the phrases in the caption: ☃ a <loc_5><loc_999> kite\u0301 <od>"
BART: dict[str, Any] = {"model_type": "bart"}
DAVIT: dict[str, Any] = {"model_type": "florence_vision"}


def check_same(tokenizer: Any, theirs: Any) -> None:
    assert isinstance(tokenizer, Tokenizer)
    for special in (True, False):
        found = tokenizer(TEXT, add_special_tokens=special, return_offsets_mapping=True)
        expected = theirs(TEXT, add_special_tokens=special, return_offsets_mapping=True)
        assert found == {name: expected[name] for name in found}
    assert (len(tokenizer), tokenizer.get_vocab()) == (len(theirs), theirs.get_vocab())
    assert tokenizer.convert_ids_to_tokens(range(len(theirs))) == theirs.convert_ids_to_tokens(range(len(theirs)))
    assert {*map(str, tokenizer.added_tokens_decoder.values())} == {*map(str, theirs.added_tokens_decoder.values())}
    assert tokenizer.pad_token_id == theirs.pad_token_id == 1


def test_a_tokenizer_says_what_that_of_transformers_does(loaded: LoadedCheckpoint) -> None:
    check_same(loaded.tokenizer, AutoTokenizer.from_pretrained(TINY))


def test_so_does_one_of_the_original_layout(tmp_path: Path) -> None:
    tokenizer = complete_tokenizer(resolve(BUNDLED), write_tiny(TINY, tmp_path / "original"))
    check_same(tokenizer, tokenizer.for_transformers)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"text_config": BART, "vision_config": DAVIT}, id="kinds"),
        pytest.param({"text_config": BART | {"pad_token_id": None}, "vision_config": DAVIT}, id="of another type"),
        pytest.param({"text_config": BART, "vision_config": DAVIT | {"depths": [2], "mlp_ratio": 2.0}}, id="others"),
    ],
)
def test_a_configuration_says_what_that_of_transformers_does(said: dict[str, Any]) -> None:
    config, theirs = read_config(said), Florence2Config.from_dict(said)
    for part in ("vision_config", "text_config"):
        for name, value in vars(getattr(config, part)).items():
            expected = getattr(getattr(theirs, part), name)
            assert value == ([*expected] if isinstance(value, list) else expected), name


def test_a_configuration_that_transformers_does_not_take_raises_as_there() -> None:
    said = {"text_config": BART | {"d_model": "wide"}, "vision_config": DAVIT}
    with pytest.raises(Exception, match="d_model"):
        read_config(said)


def test_rules_of_which_nothing_is_said_are_open() -> None:
    rules = Rules(num_beams=3, forced_bos_token_id=None)
    assert (rules.early_stopping, rules.to_diff_dict()) == (None, {"num_beams": 3})
    assert rules.for_transformers().to_diff_dict().keys() == GenerationConfig(num_beams=3).to_diff_dict().keys()
