"""Find, fetch and load Florence-2 checkpoints: the catalogue, the hub, the device and the number format.

Knows files, the hub and transformers. Knows nothing of pictures, prompts or who else is loaded. Importing it imports
neither torch nor transformers: the page is served before they are.
"""

import errno
import json
import math
import os
import re
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.errors import CheckpointUnavailable, PlaygroundError, SettingsInvalid
from playground.locations import NUM_BINS, location_token

BUNDLED = "tiny-florence2"
_BUNDLED_FOLDER = Path(__file__).resolve().parent.parent / "assets" / BUNDLED
_INSTEAD = "or choose the tiny demo model, which is on this machine"

_HUB_ID = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>\S+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_WANTED_FILE = re.compile(r"[^/]+\.(json|safetensors|txt)")  # never pickled weights, never code


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a checkpoint is and what is known of it.

    `note` is said with each of its answers; `known_tasks` holds the ids of the tasks that it has learnt, None for all.
    """

    name: str
    title: str
    source: str  # hub id, or the path of a folder
    revision: str | None = None  # of the hub; None: its main branch
    is_local: bool = False
    parameters: str = ""  # as "0.23 B"; empty: not known before it is loaded
    note: str = ""
    known_tasks: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model runs, in which number format, and why."""

    device: str
    dtype: str  # "float32", "bfloat16" or "float16"
    reason: str


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint's model, tokenizer and image processor, checked and ready for inference."""

    checkpoint: Checkpoint
    model: Any  # Florence2ForConditionalGeneration
    tokenizer: Any
    image_processor: Any
    placement: Placement
    banned_phrases: frozenset[str]  # phrases that grounding drops
    location_ids: range  # the token ids of bins 0..999
    resolved_revision: str | None  # the commit that the files are of; None for a folder outside the hub's cache
    notice: str  # what differs from what was asked for, in a sentence; mostly empty


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointUnavailable(f"{path} cannot be read ({error}). Fetch the checkpoint again.") from error
    if not isinstance(content, dict):
        raise CheckpointUnavailable(f"{path} must hold a JSON object. Fetch the checkpoint again.")
    return content


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
    )


def _published(variant: str, title: str, parameters: str, revision: str | None) -> Checkpoint:
    name = f"florence-2-{variant}"
    return Checkpoint(name, title, f"florence-community/Florence-2-{variant}", revision, parameters=parameters)


# Microsoft's weights in the layout of transformers' own classes. The revisions of large and large-ft are not known to
# us: they follow the hub's main branch.
CATALOGUE: tuple[Checkpoint, ...] = (
    _published("base", "Florence-2 base", "0.23 B", "00921df66db728a9ceb750f5eca43e5c203a2051"),
    _published("base-ft", "Florence-2 base, fine-tuned", "0.23 B", "0b03b6f15a4a211370fb204aee4e7dd48887ea37"),
    _published("large", "Florence-2 large", "0.77 B", None),
    _published("large-ft", "Florence-2 large, fine-tuned", "0.77 B", None),
    _from_folder(BUNDLED, _BUNDLED_FOLDER),
)


def default_name(device: str) -> str:
    """Return the catalogue's default for a device: large needs a GPU to answer in seconds."""
    return "florence-2-large" if device.startswith("cuda") else "florence-2-base"


def resolve(name: str) -> Checkpoint:
    """Return the checkpoint of a catalogue name, a hub id (`owner/name` or `owner/name@revision`) or a local folder.

    Touches no network. Raises CheckpointUnavailable, saying what is accepted.
    """
    name = name.strip()
    for checkpoint in CATALOGUE:
        if name in (checkpoint.name, checkpoint.source):
            return checkpoint
    path = os.path.expanduser(name)  # os.path takes any text, where Path raises for an odd home or a long name
    if os.path.isdir(path):
        return _from_folder(name, Path(path).resolve())
    match = _HUB_ID.fullmatch(name)
    if not match or os.path.exists(path):
        names = ", ".join(checkpoint.name for checkpoint in CATALOGUE)
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
    twin = next((row for row in CATALOGUE if row.name == variant), CATALOGUE[0])
    return (
        f"{what} has the layout of Microsoft's own code, which transformers cannot load without running that code. "
        f"Use {twin.name} ({twin.source}), the same model in transformers' layout, or a fine-tune of that."
    )


def how_to_get(checkpoint: Checkpoint) -> str:
    """Return the sentence that says how to bring a checkpoint of the hub to this machine."""
    revision = f" --revision {checkpoint.revision}" if checkpoint.revision else ""
    return (
        f"{checkpoint.title} is not on this machine, and the playground is offline. Start it once without --offline, "
        f"run `hf download {checkpoint.source}{revision}`, {_INSTEAD}."
    )


# --- The hub and its cache


def find_local(checkpoint: Checkpoint, *, cache_dir: Path | None = None) -> Path | None:
    """Return the folder with the checkpoint's files if all are on this machine. Touches no network.

    Where the hub's cache lacks a pinned commit, its main branch will do; `load` says so.
    """
    if checkpoint.is_local:
        return Path(checkpoint.source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for revision in _revisions(checkpoint):
        try:
            folder = snapshot_download(
                checkpoint.source,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=True,
                allow_patterns=["*.json", "*.safetensors"],
            )
        except LocalEntryNotFoundError:
            continue
        if not _missing_files(Path(folder)):
            return Path(folder)
    return None


def _revisions(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the revisions to try: a branch or tag was asked for by name, but a pinned commit falls back to main."""
    revision = checkpoint.revision or "main"
    return (revision, "main") if _COMMIT.fullmatch(revision) else (revision,)


def hub_answers(checkpoint: Checkpoint, timeout_seconds: float, *, endpoint: str | None = None) -> bool:
    """Tell whether the hub answers about this checkpoint within the time."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint)
    answer = _in_background(lambda: api.model_info(checkpoint.source, timeout=timeout_seconds))
    wait([answer], timeout_seconds)  # the request's own timeout does not cover the look-up of the host's name
    return answer.done() and answer.exception() is None


def download(
    checkpoint: Checkpoint,
    on_progress: Callable[[float], None],
    stall_seconds: float,
    *,
    endpoint: str | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """Fetch a checkpoint from the hub into its cache and return the folder.

    `on_progress` is called with the percent of all bytes, 0..100; what it raises ends the download. Raises
    CheckpointUnavailable when the hub refuses, when the disk is full, or when no byte comes for `stall_seconds`.
    """
    transfer = _Transfer(on_progress)
    fetched = _in_background(lambda: _fetch(checkpoint, transfer, endpoint=endpoint, cache_dir=cache_dir))
    while not fetched.done():
        idle_seconds = time.monotonic() - transfer.last_byte_at
        if idle_seconds >= stall_seconds:
            transfer.is_abandoned = True
            raise CheckpointUnavailable(
                f"The hub sent nothing of {checkpoint.title} for {stall_seconds:g} seconds. "
                f"Check the connection and try again, {_INSTEAD}."
            )
        wait([fetched], stall_seconds - idle_seconds)
    try:
        folder: Path = fetched.result()
        return folder
    except PlaygroundError:
        raise
    except Exception as error:
        raise CheckpointUnavailable(_explain_download(error, checkpoint)) from error


class _Transfer:
    """Counts the bytes of one download. Shared by the thread that fetches and the one that watches it stall."""

    def __init__(self, on_progress: Callable[[float], None]) -> None:
        self._on_progress = on_progress
        self._total = 0
        self._finished = 0
        self._of_this_file = 0
        self.is_abandoned = False
        self.last_byte_at = time.monotonic()

    def begin(self, total: int) -> None:
        self._total = total
        self.advance(0)

    def advance(self, num_bytes: float) -> None:
        self._of_this_file += int(num_bytes)
        self.touch()
        done = min(self._finished + self._of_this_file, self._total)
        self._on_progress(100 * done / max(self._total, 1))

    def finish_file(self, size: int) -> None:
        """Count a file as done, also one that was in the cache and so moved no byte."""
        self._finished += size
        self._of_this_file = 0
        self.advance(0)

    def touch(self) -> None:
        if self.is_abandoned:
            raise CheckpointUnavailable("This download was given up.")
        self.last_byte_at = time.monotonic()


def _in_background(work: Callable[[], Any]) -> Future[Any]:
    """Start work in a thread that nobody has to wait for, not even the end of the program."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _fetch(checkpoint: Checkpoint, transfer: _Transfer, *, endpoint: str | None, cache_dir: Path | None) -> Path:
    """Fetch file by file.

    `snapshot_download` would start threads of a pool, which keep an interrupted program alive until the download ends.
    """
    from huggingface_hub import hf_hub_download

    revision, sizes = _list_files(checkpoint, endpoint)
    transfer.begin(sum(sizes.values()))
    # The weights, which are large, come last: where they are, all is there.
    for file_name, size in sorted(sizes.items(), key=lambda item: item[1]):
        path = hf_hub_download(
            checkpoint.source,
            file_name,
            revision=revision,
            endpoint=endpoint,
            cache_dir=cache_dir,
            tqdm_class=_progress_bar(transfer),
        )
        transfer.finish_file(size)
        if file_name == "config.json":
            _check_config(Path(path).parent, checkpoint)
    folder = find_local(checkpoint, cache_dir=cache_dir)
    if folder is None:
        raise CheckpointUnavailable(f"{checkpoint.source} changed on the hub while it was fetched. Try again.")
    return folder


def _list_files(checkpoint: Checkpoint, endpoint: str | None) -> tuple[str, dict[str, int]]:
    """Return the first revision that the hub knows, and the sizes in bytes of the files that we want of it."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    api = HfApi(endpoint=endpoint)
    *pinned, last = _revisions(checkpoint)
    for revision in pinned:
        try:
            return revision, _wanted_files(api, checkpoint, revision)
        except RevisionNotFoundError:
            continue
    return last, _wanted_files(api, checkpoint, last)


def _wanted_files(api: Any, checkpoint: Checkpoint, revision: str) -> dict[str, int]:
    info = api.model_info(checkpoint.source, revision=revision, files_metadata=True, timeout=30)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    wanted = {name: size for name, size in sizes.items() if _WANTED_FILE.fullmatch(name)}
    missing = _missing(wanted)
    if missing:
        raise CheckpointUnavailable(_missing_sentence(checkpoint, missing, sizes))
    return wanted


def _progress_bar(transfer: _Transfer) -> type[Any]:
    """Return the class of progress bar that the hub's client is to report its bytes to."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            transfer.advance(options.get("initial") or 0)

        def update(self, n: float | None = 1) -> None:
            transfer.advance(n or 0)

        def update_transfer(self, n: float | None = 1) -> None:  # noqa: ARG002
            """Take note of bytes from the network that are not yet bytes of the file."""
            transfer.touch()

        def set_transfer_postfix_str(self, *args: Any, **options: Any) -> None:
            """Show no rate."""

    return Bar


def _explain_download(error: Exception, checkpoint: Checkpoint) -> str:
    from huggingface_hub import errors

    repository = checkpoint.source
    match error:
        case errors.OfflineModeIsEnabled():
            return how_to_get(checkpoint)
        case errors.GatedRepoError():
            return (
                f"{repository} is open only to accounts that asked for it. Ask at https://huggingface.co/{repository}, "
                "log in with `hf auth login`, and try again."
            )
        case errors.RepositoryNotFoundError():
            return (
                f"The hub shows no repository {repository}, and no folder has that name. Check the spelling; if the "
                "repository is private, log in with `hf auth login` and try again."
            )
        case errors.RevisionNotFoundError():
            return (
                f"The hub has {repository}, but no revision {checkpoint.revision!r} of it. "
                "Leave out the part from the @, or name another revision."
            )
        case errors.HfHubHTTPError() if error.response.status_code in (401, 403):
            return (
                f"The hub refused {repository} with {error.response.status_code}. Log in with `hf auth login`, or "
                "check the token in HF_TOKEN, and try again."
            )
        case errors.HfHubHTTPError():
            return (
                f"The hub answered {error.response.status_code} for {repository}. "
                f"Try again in a few minutes, {_INSTEAD}."
            )
        case OSError(errno=errno.ENOSPC):
            return (
                f"The disk is full, so {checkpoint.title} could not be fetched. Free some space, or set HF_HOME to a "
                "folder on a larger disk, and try again."
            )
        case PermissionError():
            return (
                f"{checkpoint.title} could not be stored: {error}. Set HF_HOME to a folder that may be written, "
                "and try again."
            )
    return (
        f"{checkpoint.title} could not be fetched: {_first_line(error.__cause__ or error)}. "
        f"Check the connection and try again, {_INSTEAD}."
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]


# --- What a folder must hold


def _missing(names: Collection[str]) -> list[str]:
    """Return what a checkpoint with files of these names lacks."""
    missing = [] if "config.json" in names else ["config.json"]
    if not {"preprocessor_config.json", "processor_config.json"} & set(names):
        missing.append("preprocessor_config.json")
    if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= set(names):
        missing.append("tokenizer.json")
    if not {"model.safetensors", "model.safetensors.index.json"} & set(names):
        missing.append("model.safetensors")
    return missing


def _missing_files(folder: Path) -> list[str]:
    missing = _missing(_file_names(folder))
    return missing or [path.name for path in _weight_files(folder) if not path.is_file()]


def _file_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists() or not index.exists():
        return [folder / "model.safetensors"]
    return [folder / name for name in sorted(set(_read_json(index).get("weight_map", {}).values()))]


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


def _check_config(folder: Path, checkpoint: Checkpoint) -> None:
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


def _count_parameters(folder: Path) -> int:
    """Count the weights from the headers of their files. Raises SafetensorError where a file is cut or damaged."""
    from safetensors import safe_open

    total = 0
    for path in _weight_files(folder):
        with safe_open(path, framework="pt") as tensors:
            total += sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    return total


# --- Device and number format


def choose_device(requested: str) -> str:
    """Return "cpu", "cuda", "cuda:N" or "mps"; "auto" takes the fastest there is.

    Raises SettingsInvalid for a device that is unknown or not in this machine.
    """
    import torch

    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    present = ["cpu", *(["cuda"] if num_gpus else []), *(f"cuda:{index}" for index in range(num_gpus))]
    present += ["mps"] if has_mps else []
    if requested == "auto":
        return "cuda" if num_gpus else "mps" if has_mps else "cpu"
    if requested not in present:
        raise SettingsInvalid(
            f"The device {requested!r} is not in this machine. Give --device auto, or one of {', '.join(present)}."
        )
    return requested


def choose_placement(requested: str, *, num_parameters: int) -> Placement:
    """Choose the device and the number format of a model of this size. Raises SettingsInvalid as `choose_device`."""
    device = choose_device(requested)
    if device.startswith("cuda"):
        return Placement(device, "float16", "the format of the published weights")
    if device == "mps":
        return Placement(device, "float32", "the safe format on this chip")
    # A small model is bound by the overhead of each call, not by its products.
    if num_parameters < 50_000_000:
        return Placement(device, "float32", "small enough not to need fewer bits")
    import torch

    features = torch.cpu.get_capabilities()
    if features.get("avx512_bf16") or features.get("amx_bf16"):
        return Placement(device, "bfloat16", "the processor multiplies bfloat16 natively")
    return Placement(device, "float32", "the processor does not multiply bfloat16 natively")


# --- Loading


def load(checkpoint: Checkpoint, folder: Path, *, device: str = "auto") -> LoadedCheckpoint:
    """Load the files of `folder` as `checkpoint`. Runs no code of the checkpoint and touches no network.

    Raises CheckpointUnavailable for anything that would make the answers wrong, SettingsInvalid for the device.
    """
    missing = _missing_files(folder)
    if missing:
        raise CheckpointUnavailable(_missing_sentence(checkpoint, missing, _file_names(folder)))
    _check_config(folder, checkpoint)
    try:
        return _load(checkpoint, folder, device)
    except PlaygroundError:
        raise
    except Exception as error:
        raise CheckpointUnavailable(_explain_load(error, checkpoint)) from error


def _load(checkpoint: Checkpoint, folder: Path, device: str) -> LoadedCheckpoint:
    import torch
    from transformers import Florence2ForConditionalGeneration, Florence2Processor
    from transformers.utils import logging

    placement = choose_placement(device, num_parameters=_count_parameters(folder))
    # The pictures are resized by Pillow, as in Microsoft's samples, whether or not torchvision is installed.
    processor: Any = Florence2Processor.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, backend="pil"
    )
    location_ids = _location_ids(processor.tokenizer, checkpoint)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    from_pretrained: Any = Florence2ForConditionalGeneration.from_pretrained
    model, report = from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=getattr(torch, placement.dtype),
        attn_implementation="sdpa",
        ignore_mismatched_sizes=True,  # they are refused below, with a sentence
        output_loading_info=True,
    )
    _check_weights(report, checkpoint)
    resolved_revision = folder.name if not checkpoint.is_local and _COMMIT.fullmatch(folder.name) else None
    return LoadedCheckpoint(
        checkpoint=checkpoint,
        model=model.to(placement.device).eval(),
        tokenizer=processor.tokenizer,
        image_processor=processor.image_processor,
        placement=placement,
        banned_phrases=frozenset(processor.post_processor.banned_grounding_tokens),
        location_ids=location_ids,
        resolved_revision=resolved_revision,
        notice=_revision_notice(checkpoint, resolved_revision),
    )


def _location_ids(tokenizer: Any, checkpoint: Checkpoint) -> range:
    ids = tokenizer.convert_tokens_to_ids([location_token(bin_) for bin_ in range(NUM_BINS)])
    first = ids[0]
    if first is None or ids != list(range(first, first + NUM_BINS)):
        raise CheckpointUnavailable(
            f"{checkpoint.title} has a tokenizer without the {NUM_BINS} location tokens of Florence-2 in a row, so no "
            "box could be read from its answers. Fetch it again, or choose another checkpoint."
        )
    return range(first, first + NUM_BINS)


def _check_weights(report: dict[str, Any], checkpoint: Checkpoint) -> None:
    """Refuse files that leave parts of the model to chance; tied weights are not among the missing."""
    unset = sorted({*report["missing_keys"], *(key for key, *_shapes in report["mismatched_keys"])})
    if unset:
        raise CheckpointUnavailable(
            f"{checkpoint.title} has no fitting values for {len(unset)} of the model's weights, such as {unset[0]}, "
            "and would answer at random. Fetch it again; a fine-tune of Microsoft's old layout must be converted first."
        )


def _revision_notice(checkpoint: Checkpoint, resolved: str | None) -> str:
    wanted = checkpoint.revision or ""
    if not resolved or not _COMMIT.fullmatch(wanted) or resolved == wanted:
        return ""
    return (
        f"The pinned revision {wanted[:8]} of {checkpoint.source} could not be had; "
        f"the answers are those of {resolved[:8]} from its main branch."
    )


def _explain_load(error: Exception, checkpoint: Checkpoint) -> str:
    import torch
    from safetensors import SafetensorError

    if isinstance(error, SafetensorError):
        return (
            f"The weights of {checkpoint.title} are damaged or cut short ({_first_line(error)}). "
            f"Delete model.safetensors in {checkpoint.source} and fetch it again."
        )
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        return (
            f"There is not enough memory for {checkpoint.title}. Close other programs, start with --device cpu, "
            "or choose a smaller checkpoint."
        )
    return (
        f"{checkpoint.title} could not be loaded ({type(error).__name__}: {_first_line(error)}). "
        "Fetch it again, or choose another checkpoint."
    )
