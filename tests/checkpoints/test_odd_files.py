"""A folder whose files are odd is refused with one sentence, at once: it is built of what a stranger wrote."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.checkpoints.catalog import BUNDLED, resolve
from playground.checkpoints.loader import load
from playground.errors import CheckpointUnavailable
from playground.paths import ASSETS
from playground.pool import Pool
from playground.settings import Settings


def rewrite(name: str, **changes: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        for field, value in changes.items():
            part, _, inner = field.rpartition("__")
            (content[part] if part else content)[inner] = value
        (folder / name).write_text(json.dumps(content))

    return write


def replace(name: str, content: str | None) -> Callable[[Path], None]:
    """Let a file hold something else, or be a pipe in which nobody writes."""

    def write(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        if content is None:
            os.mkfifo(folder / name)
        else:
            (folder / name).write_text(content)

    return write


def index(weight_map: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return write


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(replace("RECIPE.json", "[]"), "RECIPE.json must hold a JSON object", id="a recipe that is a list"),
        pytest.param(replace("RECIPE.json", "{"), "RECIPE.json cannot be read", id="a recipe that is no JSON"),
        pytest.param(replace("RECIPE.json", '{"sha256": [1]}'), "SHA-256", id="a recipe with a list for a sum"),
        pytest.param(replace("config.json", "[" * 100_000), "config.json cannot be read", id="a deep configuration"),
        pytest.param(index([]), "weight_map must name the files", id="a list for a map"),
        pytest.param(index({}), "weight_map must name the files", id="an empty map"),
        pytest.param(index({"a": 5}), "weight_map must name the files", id="a number for a file"),
        pytest.param(index({"a": "../../etc/passwd"}), "weight_map must name the files", id="a file elsewhere"),
        pytest.param(index({"a": "gone.safetensors"}), "gone.safetensors missing", id="a file that is not there"),
        pytest.param(rewrite("config.json", text_config__encoder_layers=10_000_000), "encoder_layers in its config",
                     id="ten million layers"),
        pytest.param(rewrite("config.json", vision_config__depths=[1, 1, 10_000_000, 1]), "depths in its config",
                     id="ten million blocks"),
        pytest.param(rewrite("config.json", text_config__vocab_size=10**12), "vocab_size in its config",
                     id="a word for everybody"),
        *(
            pytest.param(replace(name, None), f"{name} missing" if name != "tokenizer.json" else "tokenizer.json",
                         id=f"{name} is a pipe", marks=pytest.mark.skipif(os.name == "nt", reason="Windows has none."))
            for name in ("config.json", "model.safetensors", "tokenizer.json")
        ),
    ],
)  # fmt: skip
@pytest.mark.timeout(60)
def test_odd_files_are_one_sentence(tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    folder = Path(shutil.copytree(ASSETS / BUNDLED, tmp_path / "odd"))
    spoil(folder)
    with pytest.raises(CheckpointUnavailable) as caught:
        load(resolve(str(folder)), folder, device="cpu")
    assert said in str(caught.value)


def test_visitors_do_not_see_the_folder_of_a_checkpoint(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ASSETS / BUNDLED, tmp_path / "secret-place" / "mine"))
    replace("RECIPE.json", "[]")(folder)
    pool = Pool(Settings(offline=True, checkpoint=str(folder)))
    said = f"{pool.wait().message} {pool.names()} {pool.current_name}"
    assert "RECIPE.json must hold a JSON object" in said
    assert "mine" in said
    assert "secret-place" not in said
