"""What a checkpoint is: the catalog, the names that are accepted, and what a folder says of itself.

Knows names and descriptions. Knows nothing of weights, of the hub's client, of transformers, or of who is loaded.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from playground.errors import CheckpointUnavailable, UnknownTask
from playground.grammar import CONTROL_TOKENS
from playground.paths import ASSETS
from playground.regions import Text
from playground.settings import WITH
from playground.tasks import TASK_TOKENS, InputKind, OutputKind, OwnTask, get_task, own_task
from playground.wire import what_is_wrong

BUNDLED = "tiny-florence2"
OFFERED = "florence-2-base"  # to whom the bundled one answers
DESCRIPTION = "playground.json"  # beside weights of anybody's: what is known of them
ADAPTER_CONFIG = "adapter_config.json"  # of an adapter, beside its weights
RECIPE = "RECIPE.json"  # beside weights of ours: how they were made, what they must hash to, and what was measured

LARGEST_TEMPERATURE = 10.0  # by which the logits of scores are divided, and the smallest is as far below 1

_MAX_JSON_BYTES = 100_000_000  # a vocabulary has 4 MB
_MAX_TASKS, _MAX_TITLE, _MAX_PROMPT = 40, 80, 1000
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
    `tasks` are those that it brings along; None where that is not known before its files are on this machine. `license`
    is what its card states. `fault` says why nothing that stands in its description is used.
    A region that scores less than `min_score` and an answer that `is_unsure` are not shown as if they were sure;
    `unsure_note` says so. `min_confidence` holds the bound of an answer as a whole by the id of its task.
    `python -m playground.evaluation.confidence` measures what these bounds hide.
    Scores are given under `score_temperature`, by which their logits are divided: above 1 they are more modest.
    `python -m playground.evaluation --data` fits it.
    One with a `base` is that one with an adapter, whose files `source`, `revision` and `is_local` are about.
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
    tasks: tuple[OwnTask, ...] | None = ()
    license: str = ""
    fault: str = ""
    min_score: float = 0.0
    min_confidence: Mapping[str, float] = field(default_factory=dict, hash=False)
    probe: Probe | None = None
    unsure_note: str = _UNSURE
    base: "Checkpoint | None" = None
    makes: Literal["answers", "masks"] = "answers"
    score_temperature: float = 1.0

    def scored(self, score: float) -> float:
        """Return a score of a region as it is given to people."""
        if self.score_temperature == 1.0 or not 0 < score < 1:
            return score
        return float(1 / (1 + (1 / score - 1) ** (1 / self.score_temperature)))

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
    """Describe a local folder by its `playground.json` where it has one; one that is wrong is a `fault`."""
    return _described(Checkpoint(name, folder.name, str(folder), is_local=True), folder)


def _described(bare: Checkpoint, folder: Path) -> Checkpoint:
    """Return a checkpoint with what the description of a folder says of it, or says anew where it is an adapter."""
    try:
        facts = _facts(folder)
        own_tasks, before = _read_tasks(facts), f"{bare.base.title}{WITH}" if bare.base else ""
        return replace(
            bare,
            title=bare.title if "title" not in facts else f"{before}{facts['title']}",
            parameters=str(facts.get("parameters", bare.parameters)),
            note=str(facts.get("note", bare.note)),
            known_tasks=_read_known_tasks(bare, facts.get("known_tasks")),
            tasks=None if bare.tasks is None else _with_tasks(bare.tasks, own_tasks),
            min_score=_read_share("min_score", facts.get("min_score", bare.min_score)),
            min_confidence=_read_min_confidence(facts.get("min_confidence", bare.min_confidence)),
            probe=_read_probe(facts["probe"]) if "probe" in facts else bare.probe,
            unsure_note=str(facts.get("unsure_note", bare.unsure_note)),
            score_temperature=_read_temperature(facts.get("score_temperature", bare.score_temperature)),
        )
    except ValueError as error:
        return replace(bare, fault=_fault(bare, error))


def _read_known_tasks(bare: Checkpoint, listed: Any) -> frozenset[str] | None:
    """Return the tasks that were learned: with an adapter, those of its base too."""
    if not isinstance(listed, list | None):
        raise ValueError("known_tasks must be a list of task ids")
    learned = frozenset(map(str, listed or ()))
    if bare.base is not None:
        return None if bare.known_tasks is None else bare.known_tasks | learned
    return None if listed is None else learned


def _with_tasks(known: tuple[OwnTask, ...], more: tuple[OwnTask, ...]) -> tuple[OwnTask, ...]:
    told_anew = {task.token for task in more}
    return (*(task for task in known if task.token not in told_anew), *more)


def described_by(checkpoint: Checkpoint, folder: Path, adapter: Path | None = None) -> Checkpoint:
    """Return a checkpoint with the tasks that its files bring along, where these are not known yet."""
    if checkpoint.tasks is not None:
        return checkpoint
    if checkpoint.base is not None and adapter is not None:
        base = described_by(checkpoint.base, folder)
        return _described(replace(checkpoint, base=base, tasks=base.tasks), adapter)
    try:
        return replace(checkpoint, tasks=_read_tasks(_facts(folder)))
    except ValueError as error:
        return replace(checkpoint, tasks=(), fault=_fault(checkpoint, error))


def _fault(checkpoint: Checkpoint, error: ValueError) -> str:
    return f"The {DESCRIPTION} of {checkpoint.title} is not used: {error}. Correct it."


def _facts(folder: Path) -> dict[str, Any]:
    described = folder / DESCRIPTION
    try:
        return read_json(described) if described.is_file() else {}
    except CheckpointUnavailable as error:
        raise ValueError(str(error).replace(str(described), "it").partition(". Fetch")[0]) from error


def _name_of(folder: Path) -> str:
    """Return a name for visitors, whom the folders of a server do not concern, and that no row of the catalog has."""
    names = [checkpoint.name for checkpoint in CATALOG]
    return f"{folder.name} (folder)" if folder.name in ("", *names) else folder.name


def _as_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("it must be one line, without a space at either end")
    return text


def _as_prompt(text: str) -> str:
    if token := next((token for token in (*CONTROL_TOKENS, *TASK_TOKENS) if token in text), None):
        raise ValueError(f"it must not hold {token}; of Florence-2's own tasks write the sentence that is asked")
    return text


@dataclass(frozen=True, slots=True)
class _TaskRow:
    """A task as it stands in a description."""

    id: Text
    title: Annotated[Text, Field(min_length=1, max_length=_MAX_TITLE), AfterValidator(_as_line)]
    input: InputKind = InputKind.NONE
    output: OutputKind = OutputKind.TEXT
    prompt: Annotated[Text, Field(max_length=_MAX_PROMPT), AfterValidator(_as_prompt)] = ""
    hint: Annotated[Text, Field(max_length=_MAX_TITLE)] = ""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")


_TASK_ROWS = TypeAdapter(Annotated[tuple[_TaskRow, ...], Field(max_length=_MAX_TASKS)])


def _read_tasks(facts: Mapping[str, Any]) -> tuple[OwnTask, ...]:
    """Return the tasks of a description. Raises ValueError, which names what is wrong."""
    try:
        rows = _TASK_ROWS.validate_python(facts.get("tasks", ()))
    except ValidationError as error:
        raise ValueError(f"in tasks, {what_is_wrong(error)}") from None
    tasks = []
    for number, row in enumerate(rows, start=1):
        try:
            _as_prompt(row.id)
            tasks.append(own_task(row.id, row.title, row.input, row.output, prompt=row.prompt, hint=row.hint))
        except ValueError as error:
            raise ValueError(f"in tasks, of the row {number}, {error}") from None
    if len({task.token for task in tasks}) + len({task.title for task in tasks}) < 2 * len(tasks):
        raise ValueError("in tasks, each row must have an id and a title of its own")
    return tuple(tasks)


def _read_min_confidence(bounds: Any) -> dict[str, float]:
    if not isinstance(bounds, dict):
        raise ValueError("min_confidence must hold a number for each task")
    return {str(task): _read_share(f"min_confidence of {task}", bound) for task, bound in bounds.items()}


def _read_probe(probe: Any) -> Probe | None:
    if probe is None:
        return None
    try:
        task, last_tokens, bound = get_task(probe["task"]), int(probe["last_tokens"]), probe["min_confidence"]
    except (KeyError, TypeError, ValueError, UnknownTask) as error:
        raise ValueError(f"probe must have a task, last_tokens and min_confidence ({error})") from error
    if task.input_kind is not InputKind.NONE or last_tokens < 1:
        raise ValueError("probe must be of a task without input, and of some tokens")
    return Probe(task.id, last_tokens, _read_share("min_confidence of probe", bound))


def _read_share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1, but got {value!r:.40}")
    return float(value)


def _read_temperature(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 1 / LARGEST_TEMPERATURE <= value <= LARGEST_TEMPERATURE:
        raise ValueError(f"score_temperature must be a number from 0.1 to 10, but got {value!r:.40}")
    return float(value)


def _published(variant: str, title: str, sizes: tuple[str, str], revision: str | None) -> Checkpoint:
    source, (parameters, download_size) = f"florence-community/Florence-2-{variant}", sizes
    return Checkpoint(
        f"florence-2-{variant}", title, source, revision, parameters=parameters, download_size=download_size
    )


_TAGS = (
    own_task("<GENERATE_TAGS>", "Tags"),
    own_task("<MIXED_CAPTION>", "Caption for training, with tags"),
)
_PROMPT_GEN = (
    *_TAGS,
    own_task("<ANALYZE>", "Analyze the composition"),
    own_task("<MIXED_CAPTION_PLUS>", "Caption for training, with tags and an analysis"),
)
# What the best-known fine-tunes can be asked besides, by hub id. Only those whose card states a license are offered.
_KNOWN_TASKS = {
    "MiaoshouAI/Florence-2-base-PromptGen-v1.5": _TAGS,
    "MiaoshouAI/Florence-2-base-PromptGen-v2.0": _PROMPT_GEN,
    "MiaoshouAI/Florence-2-large-PromptGen-v1.5": _TAGS,
    "MiaoshouAI/Florence-2-large-PromptGen-v2.0": _PROMPT_GEN,
    "gokaygokay/Florence-2-Flux-Large": (
        own_task("<DESCRIPTION>", "Description for an image generator",
                 prompt="<DESCRIPTION>Describe this image in great detail."),
    ),
    "HuggingFaceM4/Florence-2-DocVQA": (
        own_task("<DocVQA>", "Ask the document a question", InputKind.SENTENCE, hint="What is the date on the letter?"),
    ),
}  # fmt: skip


def _fine_tune(source: str, title: str, license: str) -> Checkpoint:
    name = source.partition("/")[2].lower()
    return Checkpoint(name, title, source, parameters=_LARGE[0], tasks=_KNOWN_TASKS.get(source, ()), license=license)


# Microsoft's weights in the layout of transformers' own classes. The revisions of large and large-ft are not known to
# us: they follow the hub's main branch.
_BASE, _LARGE = ("0.23 B", "0.5 GB"), ("0.77 B", "1.5 GB")
CATALOG: tuple[Checkpoint, ...] = (
    _published("base", "Florence-2 base", _BASE, "00921df66db728a9ceb750f5eca43e5c203a2051"),
    _published("base-ft", "Florence-2 base, fine-tuned", _BASE, "0b03b6f15a4a211370fb204aee4e7dd48887ea37"),
    _published("large", "Florence-2 large", _LARGE, None),
    _published("large-ft", "Florence-2 large, fine-tuned", _LARGE, None),
    # Fine-tunes of large, with the licenses that their cards state; they follow main as well.
    _fine_tune("MiaoshouAI/Florence-2-large-PromptGen-v2.0", "PromptGen 2.0, captions and tags", "MIT"),
    _fine_tune("MiaoshouAI/Florence-2-large-PromptGen-v1.5", "PromptGen 1.5, captions and tags", "MIT"),
    _fine_tune("thwri/CogFlorence-2.2-Large", "CogFlorence 2.2, long captions", "MIT"),
    _fine_tune("gokaygokay/Florence-2-Flux-Large", "Florence-2 Flux, captions", "Apache-2.0"),
    from_folder(BUNDLED, ASSETS / BUNDLED),
)


def _mask_maker(name: str, title: str, source: str, sizes: tuple[str, str], revision: str | None) -> Checkpoint:
    parameters, download_size = sizes
    return Checkpoint(
        name, title, source, revision, parameters=parameters, download_size=download_size, license="Apache-2.0",
        makes="masks",
    )  # fmt: skip


# What makes masks, the default first. The revisions of the others are not known to us.
MASK_CATALOG: tuple[Checkpoint, ...] = (
    _mask_maker("sam2.1-tiny", "SAM 2.1 tiny", "facebook/sam2.1-hiera-tiny", ("39 M", "0.16 GB"),
                "de431c4043854a71d8101e17995dfe596bf101a5"),
    _mask_maker("sam2.1-small", "SAM 2.1 small", "facebook/sam2.1-hiera-small", ("46 M", "0.18 GB"), None),
    _mask_maker("sam2.1-base-plus", "SAM 2.1 base+", "facebook/sam2.1-hiera-base-plus", ("81 M", "0.32 GB"), None),
    _mask_maker("sam2.1-large", "SAM 2.1 large", "facebook/sam2.1-hiera-large", ("224 M", "0.9 GB"),
                "665f8e2ad61cf5f53d65644ff27c8ee525124610"),
    _mask_maker("edgetam", "EdgeTAM", "yonigozlan/EdgeTAM-hf", ("14 M", "0.06 GB"), None),
)  # fmt: skip


def resolve_masks(name: str) -> Checkpoint:
    """Return what makes masks, of a name as `resolve` takes it; the empty one is the default.

    Touches no network. Raises CheckpointUnavailable, saying what is accepted.
    """
    name = name.strip()
    for checkpoint in MASK_CATALOG:
        if name in ("", checkpoint.name, checkpoint.source):
            return checkpoint
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        folder = Path(path).resolve()
        return Checkpoint(f"{folder.name} (folder)", folder.name, str(folder), is_local=True, makes="masks")
    match = None if os.path.exists(path) else _HUB_ID.fullmatch(name)
    if not match:
        names = ", ".join(checkpoint.name for checkpoint in MASK_CATALOG)
        raise CheckpointUnavailable(
            f"{name[:200]!r} makes no masks. Give --masks one of {names}, off, a hub id as owner/name or "
            "owner/name@revision, or a folder that exists."
        )
    source = match["repository"]
    return Checkpoint(name, source.partition("/")[2], source, match["revision"], makes="masks")


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
    base, plus, adapter = f" {name}".partition(WITH)
    if plus and adapter.strip():
        return with_adapter(resolve(base) if base.strip() else _base_named_in(adapter.strip()), adapter.strip())
    return from_hub("" if os.path.exists(path) else name, said=name)


def with_adapter(base: Checkpoint, adapter: str) -> Checkpoint:
    """Return a checkpoint with an adapter, a hub id or a local folder. Raises CheckpointUnavailable."""
    path = os.path.expanduser(adapter)
    is_local, match = os.path.isdir(path), _HUB_ID.fullmatch(adapter)
    if not is_local and not match:
        raise CheckpointUnavailable(
            f"{adapter[:200]!r} is not an adapter. Give a hub id as owner/name or owner/name@revision, or a folder "
            "that exists, which holds adapter_config.json and adapter_model.safetensors."
        )
    folder = Path(path).resolve()
    label = folder.name if is_local else adapter
    bare = replace(
        base, name=f"{base.name}{WITH}{label}", title=f"{base.title}{WITH}{label}", is_local=is_local,
        source=str(folder) if is_local else match["repository"] if match else "",
        revision=match["revision"] if match and not is_local else None,
        tasks=base.tasks if is_local else None, download_size="", license="", base=base,
    )  # fmt: skip
    return _described(bare, folder) if is_local else bare


def is_named(checkpoint: Checkpoint, name: str) -> bool:
    """Whether a hub id or a path means this checkpoint, whoever published it: its last part says so."""
    last = name.rstrip("/").rpartition("/")[2].lower()
    return last in (checkpoint.name.lower(), checkpoint.source.rpartition("/")[2].lower())


def _base_named_in(adapter: str) -> Checkpoint:
    """Return the checkpoint that a local adapter says it was made for. Raises CheckpointUnavailable."""
    config = Path(os.path.expanduser(adapter)) / ADAPTER_CONFIG
    named = str(read_json(config).get("base_model_name_or_path") or "") if config.is_file() else ""
    if not named:
        raise CheckpointUnavailable(
            f"Which checkpoint the adapter {adapter[:200]} changes is not known. Name it: --checkpoint NAME --adapter "
            f"{adapter[:200]}."
        )
    return next((checkpoint for checkpoint in CATALOG if is_named(checkpoint, named)), None) or resolve(named)


def from_hub(name: str, *, said: str = "") -> Checkpoint:
    """Return the checkpoint of a hub id, whatever folder has that name. Raises CheckpointUnavailable."""
    match = _HUB_ID.fullmatch(name)
    if not match:
        names = ", ".join(checkpoint.name for checkpoint in CATALOG)
        raise CheckpointUnavailable(
            f"{(said or name)[:200]!r} is not a checkpoint. Give one of {names}, a hub id as owner/name or "
            "owner/name@revision, a folder that exists, or one of these with an adapter: NAME + ADAPTER."
        )
    source = match["repository"]
    for checkpoint in CATALOG:
        if checkpoint.source == name:
            return checkpoint
    return Checkpoint(name, source.partition("/")[2], source, match["revision"], tasks=_KNOWN_TASKS.get(source))
