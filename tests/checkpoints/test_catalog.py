"""The names that are accepted, and what is known of each checkpoint. What files make one is told by its load."""

from pathlib import Path

import pytest

from playground.checkpoints import catalog, files
from playground.checkpoints.catalog import BUNDLED, CATALOG
from playground.errors import CheckpointUnavailable
from playground.tasks import TASKS

TINY = Path(catalog.resolve(BUNDLED).source)


def test_the_catalog_names_the_published_checkpoints_and_the_bundled_one() -> None:
    assert [(row.name, row.source, (row.revision or "")[:8], row.parameters) for row in CATALOG[:4]] == [
        ("florence-2-base", "florence-community/Florence-2-base", "00921df6", "0.23 B"),
        ("florence-2-base-ft", "florence-community/Florence-2-base-ft", "0b03b6f1", "0.23 B"),
        ("florence-2-large", "florence-community/Florence-2-large", "", "0.77 B"),
        ("florence-2-large-ft", "florence-community/Florence-2-large-ft", "", "0.77 B"),
    ]
    assert [(row.source, row.license) for row in CATALOG[4:-1]] == [
        ("MiaoshouAI/Florence-2-large-PromptGen-v2.0", "MIT"),
        ("MiaoshouAI/Florence-2-large-PromptGen-v1.5", "MIT"),
        ("thwri/CogFlorence-2.2-Large", "MIT"),
        ("gokaygokay/Florence-2-Flux-Large", "Apache-2.0"),
    ]
    assert CATALOG[-1].name == BUNDLED


def test_the_bundled_checkpoint_carries_its_own_facts() -> None:
    tiny = catalog.resolve(BUNDLED)
    assert tiny.is_local
    assert "photograph" in tiny.note
    assert "--" not in tiny.note  # it is for visitors
    assert tiny.known_tasks is not None
    assert len(tiny.known_tasks) == 18
    assert tiny.known_tasks < {task.id for task in TASKS}
    assert "<CUSTOM>" not in tiny.known_tasks


@pytest.mark.parametrize(
    ("name", "source", "revision"),
    [
        pytest.param("florence-2-large", "florence-community/Florence-2-large", None, id="catalog"),
        pytest.param("  florence-2-large ", "florence-community/Florence-2-large", None, id="spaces"),
        pytest.param("me/my-tune", "me/my-tune", None, id="hub id"),
        pytest.param("microsoft/Florence-2-base", "microsoft/Florence-2-base", None, id="Microsoft's own"),
        pytest.param("me/my-tune@v1.2", "me/my-tune", "v1.2", id="hub id at a revision"),
        pytest.param(str(TINY), str(TINY), None, id="folder"),
    ],
)
def test_names_that_are_accepted(name: str, source: str, revision: str | None) -> None:
    checkpoint = catalog.resolve(name)
    assert (checkpoint.source, checkpoint.revision) == (source, revision)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param("florence", "Give one of florence-2-base, florence-2-base-ft,", id="unknown"),
        pytest.param("", "'' is not a checkpoint", id="empty"),
        pytest.param("/no/such/folder", "a folder that exists", id="dead folder"),
        pytest.param("~nobody-at-all/x", "a folder that exists", id="home of nobody"),
        pytest.param("x" * 5000, "is not a checkpoint", id="endless"),
        pytest.param(__file__, "a folder that exists", id="file"),
    ],
)
def test_names_that_are_refused_say_what_is_accepted(name: str, sentence: str) -> None:
    with pytest.raises(CheckpointUnavailable) as caught:
        catalog.resolve(name)
    assert sentence in str(caught.value)


def test_large_is_the_default_only_on_a_gpu() -> None:
    names = {device: catalog.default_name(device) for device in ("cpu", "mps", "cuda", "cuda:1")}
    assert names == {
        "cpu": "florence-2-base",
        "mps": "florence-2-base",
        "cuda": "florence-2-large",
        "cuda:1": "florence-2-large",
    }


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        pytest.param("[]", "it must hold a JSON object. Correct it.", id="a list"),
        pytest.param("{", "it cannot be read (Expecting", id="cut short"),
        pytest.param('{"known_tasks": 5}', "known_tasks must be a list of task ids.", id="a number for tasks"),
    ],
)
def test_a_broken_description_of_a_folder_is_a_sentence(tmp_path: Path, description: str, sentence: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "playground.json").write_text(description)
    checkpoint = catalog.resolve(str(folder))
    assert checkpoint.fault.startswith(f"The playground.json of mine is not used: {sentence}")
    assert str(tmp_path) not in checkpoint.fault
    assert (checkpoint.title, checkpoint.tasks) == ("mine", ())


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        pytest.param([], "config.json, preprocessor_config.json, tokenizer.json, model.safetensors missing", id="none"),
        pytest.param(["config.json", "processor_config.json", "vocab.json", "merges.txt", "pytorch_model.bin"],
                     "only as pytorch_model.bin", id="pickle"),
        pytest.param(["config.json", "preprocessor_config.json", "vocab.json", "model.safetensors"],
                     "incomplete: tokenizer.json missing in me/tune", id="half of a slow tokenizer"),
    ],
)  # fmt: skip
def test_a_repository_is_refused_by_the_names_of_its_files(names: list[str], sentence: str) -> None:
    with pytest.raises(CheckpointUnavailable, match=sentence):
        files.check_names(catalog.resolve("me/tune"), names)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"], id="usual"),
        pytest.param(["config.json", "processor_config.json", "vocab.json", "merges.txt",
                      "model.safetensors.index.json"], id="slow tokenizer, weights in pieces"),
    ],
)  # fmt: skip
def test_a_repository_with_all_that_is_needed_is_accepted(names: list[str]) -> None:
    files.check_names(catalog.resolve("me/tune"), [*names, "README.md"])
