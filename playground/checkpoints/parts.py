"""The parts of a checkpoint by the names of transformers' classes, whichever layout its files have.

Weights are given as they are read: each from its file when it is asked for, so that they are never held twice. No code
of a checkpoint is run, whatever its `auto_map` says. Knows nothing of devices and number formats.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.checkpoints.catalog import Checkpoint, read_json
from playground.checkpoints.files import StoredTensor, stored_tensors, weight_files
from playground.checkpoints.layout import (
    ADDED_TOKENS,
    BANNED_PHRASES,
    EMBEDDING,
    IMAGE_TOKEN,
    TIED_TO_EMBEDDING,
    TRANSPOSED,
    ZEROS,
    Layout,
    generation_rules,
    is_unused,
    layout_of,
    native_config,
    native_name,
)
from playground.checkpoints.plain import Config, Rules, Tokenizer, import_transformers, read_config, read_rules
from playground.checkpoints.preprocessing import Preprocessing, clip_processor
from playground.errors import CheckpointUnavailable
from playground.grammar import CONTROL_TOKENS

_ROWS_AT_ONCE = 4096  # of a table of embeddings that are summed
TORCH_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}  # of safetensors, as torch calls them
_ROWS_PADDED_TO = 64  # as published: their products are quicker
_PREPROCESSING = {
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
    "image_mean", "image_std", "image_seq_length",
}  # fmt: skip
_PLAIN_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")  # which are what tokenizer.json says
_IMAGE_POSITIONS = 577  # of a picture, as published


@dataclass(frozen=True)
class Parts:
    """What a model and its processor are made of.

    `tensors` holds by its native name what gives a weight when it is sliced; `original_names` how the files call it.
    """

    layout: Layout
    config: Config
    generation_config: Rules
    tokenizer: Any
    image_processor: Any  # Preprocessing, or transformers' own
    banned_phrases: frozenset[str]
    tensors: dict[str, Any]
    original_names: dict[str, str]
    names_code: bool  # of its repository, which is not run


def read_parts(checkpoint: Checkpoint, folder: Path) -> Parts:
    """Read all but the weights, which are read when they are sliced. Raises CheckpointUnavailable."""
    config = read_json(folder / "config.json")
    slices = dict(_slices(folder))
    layout = layout_of(config, slices)
    if layout is Layout.NATIVE:
        return _native_parts(folder, slices, names_code="auto_map" in config)
    return _original_parts(checkpoint, folder, config, slices)


def layout_in(folder: Path) -> Layout:
    """Return the layout that a folder's files have. Raises CheckpointUnavailable."""
    from safetensors import SafetensorError

    try:
        return layout_of(read_json(folder / "config.json"), dict(_slices(folder)))
    except SafetensorError as error:
        raise CheckpointUnavailable(f"The weights in {folder} cannot be read ({error}). Fetch them again.") from error


def _slices(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield the name of each tensor and what reads it.

    Read tensor by tensor: mapped into memory, a file would be held whole beside the weights that are made of it.
    """
    from safetensors import safe_open

    open_file: Any = safe_open
    for path in weight_files(folder):
        file = open_file(path, framework="pt", backend="pread")
        for name in file.keys():  # noqa: SIM118
            yield name, _Read(file, name)


class _Read:
    """A tensor of a file, read whole: a slice of safetensors, even of all, copies what it has read once more."""

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name = file, name

    def get_shape(self) -> list[int]:
        return list(self._file.get_slice(self._name).get_shape())

    def __getitem__(self, where: Any) -> Any:
        return self._file.get_tensor(self._name)[where]


def _native_parts(folder: Path, slices: dict[str, Any], *, names_code: bool) -> Parts:
    processor = _read_if_there(folder / "processor_config.json")
    said = processor.get("post_processor_config") or {}
    config = read_config(read_json(folder / "config.json"))
    file = folder / "generation_config.json"
    return Parts(
        layout=Layout.NATIVE,
        config=config,
        generation_config=read_rules(read_json(file) if file.is_file() else None, config),
        tokenizer=_native_tokenizer(folder),
        image_processor=_native_image_processor(folder, processor.get("image_processor")),
        banned_phrases=frozenset(said.get("phrase_grounding", {}).get("banned_grounding_tokens", [])),
        tensors=slices,
        original_names={},
        names_code=names_code,
    )


def _read_if_there(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _native_tokenizer(folder: Path) -> Any:
    def make() -> Any:
        theirs = import_transformers().AutoTokenizer
        return theirs.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    file = folder / "tokenizer.json"
    kind = _read_if_there(folder / "tokenizer_config.json").get("tokenizer_class")
    if kind not in _PLAIN_TOKENIZERS or not file.is_file():
        return make()
    from tokenizers import Tokenizer as Backend

    return Tokenizer(Backend.from_file(str(file)), make)


def _native_image_processor(folder: Path, settings: dict[str, Any] | None) -> Any:
    plain = Preprocessing.of(read_json(folder / "preprocessor_config.json") if settings is None else settings)
    if plain is not None:
        return plain
    # The pictures are resized by Pillow, as in Microsoft's samples, whether or not torchvision is installed.
    processor = import_transformers().Florence2Processor.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, backend="pil"
    )
    return processor.image_processor


# --- The original layout


def _original_parts(checkpoint: Checkpoint, folder: Path, config: dict[str, Any], slices: dict[str, Any]) -> Parts:
    tokenizer = complete_tokenizer(checkpoint, folder)
    image_token_id = int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))
    original_names = _named(checkpoint, slices)
    tensors = {native: slices[name] for native, name in original_names.items()}
    num_rows = _prepare(checkpoint, folder, tensors, original_names, tokenizer)
    try:
        translated = native_config(config, num_rows=num_rows, image_token_id=image_token_id)
        translated["tie_word_embeddings"] = not {EMBEDDING, "lm_head.weight"} <= tensors.keys()
    except ValueError as error:
        raise CheckpointUnavailable(
            f"{checkpoint.title} is built in another way than Florence-2: {error}. Choose another checkpoint."
        ) from error
    rules = generation_rules(config, _read_if_there(folder / "generation_config.json"))
    return Parts(
        layout=Layout.ORIGINAL,
        config=read_config(translated),
        generation_config=Rules(**rules),
        tokenizer=tokenizer,
        image_processor=_image_processor(folder),
        banned_phrases=BANNED_PHRASES,
        tensors=tensors,
        original_names=original_names,
        names_code="auto_map" in config,
    )


def _named(checkpoint: Checkpoint, slices: dict[str, Any]) -> dict[str, str]:
    """Return the names that the files use by the native ones, without those that take no part in an answer."""
    if ZEROS in slices and slices[ZEROS][...].any():
        raise CheckpointUnavailable(
            f"{checkpoint.title} adds {ZEROS} to its answers, which Florence-2 does not. Choose another checkpoint."
        )
    names: dict[str, str] = {}
    for name in slices:
        if is_unused(name):
            continue
        if native_name(name) in names:
            raise CheckpointUnavailable(
                f"{checkpoint.title} has two tensors for the same weight, {names[native_name(name)]} and {name}. "
                "Fetch it again, or choose another checkpoint."
            )
        names[native_name(name)] = name
    return names


def _prepare(
    checkpoint: Checkpoint, folder: Path, tensors: dict[str, Any], original_names: dict[str, str], tokenizer: Any
) -> int:
    """Let the tensors that differ in more than their name be read as transformers has them.

    Returns how many rows the table of embeddings has then.
    """
    if original_names.get(TRANSPOSED) == "image_projection":
        tensors[TRANSPOSED] = _Transposed(tensors[TRANSPOSED])
    stored = {name: tensor for path in weight_files(folder) for name, tensor in stored_tensors(path).items()}
    names = (EMBEDDING, *TIED_TO_EMBEDDING)
    tables = {name: stored[original_names[name]] for name in names if name in original_names}
    if not tables:
        return len(tokenizer)  # the table is missing, which is told with all that is
    first, *others = tables
    for name in others:
        if tables[name].equals(tables[first]):
            del tensors[name]
    num_rows = _num_rows(checkpoint, tables[first].shape[0], tokenizer)
    for name, table in tables.items():
        if name in tensors and len(table.shape) == 2 and table.shape[0] < num_rows and table.dtype in TORCH_DTYPES:
            tensors[name] = _Padded(table, num_rows)
    return num_rows


def _num_rows(checkpoint: Checkpoint, num_rows: int, tokenizer: Any) -> int:
    """Return how many rows the table needs: one for each token, of which `<image>` may come last and lack one."""
    image_id = int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))
    num_words = 1 + max(token_id for token_id in tokenizer.get_vocab().values() if token_id != image_id)
    if num_words > num_rows:
        raise CheckpointUnavailable(
            f"{checkpoint.title} has {num_words} tokens, but language_model.model.shared.weight has {num_rows} rows. "
            "Fetch it again, or choose another checkpoint."
        )
    return num_rows if image_id < num_rows else -(-(image_id + 1) // _ROWS_PADDED_TO) * _ROWS_PADDED_TO


class _Transposed:
    """A matrix of a file, which reads with its rows and columns exchanged."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix

    def get_shape(self) -> list[int]:
        return list(reversed(self._matrix.get_shape()))

    def __getitem__(self, where: Any) -> Any:
        return self._matrix[...].T[where].contiguous()


class _Padded:
    """A table of a file, which reads with more rows, each of them the mean of all.

    The logit of such a row is the mean of all logits, so that it is never the most likely token.
    """

    def __init__(self, table: StoredTensor, num_rows: int) -> None:
        self._table = table
        self._num_rows = num_rows

    def get_shape(self) -> list[int]:
        return [self._num_rows, *self._table.shape[1:]]

    def __getitem__(self, where: Any) -> Any:
        import torch

        num_known, width = self._table.shape
        padded = torch.empty(self._num_rows, width, dtype=getattr(torch, TORCH_DTYPES[self._table.dtype]))
        known = padded[:num_known]
        self._table.read_into(known.view(torch.uint8).numpy().data.cast("B"))
        some = range(0, num_known, _ROWS_AT_ONCE)
        padded[num_known:] = sum(known[row : row + _ROWS_AT_ONCE].float().sum(0) for row in some) / num_known
        return padded[where]


def complete_tokenizer(checkpoint: Checkpoint, folder: Path) -> Any:
    """Return the tokenizer with the tokens that Microsoft's code adds when it starts; those that are there stay."""
    from tokenizers import AddedToken
    from tokenizers import Tokenizer as Backend

    file = folder / "tokenizer.json"
    backend = Backend.from_file(str(file)) if file.is_file() else _tokenizer_of_pieces(checkpoint, folder)
    for names in (ADDED_TOKENS, (IMAGE_TOKEN,)):
        backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])

    def make() -> Any:
        return import_transformers().PreTrainedTokenizerFast(
            tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
            cls_token="<s>", sep_token="</s>", mask_token="<mask>",
            extra_special_tokens={"image_token": IMAGE_TOKEN},
        )  # fmt: skip

    return Tokenizer(backend, make)


def _tokenizer_of_pieces(checkpoint: Checkpoint, folder: Path) -> Any:
    """Return BART's tokenizer of the older files, of which `added_tokens.json` may be one."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    backend = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in CONTROL_TOKENS])
    file = folder / "added_tokens.json"
    added = read_json(file) if file.is_file() else {}
    for name, token_id in sorted(added.items(), key=lambda item: int(item[1])):
        backend.add_special_tokens([AddedToken(name, special=True, normalized=False)])
        if backend.token_to_id(name) != token_id:
            raise CheckpointUnavailable(
                f"{checkpoint.title} has a tokenizer in which {name} cannot have the id {token_id} that {file.name} "
                "gives it. Fetch it again, or choose another checkpoint."
            )
    return backend


def _image_processor(folder: Path) -> Any:
    """Return the image processor by its figures alone: the file may name a class of the repository."""
    file = folder / "preprocessor_config.json"
    settings = read_json(file) if file.is_file() else read_json(folder / "processor_config.json")["image_processor"]
    known = {name: settings[name] for name in _PREPROCESSING & settings.keys()}
    known.setdefault("image_seq_length", _IMAGE_POSITIONS)
    return Preprocessing.of(known) or clip_processor(known)
