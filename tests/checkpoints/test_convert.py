"""Any layout becomes a native checkpoint that others can load; a pickle is opened where it can do nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from playground.checkpoints import convert, unpickle
from playground.checkpoints.catalog import BUNDLED, resolve
from playground.checkpoints.layout import BANNED_PHRASES, Layout
from playground.checkpoints.loader import LoadedCheckpoint, load
from playground.checkpoints.parts import layout_in
from playground.errors import CheckpointUnavailable
from tests.checkpoints.original import TABLE, Tensors, write_tiny

TINY = Path(resolve(BUNDLED).source)


def in_halves(tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        tensors[name] = tensor.half()


def check_twin(folder: Path, loaded: LoadedCheckpoint) -> None:
    """Check that a folder is native, and holds what the bundled checkpoint does but for the row of `<image>`."""
    twin = load(resolve(str(folder)), folder, device="cpu")
    assert layout_in(folder) is Layout.NATIVE
    assert twin.details == ""
    assert twin.banned_phrases == BANNED_PHRASES
    assert twin.tokenizer.get_vocab() == loaded.tokenizer.get_vocab()
    assert twin.image_processor.image_seq_length == 101
    expected = loaded.model.state_dict()
    for name, tensor in twin.model.state_dict().items():
        assert torch.equal(tensor[:1770], expected[name][:1770]), name


def test_the_original_layout_becomes_a_native_checkpoint_with_its_license_and_card(
    tmp_path: Path, loaded: LoadedCheckpoint
) -> None:
    folder = write_tiny(TINY, tmp_path / "tune", change=in_halves, num_shards=3)
    (folder / "README.md").write_text("---\nlicense: mit\n---\nA fine-tune.")
    (folder / "LICENSE").write_text("MIT")
    (folder / "modeling_florence2.py").write_text("raise SystemExit")
    said = convert.convert(folder, tmp_path / "made" / "native")
    assert "6 million parameters in float16, from Microsoft's original layout" in said
    out = tmp_path / "made" / "native"
    check_twin(out, loaded)
    assert (out / "README.md").read_text().endswith("A fine-tune.")
    assert (out / "LICENSE").read_text() == "MIT"
    assert not list(out.glob("*.py"))
    assert [*out.parent.iterdir()] == [out]


def test_pickles_are_refused_with_the_command_that_turns_them_into_a_native_checkpoint(
    tmp_path: Path, loaded: LoadedCheckpoint
) -> None:
    folder = write_tiny(TINY, tmp_path / "tune", change=in_halves)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    tensors["language_model.lm_head.weight"] = tensors[TABLE]  # one storage with two names, as torch saves it
    names = sorted(tensors)
    for shard in (1, 2):
        some = {name: tensors[name] for name in names[shard - 1 :: 2]}
        torch.save(some, folder / f"pytorch_model-{shard:05}-of-00002.bin")
    with pytest.raises(CheckpointUnavailable) as caught:
        load(resolve(str(folder)), folder, device="cpu")
    assert f"`python -m playground.checkpoints.convert {folder} OUT` turns them into" in str(caught.value)
    command = [sys.executable, "-m", "playground.checkpoints.convert", folder, tmp_path / "native"]
    assert "from Microsoft's" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    check_twin(tmp_path / "native", loaded)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def test_a_pickle_that_would_write_a_file_does_not(tmp_path: Path) -> None:
    folder = write_tiny(TINY, tmp_path / "tune")
    (folder / "model.safetensors").unlink()
    torch.save({TABLE: Evil(tmp_path / "written")}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointUnavailable, match=r"pytorch_model\.bin was not opened as weights: .* Do not use it"):
        convert.convert(folder, tmp_path / "native")
    assert not (tmp_path / "written").exists()
    assert not (tmp_path / "native").exists()


def test_the_process_that_opens_pickles_can_do_nothing_else(tmp_path: Path) -> None:
    attempts = [
        "socket.create_connection(('127.0.0.1', 9))",
        "subprocess.run(['true'])",
        "os.system('true')",
        "os.fork()",
        f"open({str(tmp_path / 'written')!r}, 'w')",
        f"os.remove({str(tmp_path)!r})",
        "bytearray(9 * 2**30)",
    ]
    code = f"""
import importlib.util, os, socket, subprocess, sys
spec = importlib.util.spec_from_file_location("unpickle", {unpickle.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module._confine(2000)
for attempt in {attempts!r}:
    try:
        eval(attempt)
        print("done", attempt)
    except (PermissionError, MemoryError) as error:
        print(type(error).__name__)
"""
    command = [sys.executable, "-I", "-B", "-c", code]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout.split("\n")[:-1] == ["PermissionError"] * 6 + ["MemoryError"]
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(lambda folder, out: out.mkdir(), "exists already. Name a folder", id="there is something"),
        pytest.param(lambda folder, out: shutil.rmtree(folder), "is not a folder. Fetch", id="nothing to convert"),
        pytest.param(lambda folder, out: (folder / "tokenizer.json").unlink(), "tokenizer.json missing", id="a part"),
    ],
)
def test_what_cannot_be_converted_is_told_and_leaves_nothing(tmp_path: Path, spoil: object, sentence: str) -> None:
    folder, out = write_tiny(TINY, tmp_path / "tune"), tmp_path / "native"
    spoil(folder, out)  # type: ignore[operator]
    with pytest.raises(CheckpointUnavailable, match=sentence):
        convert.convert(folder, out)
    assert not list(tmp_path.glob("*unfinished*"))
