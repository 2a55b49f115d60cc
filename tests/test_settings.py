"""Settings from the environment."""

import pytest

from playground.errors import SettingsInvalid
from playground.settings import Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({"PATH": "/bin", "OFFLINE": "1"}) == Settings()


def test_each_value_has_a_variable_and_keeps_its_type() -> None:
    settings = Settings.from_env(
        {
            "PLAYGROUND_CHECKPOINT": "florence-2-large",
            "PLAYGROUND_PORT": "8080",
            "PLAYGROUND_HUB_ANSWER_SECONDS": "2.5",
            "PLAYGROUND_MCP": "true",
        }
    )
    assert settings == Settings(checkpoint="florence-2-large", port=8080, hub_answer_seconds=2.5, mcp=True)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        pytest.param("PLAYGROUND_PORT", "eighty", "must be a number, but got 'eighty'", id="word"),
        pytest.param("PLAYGROUND_PORT", "", "must be a number, but got ''", id="empty"),
        pytest.param("PLAYGROUND_PORT", "80.5", "must be a number, but got '80.5'", id="fraction"),
        pytest.param("PLAYGROUND_PORT", "-1", "must not be negative, but got '-1'", id="negative"),
        pytest.param("PLAYGROUND_LOAD_WAIT_SECONDS", "-1.5", "must not be negative, but got '-1.5'", id="time ago"),
        pytest.param("PLAYGROUND_LOAD_WAIT_SECONDS", "nan", "must be a number, but got 'nan'", id="not a number"),
        pytest.param("PLAYGROUND_OFFLINE", "maybe", "must be one of .*, but got 'maybe'", id="neither yes nor no"),
    ],
)
def test_a_bad_value_is_refused_with_the_name_of_its_variable(variable: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsInvalid, match=rf"{variable} {sentence}\. Change it or unset it\."):
        Settings.from_env({variable: value})


@pytest.mark.parametrize(
    ("variable", "setting"),
    [("HF_HUB_OFFLINE", "offline"), ("SPACES_ZERO_GPU", "on_zero_gpu"), ("PLAYGROUND_MCP", "mcp")],
)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", True), ("true", True), ("TRUE", True), ("yes", True), (" on ", True),
        ("0", False), ("false", False), ("no", False), ("off", False), ("", False),
    ],
)  # fmt: skip
def test_a_switch_understands_the_usual_words(variable: str, setting: str, value: str, expected: bool) -> None:
    assert getattr(Settings.from_env({variable: value}), setting) is expected


def test_the_hubs_own_switch_is_not_undone_by_ours() -> None:
    assert Settings.from_env({"HF_HUB_OFFLINE": "1", "PLAYGROUND_OFFLINE": "0"}).offline
    assert Settings.from_env({"HF_HUB_OFFLINE": "0", "PLAYGROUND_OFFLINE": "1"}).offline


@pytest.mark.parametrize(
    ("environ", "may_teach"),
    [
        pytest.param({}, True, id="here"),
        pytest.param({"PLAYGROUND_TEACH": "no"}, False, id="not wanted"),
        pytest.param({"SPACE_HOST": "me-mine.hf.space"}, False, id="Space"),
        pytest.param({"SPACE_HOST": "me-mine.hf.space", "PLAYGROUND_TEACH": "yes"}, True, id="Space that wants it"),
        pytest.param({"SPACES_ZERO_GPU": "1", "PLAYGROUND_TEACH": "yes"}, False, id="GPU for seconds"),
        pytest.param({"PLAYGROUND_ENGINES": "auto"}, False, id="cluster"),
    ],
)
def test_where_a_page_teaches(environ: dict[str, str], may_teach: bool) -> None:
    assert Settings.from_env(environ).may_teach is may_teach


def test_each_adapter_makes_a_checkpoint_of_its_own_and_the_first_one_answers() -> None:
    settings = Settings(checkpoint="florence-2-base", adapter="adapters/mine, me/lora@v2,")
    assert settings.named_checkpoints == ("florence-2-base + adapters/mine", "florence-2-base + me/lora@v2")
    assert settings.first_checkpoint == "florence-2-base + adapters/mine"
    assert Settings().named_checkpoints == ()
