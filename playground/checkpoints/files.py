"""Which files make up a checkpoint, whether a folder or a repository has them, and where in a file a tensor lies.

Knows names of files, headers, and the first facts of a configuration. Knows nothing of the hub's client, and no library
that could make a model of them.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.checkpoints.catalog import ADAPTER_CONFIG, DESCRIPTION, Checkpoint, read_json
from playground.errors import CheckpointUnavailable

# What a checkpoint must hold, by the name to tell; each row lists the sets of files that will do.
_REQUIRED: dict[str, tuple[set[str], ...]] = {
    "config.json": ({"config.json"},),
    "preprocessor_config.json": ({"preprocessor_config.json"}, {"processor_config.json"}),
    "tokenizer.json": ({"tokenizer.json"}, {"vocab.json", "merges.txt"}),
    "model.safetensors": ({"model.safetensors"}, {"model.safetensors.index.json"}),
}
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_REQUIRED_OF_ADAPTER: dict[str, tuple[set[str], ...]] = {name: ({name},) for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS)}
_WANTED = re.compile(r"[^/]+\.(json|safetensors|txt)")  # never pickled weights, never code
_REQUIRED_FOR_MASKS = {name: _REQUIRED[name] for name in ("config.json", "model.safetensors")}
# The published SAM 2.1 calls itself a model for videos, of which that for pictures is a part.
_MASK_TYPES = ("sam2", "sam2_video", "edgetam", "edgetam_video")
_WEIGHTS = re.compile(r"[\w.-]+\.safetensors")
_MAX_LAYERS, _MAX_WIDTH = 200, 1_000_000  # of the published ones: 12, and 51 thousand words
_CHUNK = 2**22  # bytes that are compared at once
_PICKLE = re.compile(r"pytorch_model.*\.bin")


def is_complete(checkpoint: Checkpoint, folder: Path) -> bool:
    """Tell whether a folder has all the files of a checkpoint, or of its adapter."""
    return not _missing_files(checkpoint, folder)


def check_folder(checkpoint: Checkpoint, folder: Path) -> None:
    """Refuse a folder that lacks a file or holds another model. Raises CheckpointUnavailable, saying what to do.

    Of a checkpoint with an adapter, it is the adapter's folder.
    """
    missing = _missing_files(checkpoint, folder)
    if missing:
        raise CheckpointUnavailable(_missing_sentence(checkpoint, missing, _file_names(folder)))
    check_config(checkpoint, read_json(folder / config_name(checkpoint)))


def check_names(checkpoint: Checkpoint, names: Collection[str]) -> None:
    """Refuse a repository by the names of its files alone. Raises CheckpointUnavailable, saying what to do."""
    missing = _missing_names(checkpoint, names)
    if missing:
        raise CheckpointUnavailable(_missing_sentence(checkpoint, missing, names))


def is_wanted(checkpoint: Checkpoint, name: str) -> bool:
    """Whether a file of a repository is of use; beside an adapter there may be whole models."""
    if checkpoint.base is not None:
        return name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS, DESCRIPTION)
    return _WANTED.fullmatch(name) is not None


def config_name(checkpoint: Checkpoint) -> str:
    """Return the name of the file that says what kind of model the files are of."""
    return "config.json" if checkpoint.base is None else ADAPTER_CONFIG


def check_config(checkpoint: Checkpoint, config: dict[str, Any]) -> None:
    """Refuse another model than the checkpoint is to be, or another adapter than a LoRA.

    Raises CheckpointUnavailable, saying what to do.
    """
    if checkpoint.base is not None:
        if kind := _not_plain_lora(config):
            raise CheckpointUnavailable(
                f"{checkpoint.title} cannot be: this adapter is not a plain LoRA but has {kind}, and it cannot be "
                "merged here. Merge it with peft (`merge_and_unload`), save the whole, and open its folder."
            )
        return
    model_type = config.get("model_type")
    if checkpoint.makes == "masks" and model_type not in _MASK_TYPES:
        raise CheckpointUnavailable(
            f"{checkpoint.title} is a checkpoint of model type {model_type!r}, not one that makes masks. "
            f"Choose one whose config.json says {' or '.join(_MASK_TYPES)}."
        )
    if checkpoint.makes == "answers" and model_type != "florence2":
        raise CheckpointUnavailable(
            f"{checkpoint.title} is a checkpoint of model type {model_type!r}, not of Florence-2. "
            "Choose one whose config.json says florence2."
        )
    if name := _too_large(config):
        raise CheckpointUnavailable(
            f"{checkpoint.title} cannot be: {name} in its config.json is larger than that of any such model. "
            "Fetch it again, or choose another checkpoint."
        )


# What changes a weight in another way than by B times A: DoRA scales it, an aLoRA works only behind certain words.
_OTHER_KINDS = ("use_dora", "use_qalora", "use_bdlora", "lora_bias", "alora_invocation_tokens", "layer_replication")
_PLAIN_BEGINNINGS = (True, False, None, "gaussian", "eva")  # any other took something from the base's own weights


def _not_plain_lora(config: dict[str, Any]) -> str:
    if config.get("peft_type") != "LORA":
        return f"peft_type {config.get('peft_type')!r:.40}"
    for name in _OTHER_KINDS:
        if config.get(name):
            return name
    beginning = config.get("init_lora_weights")
    return "" if beginning in _PLAIN_BEGINNINGS else f"init_lora_weights {beginning!r:.40}"


def _too_large(config: dict[str, Any]) -> str:
    """Return a field that asks for more than a model can have, which would be built before its weights are missed."""
    for part in (config, config.get("text_config"), config.get("vision_config")):
        for name, value in part.items() if isinstance(part, dict) else ():
            limit = _MAX_LAYERS if name.endswith("_layers") or name == "depths" else _MAX_WIDTH
            sizes = value if isinstance(value, list) else [value]
            if any(isinstance(size, int | float) and size > limit for size in sizes):
                return str(name)
    return ""


def weight_files(folder: Path) -> list[Path]:
    """Return the paths of the weights, which may be cut into several files; none of them need exist."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists() or not index.exists():
        return [folder / "model.safetensors"]
    return [folder / name for name in shard_names(str(index), read_json(index))]


def shard_names(where: str, index: dict[str, Any]) -> list[str]:
    """Return the names of the files that an index deals the weights to. Raises CheckpointUnavailable."""
    places = index.get("weight_map")
    names = list(places.values()) if isinstance(places, dict) else []
    if not names or not all(isinstance(name, str) and _WEIGHTS.fullmatch(name) for name in names):
        raise CheckpointUnavailable(
            f"{where}: weight_map must name the files beside it that hold the weights. Fetch the checkpoint again."
        )
    return sorted(set(names))


def pickle_files(folder: Path) -> list[Path]:
    """Return the paths of weights in the format that can run code when it is opened."""
    return sorted(path for path in folder.glob("*.bin") if _PICKLE.fullmatch(path.name))


def _missing_files(checkpoint: Checkpoint, folder: Path) -> list[str]:
    missing = _missing_names(checkpoint, _file_names(folder))
    files = [] if checkpoint.base is not None else weight_files(folder)
    return missing or [path.name for path in files if not path.is_file()]


def _file_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _missing_names(checkpoint: Checkpoint, names: Collection[str]) -> list[str]:
    present, required = set(names), _required_of(checkpoint)
    return [name for name, choices in required.items() if not any(choice <= present for choice in choices)]


def _required_of(checkpoint: Checkpoint) -> dict[str, tuple[set[str], ...]]:
    if checkpoint.base is not None:
        return _REQUIRED_OF_ADAPTER
    return _REQUIRED_FOR_MASKS if checkpoint.makes == "masks" else _REQUIRED


def _missing_sentence(checkpoint: Checkpoint, missing: list[str], names: Collection[str]) -> str:
    if checkpoint.base is not None and ADAPTER_CONFIG in missing and "config.json" in names:
        return (
            f"{checkpoint.source} is a whole checkpoint, not an adapter. Give it with --checkpoint, without --adapter."
        )
    if ADAPTER_WEIGHTS in missing and "adapter_model.bin" in names:
        return (
            f"{checkpoint.title} has its weights only as adapter_model.bin, a format that can run code when it is "
            f"opened, so it is not opened here. Save the adapter as {ADAPTER_WEIGHTS}, which peft has done since 0.7."
        )
    if checkpoint.makes == "answers" and "model.safetensors" in missing and any(map(_PICKLE.fullmatch, names)):
        return _pickle_sentence(checkpoint)
    if checkpoint.base is None and checkpoint.makes == "answers" and ADAPTER_CONFIG in names:
        return (
            f"{checkpoint.title} is an adapter: it holds only what was changed of another checkpoint. Give it with "
            "--adapter, and the checkpoint that it changes with --checkpoint."
        )
    return (
        f"{checkpoint.title} is incomplete: {', '.join(missing)} missing in {checkpoint.source}. "
        "Fetch it again, or choose another checkpoint."
    )


def _pickle_sentence(checkpoint: Checkpoint) -> str:
    folder = checkpoint.source if checkpoint.is_local else "FOLDER"
    fetch = "" if checkpoint.is_local else f"`hf download {checkpoint.source} --local-dir FOLDER` and "
    return (
        f"{checkpoint.title} has its weights only as pytorch_model.bin, a format that can run code when it is opened, "
        f"so it is not opened here. {fetch}`python -m playground.checkpoints.convert {folder} OUT` turn"
        f"{'s' if checkpoint.is_local else ''} them into safetensors, in a process that can do nothing else; then open "
        "the folder OUT."
    )


# --- Tensors


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in a file of safetensors; `dtype` as the format calls it, such as F16."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int  # of its bytes in the file
    num_bytes: int

    def read_into(self, buffer: memoryview) -> None:
        """Fill a buffer of `num_bytes` with the tensor, without a copy beside it. Raises OSError where it is cut."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.start)
            while buffer.nbytes:
                num_read = file.readinto(buffer)
                if not num_read:
                    raise OSError(f"{self.path} ends within a tensor")
                buffer = buffer[num_read:]

    def equals(self, other: "StoredTensor") -> bool:
        """Whether both hold the same bytes in the same shape."""
        if (self.dtype, self.shape) != (other.dtype, other.shape):
            return False
        return all(one == two for one, two in zip(self._chunks(), other._chunks(), strict=True))

    def _chunks(self) -> Iterator[bytes]:
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.start)
            for done in range(0, self.num_bytes, _CHUNK):
                yield file.read(min(_CHUNK, self.num_bytes - done))


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Return what the header of a file says of its tensors, by their names. The file must be known to be whole."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {
        name: StoredTensor(path, row["dtype"], tuple(row["shape"]), 8 + length + begin, end - begin)
        for name, row in header.items()
        if name != "__metadata__"
        for begin, end in [row["data_offsets"]]
    }
