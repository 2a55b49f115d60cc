"""The bundled checkpoint is loaded for real; a hub of a few lines on the loopback stands in for the real one."""

import errno
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from playground import checkpoints
from playground.checkpoints import BUNDLED, CATALOGUE, Checkpoint
from playground.errors import CheckpointUnavailable, SettingsInvalid
from playground.tasks import TASKS

TINY = Path(checkpoints.resolve(BUNDLED).source)
SHA, PIN = "a" * 40, "b" * 40


# --- Names


def test_the_catalogue_names_the_published_checkpoints_and_the_bundled_one() -> None:
    assert [(row.name, row.source, (row.revision or "")[:8], row.parameters) for row in CATALOGUE[:4]] == [
        ("florence-2-base", "florence-community/Florence-2-base", "00921df6", "0.23 B"),
        ("florence-2-base-ft", "florence-community/Florence-2-base-ft", "0b03b6f1", "0.23 B"),
        ("florence-2-large", "florence-community/Florence-2-large", "", "0.77 B"),
        ("florence-2-large-ft", "florence-community/Florence-2-large-ft", "", "0.77 B"),
    ]
    assert [row.name for row in CATALOGUE[4:]] == [BUNDLED]


def test_the_bundled_checkpoint_carries_its_own_facts() -> None:
    tiny = checkpoints.resolve(BUNDLED)
    assert tiny.is_local
    assert "photograph" in tiny.note
    assert "--checkpoint florence-2-base" in tiny.note
    assert tiny.known_tasks is not None
    assert len(tiny.known_tasks) == 11
    assert tiny.known_tasks < {task.id for task in TASKS}
    assert "<OCR>" not in tiny.known_tasks


@pytest.mark.parametrize(
    ("name", "source", "revision"),
    [
        pytest.param("florence-2-large", "florence-community/Florence-2-large", None, id="catalogue"),
        pytest.param("  florence-2-large ", "florence-community/Florence-2-large", None, id="spaces"),
        pytest.param("me/my-tune", "me/my-tune", None, id="hub id"),
        pytest.param("me/my-tune@v1.2", "me/my-tune", "v1.2", id="hub id at a revision"),
        pytest.param(str(TINY), str(TINY), None, id="folder"),
    ],
)
def test_names_that_are_accepted(name: str, source: str, revision: str | None) -> None:
    checkpoint = checkpoints.resolve(name)
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
        pytest.param("microsoft/Florence-2-large", "Use florence-2-large (florence-community/", id="microsoft's own"),
        pytest.param("Microsoft/Florence-2-x", "Use florence-2-base (florence-community/", id="microsoft's other"),
    ],
)
def test_names_that_are_refused_say_what_is_accepted(name: str, sentence: str) -> None:
    with pytest.raises(CheckpointUnavailable) as caught:
        checkpoints.resolve(name)
    assert sentence in str(caught.value)


def test_importing_checkpoints_and_pool_imports_neither_torch_nor_transformers() -> None:
    code = "import sys, playground.pool; print({'torch', 'transformers'} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "set()"


# --- Device and number format


def test_large_is_the_default_only_on_a_gpu() -> None:
    names = {device: checkpoints.default_name(device) for device in ("cpu", "mps", "cuda", "cuda:1")}
    assert names == {
        "cpu": "florence-2-base",
        "mps": "florence-2-base",
        "cuda": "florence-2-large",
        "cuda:1": "florence-2-large",
    }


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "tpu", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"Give --device auto, or one of cpu"):
        checkpoints.choose_device(device)


def test_a_small_model_runs_in_float32_and_a_large_one_as_the_processor_likes() -> None:
    import torch

    is_native = any(torch.cpu.get_capabilities().get(feature) for feature in ("avx512_bf16", "amx_bf16"))
    small = checkpoints.choose_placement("cpu", num_parameters=5_800_000)
    large = checkpoints.choose_placement("cpu", num_parameters=231_000_000)
    assert (small.device, small.dtype) == ("cpu", "float32")
    assert large.dtype == ("bfloat16" if is_native else "float32")
    assert "bfloat16" in large.reason


# --- Loading


def test_the_bundled_checkpoint_loads() -> None:
    checkpoint = checkpoints.resolve(BUNDLED)
    loaded = checkpoints.load(checkpoint, TINY, device="cpu")
    assert loaded.location_ids == range(537, 1537)
    assert loaded.tokenizer.convert_ids_to_tokens(537 + 999) == "<loc_999>"
    assert loaded.image_processor.image_seq_length == 65
    assert (loaded.resolved_revision, loaded.notice, loaded.banned_phrases) == (None, "", frozenset())
    assert not loaded.model.training
    assert {str(parameter.dtype) for parameter in loaded.model.parameters()} == {"torch.float32"}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the bundled checkpoint's model, to damage."""
    return Path(shutil.copytree(TINY, tmp_path / "broken", ignore=shutil.ignore_patterns("playground.json", "*.md")))


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1_000_000])


def scramble_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>Sign in to continue</html>" * 100)


def drop_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors[next(key for key in tensors if key.endswith("fc1.weight"))]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def keep_only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def lose_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def rename_location_tokens(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace("<loc_500>", "<place_500>"))


def make_it_microsofts(folder: Path) -> None:
    edit_json(folder / "config.json", lambda config: config["vision_config"].update(model_type="davit"))


def give_it_code(folder: Path) -> None:
    auto_map = {"AutoModelForCausalLM": "modeling_florence2.Florence2ForConditionalGeneration"}
    edit_json(folder / "config.json", lambda config: config.update(auto_map=auto_map))


def make_it_another_model(folder: Path) -> None:
    edit_json(folder / "config.json", lambda config: config.update(model_type="bert"))


def widen_it(folder: Path) -> None:
    edit_json(folder / "config.json", lambda config: config["text_config"].update(encoder_ffn_dim=999))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(shutil.rmtree, "broken is incomplete: config.json, preprocessor_config.json,", id="dead folder"),
        pytest.param(lambda folder: (folder / "config.json").unlink(), "incomplete: config.json missing", id="config"),
        pytest.param(
            lambda folder: (folder / "tokenizer.json").unlink(), "incomplete: tokenizer.json missing", id="tokenizer"
        ),
        pytest.param(
            lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors missing in /", id="weights"
        ),
        pytest.param(
            lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read", id="config cut short"
        ),
        pytest.param(keep_only_pickle, "only as pytorch_model.bin", id="pickle only"),
        pytest.param(lose_a_shard, "incomplete: model-00001-of-00002.safetensors, model-00002", id="shards"),
        pytest.param(cut_weights, "The weights of broken are damaged or cut short", id="weights cut short"),
        pytest.param(scramble_weights, "The weights of broken are damaged or cut short", id="weights scrambled"),
        pytest.param(drop_a_weight, "no fitting values for 1 of the model's weights, such as", id="a weight missing"),
        pytest.param(rename_location_tokens, "without the 1000 location tokens", id="location tokens"),
        pytest.param(make_it_microsofts, "broken has the layout of Microsoft's own code", id="old layout"),
        pytest.param(give_it_code, "Use florence-2-base (florence-community/", id="remote code"),
        pytest.param(make_it_another_model, "of model type 'bert', not of Florence-2", id="another model"),
        pytest.param(widen_it, "no fitting values for 6 of the model's weights, such as", id="sizes differ"),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_what_to_do(
    broken: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    checkpoint = checkpoints.resolve(str(broken))
    damage(broken)
    with pytest.raises(CheckpointUnavailable) as caught:
        checkpoints.load(checkpoint, broken, device="cpu")
    assert sentence in str(caught.value)


def test_a_broken_description_of_a_folder_is_a_sentence(broken: Path) -> None:
    (broken / "playground.json").write_text("[]")
    with pytest.raises(CheckpointUnavailable, match=r"playground\.json must hold a JSON object"):
        checkpoints.resolve(str(broken))


# --- The hub


class FakeHub(ThreadingHTTPServer):
    """Serves one repository, `me/tiny`, in the way of the hub: main is at SHA, and no other revision is known."""

    daemon_threads = True
    repository = "me/tiny"

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.folder = folder
        self.status = 200
        self.error_code = ""
        self.hangs_at = ""  # a request whose path ends so waits
        self.cuts_at = ""  # a file whose path ends so is sent by half, then nothing
        self.released = threading.Event()
        self.requests: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: FakeHub

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.requests.append(f"{self.command} {path}")
        if hub.hangs_at and path.endswith(hub.hangs_at):
            hub.released.wait(30)
        revision, _, file_name = path.removeprefix(f"/{hub.repository}/resolve/").partition("/")
        if hub.status != 200:
            self._send(hub.status, error_code=hub.error_code)
        elif path.startswith(f"/api/models/{hub.repository}"):
            self._send_listing(path.partition("/revision/")[2] or "main")
        elif revision in ("main", SHA) and (hub.folder / file_name).is_file():
            self._send(200, (hub.folder / file_name).read_bytes(), etag=f"{file_name}-1")
        else:
            self._send(404, error_code="RepoNotFound")

    def _send_listing(self, revision: str) -> None:
        if revision not in ("main", SHA):
            self._send(404, error_code="RevisionNotFound")
            return
        files = [{"rfilename": path.name, "size": path.stat().st_size} for path in self.server.folder.iterdir()]
        self._send(200, json.dumps({"id": self.server.repository, "sha": SHA, "siblings": files}).encode())

    def _send(self, status: int, body: bytes = b"", *, etag: str = "", error_code: str = "") -> None:
        self.send_response(status)
        headers = {"Content-Length": len(body), "ETag": etag and f'"{etag}"', "X-Error-Code": error_code}
        for name, value in {**headers, "X-Repo-Commit": SHA}.items():
            if value != "":
                self.send_header(name, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.cuts_at and self.path.endswith(self.server.cuts_at):
            self.wfile.write(body[: len(body) // 2])
            self.server.released.wait(30)
        else:
            self.wfile.write(body)


@pytest.fixture
def hub(broken: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # which would ask the real hub
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    server = FakeHub(broken)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


def fetch(hub: FakeHub, cache_dir: Path, *, name: str = "me/tiny", stall_seconds: float = 10) -> list[float]:
    """Download, and return the percents that were told."""
    percents: list[float] = []
    checkpoints.download(
        checkpoints.resolve(name), percents.append, stall_seconds, endpoint=hub.endpoint, cache_dir=cache_dir
    )
    return percents


def test_a_download_brings_the_wanted_files_and_tells_its_progress(hub: FakeHub, tmp_path: Path) -> None:
    (hub.folder / "pytorch_model.bin").write_bytes(b"pickle")
    (hub.folder / "modeling.py").write_text("raise SystemExit")
    checkpoint = checkpoints.resolve("me/tiny")
    assert checkpoints.find_local(checkpoint, cache_dir=tmp_path) is None
    percents = fetch(hub, tmp_path)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert percents == sorted(percents)
    assert len({percent for percent in percents if 0 < percent < 100}) >= 5
    folder = checkpoints.find_local(checkpoint, cache_dir=tmp_path)
    assert folder is not None
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors", "preprocessor_config.json",
        "processor_config.json", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    loaded = checkpoints.load(checkpoint, folder, device="cpu")
    assert (loaded.resolved_revision, loaded.notice) == (SHA, "")


def test_a_pinned_revision_that_the_hub_does_not_know_falls_back_to_main_and_says_so(
    hub: FakeHub, tmp_path: Path
) -> None:
    fetch(hub, tmp_path, name=f"me/tiny@{PIN}")
    checkpoint = checkpoints.resolve(f"me/tiny@{PIN}")
    folder = checkpoints.find_local(checkpoint, cache_dir=tmp_path)
    assert folder is not None
    loaded = checkpoints.load(checkpoint, folder, device="cpu")
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
    assert checkpoints.find_local(checkpoints.resolve("me/tiny"), cache_dir=tmp_path) is None
    hub.cuts_at = ""
    hub.released.set()
    assert fetch(hub, tmp_path)[-1] == 100


@pytest.mark.parametrize("where", ["me/tiny/revision/main", "generation_config.json"])
def test_a_hub_that_hangs_is_given_up_in_time_and_heard_no_more(hub: FakeHub, tmp_path: Path, where: str) -> None:
    hub.hangs_at = where
    heard, started = threading.Event(), time.monotonic()
    with pytest.raises(CheckpointUnavailable, match="Check the connection and try again, or choose the tiny demo"):
        checkpoints.download(
            checkpoints.resolve("me/tiny"), lambda _percent: heard.set(), 0.5, endpoint=hub.endpoint, cache_dir=tmp_path
        )
    assert time.monotonic() - started < 5
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


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(make_it_microsofts, "layout of Microsoft's own code", id="old layout"),
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
        checkpoints.download(checkpoints.resolve("me/tiny"), on_progress, 10, endpoint=hub.endpoint, cache_dir=tmp_path)


def test_a_hub_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    with socket.socket() as nobody:  # bound and not listening: the port refuses
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        checkpoint = checkpoints.resolve("me/tiny")
        assert not checkpoints.hub_answers(checkpoint, 2, endpoint=endpoint)
        with pytest.raises(CheckpointUnavailable, match=r"tiny could not be fetched: .* Check the connection"):
            checkpoints.download(checkpoint, lambda _percent: None, 10, endpoint=endpoint, cache_dir=tmp_path)


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
    assert checkpoints.hub_answers(checkpoints.resolve("me/tiny"), 1, endpoint=hub.endpoint) is answers
    assert time.monotonic() - started < 3


def test_a_local_checkpoint_is_where_it_is() -> None:
    assert checkpoints.find_local(checkpoints.resolve(BUNDLED)) == TINY


def test_how_to_get_a_checkpoint_names_the_command() -> None:
    pinned = Checkpoint("x", "X", "me/x", revision="v1")
    assert "run `hf download me/x --revision v1`, or choose" in checkpoints.how_to_get(pinned)
