"""What a checkpoint is: the catalog, the names that are accepted, and what a folder says of itself.

Knows names and descriptions. Knows nothing of weights, of the hub's client, of transformers, or of who is loaded.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playground.errors import CheckpointUnavailable, UnknownTask
from playground.paths import ASSETS
from playground.tasks import InputKind, get_task

BUNDLED = "tiny-florence2"
OFFERED = "florence-2-base"  # to whom the bundled one answers
RECIPE = "RECIPE.json"  # beside weights of ours: how they were made, what they must hash to, and what was measured

_MAX_JSON_BYTES = 100_000_000  # a vocabulary has 4 MB
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
    download_size: str = ""  # as "0.5 GB"; empty: not known
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


def read_json(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file. Raises CheckpointUnavailable."""
    try:
        if not path.is_file():  # a pipe would never end
            raise OSError("it is no file")
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise OSError(f"it has more than {_MAX_JSON_BYTES // 1_000_000} MB")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointUnavailable(f"{path} cannot be read ({error}). Fetch the checkpoint again.") from error
    if not isinstance(content, dict):
        raise CheckpointUnavailable(f"{path} must hold a JSON object. Fetch the checkpoint again.")
    return content


# --- Names


def from_folder(name: str, folder: Path) -> Checkpoint:
    """Describe a local folder by its `playground.json` where it has one."""
    described = folder / "playground.json"
    facts = read_json(described) if described.is_file() else {}
    known_tasks = facts.get("known_tasks")
    if not isinstance(known_tasks, list | None):
        raise CheckpointUnavailable(f"{described}: known_tasks must be a list of task ids. Correct it.")
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


def _name_of(folder: Path) -> str:
    """Return a name for visitors, whom the folders of a server do not concern, and that no row of the catalog has."""
    names = [checkpoint.name for checkpoint in CATALOG]
    return f"{folder.name} (folder)" if folder.name in ("", *names) else folder.name


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


def _published(variant: str, title: str, sizes: tuple[str, str], revision: str | None) -> Checkpoint:
    source, (parameters, download_size) = f"florence-community/Florence-2-{variant}", sizes
    return Checkpoint(
        f"florence-2-{variant}", title, source, revision, parameters=parameters, download_size=download_size
    )


# Microsoft's weights in the layout of transformers' own classes. The revisions of large and large-ft are not known to
# us: they follow the hub's main branch.
_BASE, _LARGE = ("0.23 B", "0.5 GB"), ("0.77 B", "1.5 GB")
CATALOG: tuple[Checkpoint, ...] = (
    _published("base", "Florence-2 base", _BASE, "00921df66db728a9ceb750f5eca43e5c203a2051"),
    _published("base-ft", "Florence-2 base, fine-tuned", _BASE, "0b03b6f15a4a211370fb204aee4e7dd48887ea37"),
    _published("large", "Florence-2 large", _LARGE, None),
    _published("large-ft", "Florence-2 large, fine-tuned", _LARGE, None),
    from_folder(BUNDLED, ASSETS / BUNDLED),
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
        folder = Path(path).resolve()
        return from_folder(_name_of(folder), folder)
    match = _HUB_ID.fullmatch(name)
    if not match or os.path.exists(path):
        names = ", ".join(checkpoint.name for checkpoint in CATALOG)
        raise CheckpointUnavailable(
            f"{name[:200]!r} is not a checkpoint. Give one of {names}, a hub id as owner/name or owner/name@revision, "
            "or a folder that exists."
        )
    title = match["repository"].partition("/")[2]
    return Checkpoint(name, title, match["repository"], match["revision"])
