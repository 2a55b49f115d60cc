"""The checkpoint of the true size: what it shares with the published one, and how it comes to be."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from transformers import Florence2Processor

from playground.bench import skeleton as maker
from playground.checkpoints import catalog, loader
from playground.tasks import get_task


@pytest.mark.skeleton
def test_the_skeleton_has_the_published_ids(skeleton: Path) -> None:
    tokenizer = Florence2Processor.from_pretrained(skeleton, backend="pil").tokenizer
    published = {
        "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 50264, "<od>": 50265, "</ocr>": 50268,
        "<loc_0>": 50269, "<loc_999>": 51268, "<cap>": 51269, "<grounding>": 51275, "<sep>": 51279,
        "<region_to_desciption>": 51282, "<poly>": 51286, "<and>": 51288, "<image>": 51289,
    }  # fmt: skip
    assert tokenizer.convert_tokens_to_ids([*published]) == [*published.values()]


@pytest.mark.skeleton
def test_the_skeleton_has_the_published_shapes(skeleton: Path) -> None:
    loaded = loader.load(catalog.resolve(str(skeleton)), skeleton, device="cpu", precision="bfloat16")
    assert sum(weights.numel() for weights in loaded.model.parameters()) == pytest.approx(231e6, rel=0.01)
    assert loaded.image_processor.image_seq_length == 577
    assert loaded.location_ids == range(50269, 51269)
    text = loaded.model.config.text_config
    assert (text.vocab_size, text.max_position_embeddings, text.encoder_layers, text.decoder_layers) == (
        51328, 1024, 6, 6,
    )  # fmt: skip


@pytest.mark.skeleton
@pytest.mark.parametrize(
    ("task", "num_published"),
    [("<OD>", 13), ("<CAPTION>", 8), ("<MORE_DETAILED_CAPTION>", 14), ("<REGION_PROPOSAL>", 11), ("<OCR>", 10)],
)
def test_a_prompt_has_about_as_many_tokens_as_with_the_published_vocabulary(
    skeleton: Path, task: str, num_published: int
) -> None:
    tokenizer = Florence2Processor.from_pretrained(skeleton, backend="pil").tokenizer
    prompt = get_task(task).fill()
    ids = tokenizer(prompt)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == prompt
    assert num_published - 1 <= len(ids) <= num_published


# --- How it is made


def test_two_that_ask_at_once_both_have_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_write = threading.Barrier(2)

    def write(folder: Path) -> None:
        both_write.wait(20)
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_text(name)

    monkeypatch.setattr(maker, "_write", write)
    folder = tmp_path / "cache" / "skeleton"
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(maker.skeleton, [folder, folder])) == [folder, folder]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert [*folder.parent.iterdir()] == [folder]
    assert maker.skeleton(folder) == folder, "it would be written again"


def test_one_that_is_interrupted_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(folder: Path) -> None:
        (folder / "config.json").write_text("{")
        raise KeyboardInterrupt

    monkeypatch.setattr(maker, "_write", write)
    with pytest.raises(KeyboardInterrupt):
        maker.skeleton(tmp_path / "skeleton")
    assert [*tmp_path.iterdir()] == []


def test_what_a_killed_one_has_left_is_deleted_and_what_is_being_written_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, written = tmp_path / "skeleton-unfinished-1", tmp_path / "skeleton-unfinished-2"
    for folder in (left, written):
        folder.mkdir()
        (folder / "config.json").write_text("{")
    two_hours_ago = time.time() - 7200
    os.utime(left, (two_hours_ago, two_hours_ago))
    monkeypatch.setattr(maker, "_write", lambda folder: (folder / "config.json").write_text("{}"))
    assert (maker.skeleton(tmp_path / "skeleton") / "config.json").read_text() == "{}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["skeleton", "skeleton-unfinished-2"]


def test_a_disk_that_is_full_is_no_skeleton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_folder: Path) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(maker, "_write", write)
    with pytest.raises(OSError, match="No space left"):
        maker.skeleton(tmp_path / "skeleton")
    assert [*tmp_path.iterdir()] == []
