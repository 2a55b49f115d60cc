"""Load Florence-2 checkpoints: choose the device and the number format, and check what came.

Weights stay in their files until they are made ready. Knows nothing of pictures, prompts or who else is loaded.
Importing it imports neither torch nor transformers: the page is served before they are.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from playground.checkpoints.adapters import Adaptation, adapt
from playground.checkpoints.catalog import RECIPE, Checkpoint, read_json
from playground.checkpoints.files import ADAPTER_WEIGHTS, check_folder, weight_files
from playground.checkpoints.fits import bare_shapes, check_fit, check_shapes
from playground.checkpoints.hub import first_line, resolved_revision, revision_notice
from playground.checkpoints.layout import Layout
from playground.checkpoints.parts import Parts, read_parts
from playground.checkpoints.plain import import_transformers
from playground.errors import CheckpointUnavailable, PlaygroundError, SettingsInvalid
from playground.locations import NUM_BINS, location_token

if TYPE_CHECKING:
    from playground.checkpoints.weights import Weights

_T = TypeVar("_T")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model runs, in which number format, and why; as text, for the status line."""

    device: str
    device_title: str  # "CPU", "GPU (NVIDIA L4)"
    dtype: str  # "float32", "bfloat16" or "float16"
    reason: str
    eight_bits: bool = False  # of the weights that are read for each token, which is what a token's time goes to

    def __str__(self) -> str:
        weights = ", 8-bit weights for the text" if self.eight_bits else ""
        return f"{self.device_title}, {self.dtype}{weights} ({self.reason})"


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint's weights, tokenizer and image processor, checked and ready for inference."""

    checkpoint: Checkpoint
    folder: Path  # of its base, where it has one
    weights: "Weights"
    make_model: Callable[[], Any]
    tokenizer: Any
    image_processor: Any  # Preprocessing, or transformers' own
    placement: Placement
    banned_phrases: frozenset[str]  # phrases that grounding drops
    location_ids: range  # the token ids of bins 0..999
    num_parameters: int
    resolved_revision: str | None  # the commit that the files are of; None for a folder outside the hub's cache
    notice: str  # what differs from what was asked for, in a sentence; mostly empty
    details: str  # what is worth knowing of the files, in a sentence; mostly empty
    sight: str  # two that have the same one see a picture as the same features
    parts: Parts  # those of its base, where it has one

    @cached_property
    def model(self) -> Any:
        """The Florence2ForConditionalGeneration, made when it is first asked for: to be trained, or to `generate`."""
        return self.make_model()


SMALL_MODEL = 50_000_000  # parameters; with fewer, a model spends its time on the overhead of each call


# --- Device and number format


def choose_device(requested: str) -> str:
    """Return "cpu", "cuda", "cuda:N" or "mps"; "auto" takes the fastest there is.

    Raises SettingsInvalid for a device that is unknown or not in this machine.
    """
    import torch

    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    fastest_first = [*(["cuda", *gpus] if gpus else []), *mps, "cpu"]
    if requested == "auto":
        return fastest_first[0]
    if requested not in fastest_first:
        raise SettingsInvalid(
            f"The device {requested!r} is not in this machine. Give --device auto, or one of "
            f"{', '.join(fastest_first)}."
        )
    return requested


def choose_placement(requested: str, *, num_parameters: int, precision: str = "auto") -> Placement:
    """Choose the device and the number format of a model of this size; `precision` is one of settings.PRECISIONS.

    Raises SettingsInvalid as `choose_device` does, and for a precision that the device does not have.
    """
    import torch

    device = choose_device(requested)
    if device.startswith("cuda"):
        title = f"GPU ({torch.cuda.get_device_name(device)})"
        chosen = Placement(device, title, "float16", "the format of the published weights")
        formats = ["float32", "bfloat16", "float16"]
    elif device == "mps":
        chosen = Placement(device, "GPU (Apple)", "float32", "the safe format on this chip")
        formats = ["float32", "float16"]
    else:
        chosen = _choose_for_cpu(num_parameters)
        formats = ["float32", "bfloat16", "int8"]
    if precision == "auto":
        return chosen
    if precision not in formats:
        raise SettingsInvalid(
            f"The precision {precision!r} is not for the {chosen.device_title}. Give --precision auto, or one of "
            f"{', '.join(formats)}."
        )
    dtype = "bfloat16" if precision == "int8" else precision
    return replace(chosen, dtype=dtype, eight_bits=precision == "int8", reason="as asked for")


def _choose_for_cpu(num_parameters: int) -> Placement:
    if num_parameters < SMALL_MODEL:
        return Placement("cpu", "CPU", "float32", "a small model gains nothing from fewer bits")
    if cpu_multiplies_bfloat16():
        return Placement("cpu", "CPU", "bfloat16", "this processor multiplies bfloat16 natively", eight_bits=True)
    return Placement("cpu", "CPU", "float32", "this processor does not multiply bfloat16 natively")


def cpu_multiplies_bfloat16() -> bool:
    """Tell whether this processor has instructions for it; without them it would crawl."""
    import torch

    features = torch.cpu.get_capabilities()
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


# --- Loading


def load(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    adapter: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    beside: LoadedCheckpoint | None = None,
) -> LoadedCheckpoint:
    """Load the files of `folder` as `checkpoint`, those of its base where it has an `adapter`, which is a folder too.

    Where `beside`, which was loaded before, is of the same files, they are not read again but for what the adapter
    changes. Runs no code of the checkpoint and touches no network. Raises CheckpointUnavailable for anything that would
    make the answers wrong, SettingsInvalid as `choose_placement`.
    """
    known = beside if beside is not None and beside.weights.files == _files(beside.placement, folder) else None

    def load_it() -> LoadedCheckpoint:
        count = count_parameters(folder)
        placement = choose_placement(device, num_parameters=count, precision=precision)
        return _load(checkpoint, folder, adapter, placement, count, known)

    return load_checked(checkpoint, folder, load_it, adapter, is_known=known is not None)


def load_checked(
    checkpoint: Checkpoint,
    folder: Path,
    load_it: Callable[[], _T],
    adapter: Path | None = None,
    *,
    is_known: bool = False,
) -> _T:
    """Return what comes of loading files that are all there and not changed; says in a sentence what goes wrong.

    What `is_known`, since it was checked before and is not written to since then, is not read through again.
    """
    rows = [
        *([] if is_known else [(checkpoint.base or checkpoint, folder)]),
        *([(checkpoint, adapter)] if adapter else []),
    ]
    for row, place in rows:
        check_folder(row, place)
    with explained(checkpoint.base or checkpoint, folder):
        for row, place in rows:
            check_digests(row, place)
        return load_it()


@contextmanager
def explained(checkpoint: Checkpoint, folder: Path) -> Iterator[None]:
    """Say in a sentence what goes wrong while the files of a folder are read."""
    try:
        yield
    except PlaygroundError:
        raise
    except Exception as error:
        raise CheckpointUnavailable(_explain(error, checkpoint, folder)) from error


def read_adapted(checkpoint: Checkpoint, folder: Path, adapter: Path | None) -> Adaptation:
    """Return the parts of a checkpoint with its adapter, where it has one, merged into them."""
    return _adapted(checkpoint, read_parts(checkpoint.base or checkpoint, folder), adapter)


def _adapted(checkpoint: Checkpoint, parts: Parts, adapter: Path | None) -> Adaptation:
    return adapt(checkpoint, parts, adapter) if adapter else Adaptation(parts, changed=frozenset(), notice="", own={})


def _load(
    checkpoint: Checkpoint,
    folder: Path,
    adapter: Path | None,
    placement: Placement,
    num_parameters: int,
    known: LoadedCheckpoint | None,
) -> LoadedCheckpoint:
    base = known.parts if known else read_parts(checkpoint.base or checkpoint, folder)
    adapted = _adapted(checkpoint, base, adapter)
    location_ids = _location_ids(base.tokenizer, checkpoint)
    weights = _weights(folder, adapter, placement, adapted, known)
    _check_weights(checkpoint, adapted, weights, is_known=known is not None)
    revision = resolved_revision(checkpoint, adapter or folder)
    return LoadedCheckpoint(
        checkpoint=checkpoint,
        folder=folder,
        weights=weights,
        make_model=partial(_make_model, checkpoint, adapted.parts, weights),
        tokenizer=base.tokenizer,
        image_processor=base.image_processor,
        placement=placement,
        banned_phrases=base.banned_phrases,
        location_ids=location_ids,
        num_parameters=num_parameters,
        resolved_revision=revision,
        notice=_notice(checkpoint, revision, adapted),
        details=_details(base),
        sight=_sight(placement, folder, adapter, adapted),
        parts=base,
    )


def _weights(
    folder: Path, adapter: Path | None, placement: Placement, adapted: Adaptation, known: LoadedCheckpoint | None
) -> "Weights":
    import torch

    from playground.checkpoints.bare import bare_model
    from playground.checkpoints.weights import Weights

    return Weights(
        config=adapted.parts.config,
        bare=known.weights.bare if known else bare_model(adapted.parts.config),
        tensors=adapted.parts.tensors,
        dtype=getattr(torch, placement.dtype),
        device=placement.device,
        files=_files(placement, folder),
        changed=adapted.changed,
        adapter=_files(placement, adapter) if adapter else "",
    )


def _check_weights(checkpoint: Checkpoint, adapted: Adaptation, weights: "Weights", *, is_known: bool) -> None:
    """Refuse weights that do not fit the model, or are no numbers; those of a known base were checked before."""
    parts, expected = adapted.parts, bare_shapes(weights.bare)
    check_shapes(
        checkpoint,
        {name: _shape_of(tensor) for name, tensor in parts.tensors.items()},
        expected,
        tied=[name for name in expected if weights.stored_name(name)],
        original_names=parts.original_names,
    )
    if is_known:
        check_numbers(adapted.own, parts.original_names, checkpoint)
        return
    from playground.checkpoints.weights import in_format

    for name, tensor in parts.tensors.items():
        check_numbers({name: in_format(tensor, weights.dtype)}, parts.original_names, checkpoint)


def _shape_of(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.get_shape() if hasattr(tensor, "get_shape") else tensor.shape)  # an adapter's own are read


def _make_model(checkpoint: Checkpoint, parts: Parts, weights: "Weights") -> Any:
    return assemble(checkpoint, parts, weights.dtype).to(weights.device).eval()


def _notice(checkpoint: Checkpoint, revision: str | None, adapted: Adaptation) -> str:
    return " ".join(filter(None, (revision_notice(checkpoint, revision), adapted.notice, checkpoint.fault)))


def _sight(placement: Placement, folder: Path, adapter: Path | None, adapted: Adaptation) -> str:
    """Return what the features of a picture depend on."""
    return _files(placement, folder, *([adapter] if adapter and adapted.changes_sight else []))


def _files(placement: Placement, *folders: Path) -> str:
    """Return which files a model is made of, each as it is now, and the number format."""
    names = ("config.json", "preprocessor_config.json", "processor_config.json", ADAPTER_WEIGHTS)
    paths = [path for folder in folders for path in (*weight_files(folder), *map(folder.joinpath, names))]
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.is_file()]
    return f"{placement} {files}"


def assemble(checkpoint: Checkpoint, parts: Parts, dtype: Any) -> Any:
    """Return the Florence2ForConditionalGeneration of parts, in a torch.dtype. Raises CheckpointUnavailable."""
    transformers = import_transformers()
    transformers.utils.logging.disable_progress_bar()
    model, report = transformers.Florence2ForConditionalGeneration.from_pretrained(
        None,
        config=parts.config.for_transformers(),
        state_dict=parts.tensors,
        dtype=dtype,
        attn_implementation="sdpa",
        ignore_mismatched_sizes=True,  # they are refused below, with a sentence
        output_loading_info=True,
    )
    check_fit(
        checkpoint,
        missing=report["missing_keys"],  # tied weights are not among them
        mismatched=report["mismatched_keys"],
        unexpected=report["unexpected_keys"],
        original_names=parts.original_names,
    )
    check_numbers(model.state_dict(), parts.original_names, checkpoint)
    model.generation_config = parts.generation_config.for_transformers()
    return model


def _details(parts: Parts) -> str:
    layout = f"Read from {parts.layout.value}." if parts.layout is Layout.ORIGINAL else ""
    code = "The Python code that its configuration names was not run." if parts.names_code else ""
    return " ".join(filter(None, (layout, code)))


def _location_ids(tokenizer: Any, checkpoint: Checkpoint) -> range:
    ids = tokenizer.convert_tokens_to_ids([location_token(bin_) for bin_ in range(NUM_BINS)])
    first = ids[0]
    if first is None or ids != list(range(first, first + NUM_BINS)):
        raise CheckpointUnavailable(
            f"{checkpoint.title} has a tokenizer without the {NUM_BINS} location tokens of Florence-2 in a row, so no "
            "box could be read from its answers. Fetch it again, or choose another checkpoint."
        )
    return range(first, first + NUM_BINS)


def check_numbers(weights: Mapping[str, Any], original_names: Mapping[str, str], checkpoint: Checkpoint) -> None:
    """Refuse weights that are not numbers or infinite: one of them makes every answer nonsense."""
    for name, tensor in weights.items():
        # A not-a-number is the least and the most of whatever it is among; a tenth of a second for Florence-2-base.
        if tensor.is_floating_point() and tensor.numel() and not all(bound.isfinite() for bound in tensor.aminmax()):
            raise CheckpointUnavailable(
                f"{checkpoint.title} holds numbers in {original_names.get(name, name)} that are infinite or none "
                "at all, as a training leaves them that has failed. Fetch it again, or choose another checkpoint."
            )


def check_digests(checkpoint: Checkpoint, folder: Path) -> str:
    """Hash the weights, and return the first SHA-256; empty where nobody says what it must be.

    The hub's cache names a file by it, and a recipe of ours says it. Raises CheckpointUnavailable for another one.
    """
    paths = weight_files(folder) if checkpoint.base is None else [folder / ADAPTER_WEIGHTS]
    known = [(path, expected) for path in paths if (expected := _expected_sha256(path))]
    for path, expected in known:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            what = f"{path.name} has the SHA-256 {found[:12]}, not {expected[:12]}"
            raise CheckpointUnavailable(_damaged_sentence(checkpoint, folder, what))
    return known[0][1] if known else ""


def _expected_sha256(path: Path) -> str:
    if _SHA256.fullmatch(path.resolve().name):
        return path.resolve().name
    recipe = path.parent / RECIPE
    return str(read_json(recipe).get("sha256", "")) if recipe.is_file() else ""


def _damaged_sentence(checkpoint: Checkpoint, folder: Path, what: str) -> str:
    # The hub's cache keeps the bytes beside its snapshots: it would link to the damaged ones again.
    is_cached = resolved_revision(checkpoint, folder) is not None
    name = "model.safetensors" if checkpoint.base is None else ADAPTER_WEIGHTS
    damaged = folder.parents[1] if is_cached else f"{name} in {folder}"
    return (
        f"The weights of {checkpoint.title} are changed, damaged or cut short ({what}). "
        f"Delete {damaged} and fetch it again."
    )


def _explain(error: Exception, checkpoint: Checkpoint, folder: Path) -> str:
    import torch
    from safetensors import SafetensorError

    if isinstance(error, SafetensorError):
        return _damaged_sentence(checkpoint, folder, first_line(error))
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        return (
            f"There is not enough memory for {checkpoint.title}. Close other programs, start with --device cpu, "
            "or choose a smaller checkpoint."
        )
    return (
        f"{checkpoint.title} could not be loaded ({type(error).__name__}: {first_line(error)}). "
        "Fetch it again, or choose another checkpoint."
    )


def count_parameters(folder: Path) -> int:
    """Count the weights from the headers of their files. Raises SafetensorError where a file is cut or damaged."""
    from safetensors import safe_open

    total = 0
    for path in weight_files(folder):
        with safe_open(path, framework="pt") as tensors:
            total += sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    return total
