"""The search for models on the hub: what is said of each is what its load would say, and next to nothing is fetched."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.checkpoints import loader, search
from playground.checkpoints.catalog import BUNDLED, resolve
from playground.checkpoints.search import Found
from playground.errors import CheckpointUnavailable
from tests.checkpoints.fake_hub import FakeHub, serving_hub
from tests.checkpoints.original import Tensors, write_tiny

TINY = Path(resolve(BUNDLED).source)
NORM = "vision_tower.blocks.0.0.spatial_block.window_attn.norm.weight"


def without_a_norm(tensors: Tensors) -> None:
    del tensors[NORM]


def with_a_wide_norm(tensors: Tensors) -> None:
    tensors[NORM] = tensors[NORM].repeat(2)


def with_something_more(tensors: Tensors) -> None:
    tensors["adapter.weight"] = tensors[NORM].clone()


def as_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def as_adapter(folder: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    (folder / "adapter_config.json").write_text("{}")


def as_another_model(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


def as_no_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 1000)


def as_noise(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with serving_hub(tmp_path / "native") as hub:
        yield hub


def found_by(hub: FakeHub, text: str) -> dict[str, Found]:
    return {found.repository: found for found in search.search(text, endpoint=hub.endpoint)}


def test_what_will_load_is_told_with_size_license_and_last_change(hub: FakeHub, tmp_path: Path) -> None:
    hub.others = {
        "me/tiny-original": write_tiny(TINY, tmp_path / "original"),
        "me/tiny-in-shards": write_tiny(TINY, tmp_path / "shards", num_shards=3),
        "me/another": tmp_path / "native",
    }
    hub.tags = {"me/tiny": ["florence2", "license:mit"], "me/tiny-original": ["license:<img src=x>" + "x" * 99]}
    found = found_by(hub, "  Tiny ")
    size = (TINY / "model.safetensors").stat().st_size
    assert list(found) == ["me/tiny", "me/tiny-original", "me/tiny-in-shards"]
    assert [row.why_not for row in found.values()] == ["", "", ""]
    assert all(row.num_bytes == pytest.approx(size, rel=0.1) for row in found.values())
    assert str(found["me/tiny"]) == f"me/tiny · {size / 1e9:.2f} GB · mit · changed 2024-11-04"
    assert found["me/tiny-original"].license == ("<img src=x>" + "x" * 99)[:40]
    assert "license not stated" in str(found["me/tiny-in-shards"])
    assert hub.num_bytes_sent < 0.2 * size  # of three models


@pytest.mark.parametrize(
    ("spoil", "change"),
    [
        pytest.param(None, without_a_norm, id="a tensor missing"),
        pytest.param(None, with_a_wide_norm, id="a wrong shape"),
        pytest.param(None, with_something_more, id="a tensor too many"),
        pytest.param(as_pickle, None, id="pickle"),
        pytest.param(as_adapter, None, id="adapter"),
        pytest.param(as_another_model, None, id="another model"),
    ],
)
def test_what_will_not_load_is_told_in_the_words_of_its_load(
    hub: FakeHub,
    tmp_path: Path,
    spoil: Callable[[Path], None] | None,
    change: Callable[[Tensors], None] | None,
) -> None:
    folder = write_tiny(TINY, tmp_path / "odd", change=change or (lambda tensors: None))
    if spoil:
        spoil(folder)
    hub.others = {"me/odd": folder}
    with pytest.raises(CheckpointUnavailable) as refused:
        loader.load(resolve(str(folder)), folder, device="cpu")
    told = found_by(hub, "odd")["me/odd"].why_not.replace("me/odd", "odd")
    first = told.partition(". ")[0]
    assert first
    assert first in str(refused.value).replace(str(folder), "odd")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(as_no_safetensors, "model.safetensors of me/odd is no file of safetensors.", id="no safetensors"),
        pytest.param(as_noise, "config.json of me/odd cannot be read (Expecting", id="noise for a configuration"),
    ],
)
def test_odd_files_are_a_sentence(hub: FakeHub, tmp_path: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    spoil(shutil.copytree(hub.folder, tmp_path / "odd"))
    hub.others = {"me/odd": tmp_path / "odd", "../../etc": hub.folder}
    assert found_by(hub, "odd")["me/odd"].why_not.startswith(sentence)
    assert found_by(hub, "etc") == {}  # what cannot be asked for is not shown


def test_a_hub_that_refuses_or_is_silent_is_a_sentence(hub: FakeHub) -> None:
    for text in ("", " ", "x" * 101):
        with pytest.raises(CheckpointUnavailable, match="Type a part of a name"):
            search.search(text, endpoint=hub.endpoint)
    hub.hangs_at = "/api/models"
    with pytest.raises(CheckpointUnavailable, match=r"The hub did not answer within 0\.2 seconds"):
        search.search("tiny", endpoint=hub.endpoint, seconds=0.2)
    hub.hangs_at, hub.status = "", 401
    with pytest.raises(CheckpointUnavailable, match="The hub could not be asked"):
        search.search("tiny", endpoint=hub.endpoint)
    hub.status, hub.hangs_at = 200, "config.json"
    (late,) = search.search("tiny", endpoint=hub.endpoint, seconds=3)
    assert late.why_not == "me/tiny could not be looked at within 3 seconds. Look for it again."


def test_the_command_prints_what_was_found(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def at_the_made_hub(text: str) -> Any:
        return made(text, endpoint=hub.endpoint)

    made = search.search
    monkeypatch.setattr(search, "search", at_the_made_hub)
    monkeypatch.setattr(sys, "argv", ["search", "tiny"])
    search.main()
    assert capsys.readouterr().out.splitlines()[1] == "  will load: --checkpoint me/tiny"
    monkeypatch.setattr(sys, "argv", ["search", "nobody"])
    with pytest.raises(SystemExit, match=r"^The hub has no Florence-2 of that name\.$"):
        search.main()
