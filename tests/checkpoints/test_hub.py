"""A hub of a few lines on the loopback stands in for the real one."""

import errno
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.checkpoints.catalog import BUNDLED, Checkpoint, resolve
from playground.checkpoints.hub import (
    download,
    find_local,
    hub_answers,
    offline_error,
    resolved_revision,
    revision_notice,
)
from playground.checkpoints.loader import load
from playground.errors import CheckpointUnavailable
from tests.checkpoints.fake_hub import SHA, FakeHub, serving_hub

TINY = Path(resolve(BUNDLED).source)
PIN = "b" * 40


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with serving_hub(tmp_path / "served") as server:
        yield server


def fetch(hub: FakeHub, cache_dir: Path, *, name: str = "me/tiny", stall_seconds: float = 10) -> list[float]:
    """Download, and return the percents that were told."""
    percents: list[float] = []
    download(resolve(name), percents.append, stall_seconds, endpoint=hub.endpoint, cache_dir=cache_dir)
    return percents


def test_a_download_brings_the_wanted_files_and_tells_its_progress(hub: FakeHub, tmp_path: Path) -> None:
    (hub.folder / "pytorch_model.bin").write_bytes(b"pickle")
    (hub.folder / "modeling.py").write_text("raise SystemExit")
    checkpoint = resolve("me/tiny")
    assert find_local(checkpoint, cache_dir=tmp_path) is None
    percents = fetch(hub, tmp_path)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert percents == sorted(percents)
    assert len({percent for percent in percents if 0 < percent < 100}) >= 5
    folder = find_local(checkpoint, cache_dir=tmp_path)
    assert folder is not None
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors", "processor_config.json", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    assert resolved_revision(checkpoint, folder) == SHA
    assert revision_notice(checkpoint, SHA) == ""


def test_a_pinned_revision_that_the_hub_does_not_know_falls_back_to_main_and_says_so(
    hub: FakeHub, tmp_path: Path
) -> None:
    fetch(hub, tmp_path, name=f"me/tiny@{PIN}")
    checkpoint = resolve(f"me/tiny@{PIN}")
    folder = find_local(checkpoint, cache_dir=tmp_path)
    assert folder is not None
    loaded = load(checkpoint, folder, device="cpu")
    assert loaded.resolved_revision == SHA
    assert loaded.notice == (
        "The pinned revision bbbbbbbb of me/tiny could not be had; "
        "the answers are those of aaaaaaaa from its main branch."
    )


def test_what_is_already_in_the_cache_is_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path)
    hub.requests.clear()
    assert fetch(hub, tmp_path)[-1] == 100
    assert [request for request in hub.requests if request.startswith("GET /me/")] == []


def test_an_interrupted_download_is_not_taken_for_a_checkpoint_and_goes_on_later(hub: FakeHub, tmp_path: Path) -> None:
    hub.cuts_at = "model.safetensors"
    with pytest.raises(CheckpointUnavailable, match=r"The hub sent nothing of tiny for 0\.5 seconds"):
        fetch(hub, tmp_path, stall_seconds=0.5)
    assert find_local(resolve("me/tiny"), cache_dir=tmp_path) is None
    hub.cuts_at = ""
    hub.released.set()
    assert fetch(hub, tmp_path)[-1] == 100


def test_damaged_weights_in_the_cache_are_told_with_the_folder_to_delete(hub: FakeHub, tmp_path: Path) -> None:
    weights = hub.folder / "model.safetensors"
    weights.write_bytes(b"<html>Sign in to continue</html>")
    fetch(hub, tmp_path)
    weights.write_bytes((TINY / "model.safetensors").read_bytes())
    checkpoint = resolve("me/tiny")
    folder = find_local(checkpoint, cache_dir=tmp_path)
    assert folder is not None
    with pytest.raises(CheckpointUnavailable, match="The weights of tiny are changed, damaged") as caught:
        load(checkpoint, folder, device="cpu")
    assert f"Delete {tmp_path / 'models--me--tiny'} and fetch it again." in str(caught.value)
    shutil.rmtree(tmp_path / "models--me--tiny")
    fetch(hub, tmp_path)
    assert load(checkpoint, folder, device="cpu").resolved_revision == SHA


@pytest.mark.parametrize("where", ["me/tiny/revision/main", "generation_config.json"])
def test_a_hub_that_hangs_is_given_up_in_time_and_heard_no_more(hub: FakeHub, tmp_path: Path, where: str) -> None:
    hub.hangs_at = where
    heard, started = threading.Event(), time.monotonic()
    with pytest.raises(CheckpointUnavailable, match="Check the connection and try again, or choose the tiny demo"):
        download(resolve("me/tiny"), lambda _percent: heard.set(), 0.5, endpoint=hub.endpoint, cache_dir=tmp_path)
    assert time.monotonic() - started < 10  # it hangs for 30
    heard.clear()
    hub.released.set()
    assert not heard.wait(0.3)


@pytest.mark.parametrize(
    ("status", "error_code", "name", "sentence"),
    [
        pytest.param(404, "RepoNotFound", "me/tiny", "The hub shows no repository me/tiny", id="no repository"),
        pytest.param(401, "", "me/tiny", "Log in with `hf auth login`", id="private"),
        pytest.param(403, "GatedRepo", "me/tiny", "Ask at https://huggingface.co/me/tiny", id="gated"),
        pytest.param(500, "", "me/tiny", "The hub answered 500 for me/tiny. Try again in a", id="hub broken"),
        pytest.param(429, "", "me/tiny", "The hub answered 429 for me/tiny", id="too many requests"),
        pytest.param(200, "", "me/tiny@v9", "The hub has me/tiny, but no revision 'v9' of it", id="no such branch"),
    ],
)
def test_a_hub_that_refuses_is_told_with_what_to_do(
    hub: FakeHub, tmp_path: Path, status: int, error_code: str, name: str, sentence: str
) -> None:
    hub.status, hub.error_code = status, error_code
    with pytest.raises(CheckpointUnavailable) as caught:
        fetch(hub, tmp_path, name=name)
    assert sentence in str(caught.value)


def make_it_another_model(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))


def keep_only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(make_it_another_model, "of model type 'bert'", id="another model"),
        pytest.param(keep_only_pickle, "only as pytorch_model.bin", id="pickle only"),
    ],
)
def test_what_could_not_be_loaded_is_refused_before_its_weights_are_fetched(
    hub: FakeHub, tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    damage(hub.folder)
    with pytest.raises(CheckpointUnavailable, match=sentence):
        fetch(hub, tmp_path)
    assert not any("safetensors" in request or "bin" in request for request in hub.requests)


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        pytest.param(CheckpointUnavailable("The playground is closing."), "The playground is closing", id="closing"),
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), "The disk is full", id="disk full"),
        pytest.param(PermissionError(errno.EACCES, "Permission denied"), "Set HF_HOME to a folder", id="read-only"),
    ],
)
def test_what_goes_wrong_while_bytes_arrive_ends_the_download(
    hub: FakeHub, tmp_path: Path, raised: Exception, sentence: str
) -> None:
    def on_progress(percent: float) -> None:
        if percent > 0:
            raise raised

    with pytest.raises(CheckpointUnavailable, match=sentence):
        download(resolve("me/tiny"), on_progress, 10, endpoint=hub.endpoint, cache_dir=tmp_path)


def test_a_hub_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    with socket.socket() as nobody:  # bound and not listening: the port refuses
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        checkpoint = resolve("me/tiny")
        assert not hub_answers(checkpoint, 2, endpoint=endpoint)
        with pytest.raises(CheckpointUnavailable) as caught:
            download(checkpoint, lambda _percent: None, 10, endpoint=endpoint, cache_dir=tmp_path)
        assert str(caught.value) == (
            "tiny could not be fetched: the connection to the hub failed. "
            "Check the connection and try again, or choose the tiny demo model, which is on this machine."
        )
        assert "refused" in caught.value.details  # whoever runs the playground reads what the library said


@pytest.mark.parametrize(
    ("set_up", "answers"),
    [
        pytest.param({}, True, id="answers"),
        pytest.param({"status": 500}, False, id="broken"),
        pytest.param({"status": 404, "error_code": "RepoNotFound"}, False, id="does not have it"),
        pytest.param({"hangs_at": "me/tiny"}, False, id="hangs"),
    ],
)
def test_the_hub_answers_only_when_it_does_so_in_time(hub: FakeHub, set_up: dict[str, Any], answers: bool) -> None:
    vars(hub).update(set_up)
    started = time.monotonic()
    assert hub_answers(resolve("me/tiny"), 1, endpoint=hub.endpoint) is answers
    assert time.monotonic() - started < 10  # it hangs for 30


def test_a_local_checkpoint_is_where_it_is() -> None:
    assert find_local(resolve(BUNDLED)) == TINY


def test_offline_a_visitor_reads_no_command_and_the_host_reads_which() -> None:
    error = offline_error(Checkpoint("x", "X", "me/x", revision="v1"))
    assert "--" not in str(error)
    assert "or run `hf download me/x --revision v1`." in error.details
