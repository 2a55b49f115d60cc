"""What a checkpoint is: the catalog, the names that are accepted, and the files that make up one.

Knows names and files. Knows nothing of the hub's client, of transformers, or of who is loaded.
"""

import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playground.errors import CheckpointUnavailable, UnknownTask
from playground.paths import ASSETS
from playground.tasks import InputKind, get_task

BUNDLED = "tiny-florence2"
RECIPE = "RECIPE.json"  # beside weights of ours: how they were made, what they must hash to, and what was measured

_UNSURE = "The model is not sure of this answer."
_HUB_ID = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>\S+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a checkpoint is asked about every picture, to tell whether that is one of its kind.

    The `last_tokens` of the answer to `task` have a geometric mean of at least `min_confidence` if it is.
    """

    task: str
    last_tokens: int
    min_confidence: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a checkpoint is and what is known of it.

    `note` is said with each of its answers; `known_tasks` holds the ids of the tasks that it has learned, None for all.
    A region that scores less than `min_score` and an answer that `is_unsure` are not shown as if they were sure;
    `unsure_note` says so. `min_confidence` holds the bound of an answer as a whole by the id of its task.
    `python -m playground.evaluation.confidence` measures what these bounds hide.
    """

    name: str
    title: str
    source: str  # hub id, or the path of a folder
    revision: str | None = None  # of the hub; None: its main branch
    is_local: bool = False
    parameters: str = ""  # as "0.23 B"; empty: not known before it is loaded
    note: str = ""
    known_tasks: frozenset[str] | None = None
    min_score: float = 0.0
    min_confidence: Mapping[str, float] = field(default_factory=dict, hash=False)
    probe: Probe | None = None
    unsure_note: str = _UNSURE

    def is_unsure(self, task: str, confidence: float | None, picture_confidence: float | None) -> bool:
        """Whether an answer to a task is below the bounds; what was not measured is not judged."""
        is_strange = (
            self.probe is not None and picture_confidence is not None and picture_confidence < self.probe.min_confidence
        )
        return is_strange or (confidence is not None and confidence < self.min_confidence.get(task, 0.0))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointUnavailable(f"{path} cannot be read ({error}). Fetch the checkpoint again.") from error
    if not isinstance(content, dict):
        raise CheckpointUnavailable(f"{path} must hold a JSON object. Fetch the checkpoint again.")
    return content


# --- Names


def _from_folder(name: str, folder: Path) -> Checkpoint:
    """Describe a local folder by its `playground.json` where it has one."""
    described = folder / "playground.json"
    facts = _read_json(described) if described.is_file() else {}
    known_tasks = facts.get("known_tasks")
    return Checkpoint(
        name=name,
        title=str(facts.get("title", folder.name)),
        source=str(folder),
        is_local=True,
        parameters=str(facts.get("parameters", "")),
        note=str(facts.get("note", "")),
        known_tasks=None if known_tasks is None else frozenset(map(str, known_tasks)),
        min_score=_read_share(described, "min_score", facts.get("min_score", 0.0)),
        min_confidence=_read_min_confidence(described, facts.get("min_confidence", {})),
        probe=_read_probe(described, facts.get("probe")),
        unsure_note=str(facts.get("unsure_note", _UNSURE)),
    )


def _read_min_confidence(file: Path, bounds: Any) -> dict[str, float]:
    if not isinstance(bounds, dict):
        raise CheckpointUnavailable(f"{file}: min_confidence must hold a number for each task. Correct it.")
    return {str(task): _read_share(file, f"min_confidence of {task}", bound) for task, bound in bounds.items()}


def _read_probe(file: Path, probe: Any) -> Probe | None:
    if probe is None:
        return None
    try:
        task, last_tokens, bound = get_task(probe["task"]), int(probe["last_tokens"]), probe["min_confidence"]
    except (KeyError, TypeError, ValueError, UnknownTask) as error:
        raise CheckpointUnavailable(
            f"{file}: probe must have a task, last_tokens and min_confidence ({error}). Correct it."
        ) from error
    if task.input_kind is not InputKind.NONE or last_tokens < 1:
        raise CheckpointUnavailable(f"{file}: probe must be of a task without input, and of some tokens. Correct it.")
    return Probe(task.id, last_tokens, _read_share(file, "min_confidence of probe", bound))


def _read_share(file: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise CheckpointUnavailable(f"{file}: {name} must be a number from 0 to 1, but got {value!r:.40}. Correct it.")
    return float(value)


def _published(variant: str, title: str, parameters: str, revision: str | None) -> Checkpoint:
    source = f"florence-community/Florence-2-{variant}"
    return Checkpoint(f"florence-2-{variant}", title, source, revision, parameters=parameters)


# Microsoft's weights in the layout of transformers' own classes. The revisions of large and large-ft are not known to
# us: they follow the hub's main branch.
CATALOG: tuple[Checkpoint, ...] = (
    _published("base", "Florence-2 base", "0.23 B", "00921df66db728a9ceb750f5eca43e5c203a2051"),
    _published("base-ft", "Florence-2 base, fine-tuned", "0.23 B", "0b03b6f15a4a211370fb204aee4e7dd48887ea37"),
    _published("large", "Florence-2 large", "0.77 B", None),
    _published("large-ft", "Florence-2 large, fine-tuned", "0.77 B", None),
    _from_folder(BUNDLED, ASSETS / BUNDLED),
)


def default_name(device: str) -> str:
    """Return the catalog's default for a device: large needs a GPU to answer in seconds."""
    return "florence-2-large" if device.startswith("cuda") else "florence-2-base"


def resolve(name: str) -> Checkpoint:
    """Return the checkpoint of a catalog name, a hub id (`owner/name` or `owner/name@revision`) or a local folder.

    Touches no network. Raises CheckpointUnavailable, saying what is accepted.
    """
    name = name.strip()
    for checkpoint in CATALOG:
        if name in (checkpoint.name, checkpoint.source):
            return checkpoint
    path = os.path.expanduser(name)  # os.path takes any text, where Path raises for an odd home or a long name
    if os.path.isdir(path):
        return _from_folder(name, Path(path).resolve())
    match = _HUB_ID.fullmatch(name)
    if not match or os.path.exists(path):
        names = ", ".join(checkpoint.name for checkpoint in CATALOG)
        raise CheckpointUnavailable(
            f"{name[:200]!r} is not a checkpoint. Give one of {names}, a hub id as owner/name or owner/name@revision, "
            "or a folder that exists."
        )
    owner, _, title = match["repository"].partition("/")
    if owner.lower() == "microsoft":
        raise CheckpointUnavailable(_old_layout_sentence(match["repository"]))
    return Checkpoint(name, title, match["repository"], match["revision"])


def _old_layout_sentence(what: str) -> str:
    variant = what.lower().rpartition("/")[2]
    twin = next((row for row in CATALOG if row.name == variant), CATALOG[0])
    return (
        f"{what} has the layout of Microsoft's own code, which transformers cannot load without running that code. "
        f"Use {twin.name} ({twin.source}), the same model in transformers' layout, or a fine-tune of that."
    )


# --- Files


def is_complete(folder: Path) -> bool:
    """Tell whether a folder has all the files of a checkpoint."""
    return not _missing_files(folder)


def check_folder(checkpoint: Checkpoint, folder: Path) -> None:
    """Refuse a folder that lacks a file or holds another model. Raises CheckpointUnavailable, saying what to do."""
    missing = _missing_files(folder)
    if missing:
        raise CheckpointUnavailable(_missing_sentence(checkpoint, missing, _file_names(folder)))
    check_config(checkpoint, folder)


def check_names(checkpoint: Checkpoint, names: Collection[str]) -> None:
    """Refuse a repository by the names of its files alone. Raises CheckpointUnavailable, saying what to do."""
    missing = _missing_names(names)
    if missing:
        raise CheckpointUnavailable(_missing_sentence(checkpoint, missing, names))


def check_config(checkpoint: Checkpoint, folder: Path) -> None:
    """Refuse another model, and Florence-2 in the layout of Microsoft's code (its vision tower is called "davit")."""
    config = _read_json(folder / "config.json")
    model_type = config.get("model_type")
    if model_type != "florence2":
        raise CheckpointUnavailable(
            f"{checkpoint.title} is a checkpoint of model type {model_type!r}, not of Florence-2. "
            "Choose one whose config.json says florence2."
        )
    vision_config = config.get("vision_config")
    if not isinstance(vision_config, dict) or vision_config.get("model_type") == "davit" or "auto_map" in config:
        raise CheckpointUnavailable(_old_layout_sentence(checkpoint.title))


def weight_files(folder: Path) -> list[Path]:
    """Return the paths of the weights, which may be cut into several files; none of them need exist."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists() or not index.exists():
        return [folder / "model.safetensors"]
    return [folder / name for name in sorted(set(_read_json(index).get("weight_map", {}).values()))]


def _missing_files(folder: Path) -> list[str]:
    missing = _missing_names(_file_names(folder))
    return missing or [path.name for path in weight_files(folder) if not path.is_file()]


def _file_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


# What a checkpoint must hold, by the name to tell; each row lists the sets of files that will do.
_REQUIRED: dict[str, tuple[set[str], ...]] = {
    "config.json": ({"config.json"},),
    "preprocessor_config.json": ({"preprocessor_config.json"}, {"processor_config.json"}),
    "tokenizer.json": ({"tokenizer.json"}, {"vocab.json", "merges.txt"}),
    "model.safetensors": ({"model.safetensors"}, {"model.safetensors.index.json"}),
}


def _missing_names(names: Collection[str]) -> list[str]:
    present = set(names)
    return [name for name, choices in _REQUIRED.items() if not any(choice <= present for choice in choices)]


def _missing_sentence(checkpoint: Checkpoint, missing: list[str], names: Collection[str]) -> str:
    if "model.safetensors" in missing and any(re.fullmatch(r"pytorch_model.*\.bin", name) for name in names):
        return (
            f"{checkpoint.title} has its weights only as pytorch_model.bin, a format that can run code when it is "
            "opened. Convert them to model.safetensors, or choose another checkpoint."
        )
    return (
        f"{checkpoint.title} is incomplete: {', '.join(missing)} missing in {checkpoint.source}. "
        "Fetch it again, or choose another checkpoint."
    )
