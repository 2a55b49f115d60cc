"""What a LoRA adapter, in the layout in which peft keeps it, changes of a checkpoint's weights.

Merged here rather than by peft, so that whoever only uses an adapter does not need it, and so that a weight is rounded
once: B times A is added in float32 to what is read from the file. Adapters of Microsoft's own code have its names of
the weights, which are translated. Knows nothing of models.
"""

import copy
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from playground.checkpoints.catalog import ADAPTER_CONFIG, Checkpoint, is_named, read_json
from playground.checkpoints.files import ADAPTER_WEIGHTS
from playground.checkpoints.layout import EMBEDDING, TIED_TO_EMBEDDING, native_name
from playground.checkpoints.parts import Parts
from playground.errors import CheckpointUnavailable
from playground.settings import WITH

_HEAD = "lm_head.weight"
_LORA = re.compile(r"(?P<module>.+)\.lora_(?P<which>[AB])(\.default)?\.weight")
_ROWS = re.compile(r"(?P<module>.+)\.token_adapter\.trainable_tokens_delta(\.default)?")
_AROUND = re.compile(r"((base_model\.model|module|_orig_mod)\.)+")  # peft, DistributedDataParallel, torch.compile
_WRAPPERS = re.compile(r"\.(base_layer|modules_to_save(\.default)?)(?=\.)")
_NAME = re.compile(r"\^?[\w.]+\$?")
_NUMBERS_AT_ONCE = 2**15  # that are merged: 128 KB in float32, for which the system is not asked for memory each time
_SEES = ("model.vision_tower.", "model.multi_modal_projector.")


@dataclass(frozen=True)
class Adaptation:
    """The parts of a checkpoint with an adapter in them, and what of it is worth knowing."""

    parts: Parts
    changed: frozenset[str]  # the native names of the weights that it changes
    notice: str  # that the adapter was made for another base; mostly empty
    own: Mapping[str, Any]  # the tensors of the adapter, by its names

    @property
    def changes_sight(self) -> bool:
        """Whether a picture's features are others than those of the base."""
        return any(name.startswith(_SEES) for name in self.changed)


def adapt(checkpoint: Checkpoint, parts: Parts, folder: Path) -> Adaptation:
    """Return the parts of the base with the changes of an adapter, whose folder is checked to be complete.

    Raises CheckpointUnavailable for one that was made for another base, or whose weights cannot all be used.
    """
    reader = _Reader(checkpoint, parts, read_json(folder / ADAPTER_CONFIG))
    own = _tensors_of(checkpoint, folder)
    changed = reader.read(own)
    tensors, config = {**parts.tensors, **changed}, parts.config
    if _HEAD in changed:
        # The table of embeddings and the output projection are one; to change the latter alone parts them.
        tensors[EMBEDDING] = tensors[reader.table]
        config = copy.deepcopy(parts.config)
        config.tie_word_embeddings = False
    elif EMBEDDING in changed:
        tensors |= {name: changed[EMBEDDING] for name in TIED_TO_EMBEDDING if name in tensors}
    return Adaptation(
        replace(parts, tensors=tensors, config=config),
        changed=frozenset(changed) | frozenset(TIED_TO_EMBEDDING if EMBEDDING in changed else ()),
        notice=reader.notice,
        own=own,
    )


def _tensors_of(checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / ADAPTER_WEIGHTS)
    except SafetensorError as error:
        raise CheckpointUnavailable(
            f"The weights of the adapter in {checkpoint.title} are changed, damaged or cut short ({error}). "
            f"Delete {folder / ADAPTER_WEIGHTS} and fetch it again."
        ) from error


class _Reader:
    """Reads the tensors of one adapter as changes of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, parts: Parts, config: Mapping[str, Any]) -> None:
        self._title = checkpoint.title.rpartition(WITH)[2]
        self._base = checkpoint.base or checkpoint
        self._tensors = parts.tensors
        self._is_tied = parts.config.tie_word_embeddings
        self._config = config
        self._made_for = str(config.get("base_model_name_or_path") or "")
        self.table = next((name for name in (EMBEDDING, *TIED_TO_EMBEDDING) if name in parts.tensors), EMBEDDING)

    @property
    def notice(self) -> str:
        if not self._made_for or is_named(self._base, self._made_for):
            return ""
        made_for = self._made_for[:200]
        return f"The adapter {self._title} says that it was made for {made_for}, not for {self._base.title}."

    def read(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return what reads as each changed weight, by its native name."""
        halves: dict[str, dict[str, Any]] = {}
        changed: dict[str, Any] = {}
        for key, tensor in tensors.items():
            if match := _LORA.fullmatch(key):
                halves.setdefault(match["module"], {})[match["which"]] = tensor
            elif match := _ROWS.fullmatch(key):
                changed[EMBEDDING] = self._with_rows(match["module"], tensor)
            else:
                name = native_name(_WRAPPERS.sub("", _bare(key)))
                self._check_fits(key, name, tuple(tensor.shape))
                changed[name] = tensor
        for module, half in halves.items():
            name = native_name(f"{_bare(module)}.weight")
            if half.keys() != {"A", "B"}:
                raise self._refused(f"has one half of what changes {module}, and not the other")
            changed[name] = self._merged(module, name, half["A"], half["B"])
        if not changed:
            raise self._refused("changes nothing")
        return changed

    def _merged(self, module: str, name: str, a: Any, b: Any) -> "_Merged":
        rank = self._of_module("rank_pattern", module, self._config.get("r"))
        if rank != a.shape[0] or rank != b.shape[1]:
            raise self._refused(f"says that the rank of {module} is {rank}, but it is {a.shape[0]} and {b.shape[1]}")
        self._check_fits(module, name, (b.shape[0], *a.shape[1:]))
        alpha = self._of_module("alpha_pattern", module, self._config.get("lora_alpha"))
        if isinstance(alpha, bool) or not isinstance(alpha, int | float):
            raise self._refused(f"has no number as lora_alpha in its {ADAPTER_CONFIG}")
        scale = alpha / (math.sqrt(rank) if self._config.get("use_rslora") else rank)
        return _Merged(self._tensors[name if name in self._tensors else self.table], a, b, scale)

    def _with_rows(self, module: str, rows: Any) -> "_WithRows":
        """Return the table of embeddings with rows of its own for some tokens, as peft keeps them."""
        given = self._config.get("trainable_token_indices")
        tokens = next(iter(given.values()), None) if isinstance(given, Mapping) and len(given) == 1 else given
        table = self._tensors[self.table]
        count, width = table.get_shape()
        is_shared = native_name(f"{_bare(module)}.weight") == EMBEDDING and self._is_tied
        is_known = isinstance(tokens, list) and all(type(token) is int and 0 <= token < count for token in tokens)
        if not isinstance(tokens, list) or not is_known or not is_shared or tuple(rows.shape) != (len(tokens), width):
            raise self._refused("changes tokens which the table of embeddings does not have")
        return _WithRows(table, tokens, rows)

    def _check_fits(self, key: str, name: str, shape: tuple[int, ...]) -> None:
        known = self._tensors.get(self.table if name == _HEAD and _HEAD not in self._tensors else name)
        if known is None or (name != _HEAD and name in (EMBEDDING, *TIED_TO_EMBEDDING)):
            raise self._refused(f"changes {_bare(key)}, which {self._base.title} does not have or cannot change")
        expected = tuple(known.get_shape())
        if expected != shape:
            raise self._refused(
                f"is for weights of another size: {_bare(key)} is {list(shape)}, but {list(expected)} in "
                f"{self._base.title}"
            )

    def _of_module(self, pattern: str, module: str, otherwise: Any) -> Any:
        """Return what is said of a module by its name or by the end of it, as peft reads such patterns."""
        for name, value in (self._config.get(pattern) or {}).items():
            if not _NAME.fullmatch(name):
                raise self._refused(f"has {name[:80]!r} in {pattern}, which is no name of a module")
            end = name.lstrip("^").rstrip("$")
            if _bare(module) == end or (not name.startswith("^") and module.endswith(f".{end}")):
                return value
        return otherwise

    def _refused(self, what: str) -> CheckpointUnavailable:
        other = f" It was made for {self._made_for[:200]}: give that with --checkpoint." if self.notice else ""
        return CheckpointUnavailable(
            f"The adapter {self._title} {what}, so {self._base.title} would not answer as it was taught to."
            f"{other or ' Fetch it again, or choose another adapter.'}"
        )


def _bare(key: str) -> str:
    return key[around.end() :] if (around := _AROUND.match(key)) else key


class _Merged:
    """A weight of a file, which reads with what an adapter adds to it."""

    def __init__(self, weight: Any, a: Any, b: Any, scale: float) -> None:
        self._weight, self._a, self._b, self._scale = weight, a, b, scale

    def get_shape(self) -> list[int]:
        return list(self._weight.get_shape())

    def __getitem__(self, where: Any) -> Any:
        import torch

        return self.read(torch.float32)[where]

    def read(self, dtype: Any) -> Any:
        """Return the weight, rounded once, to a torch.dtype."""
        import torch

        weight = self._weight[...]
        merged = torch.empty_like(weight, dtype=dtype)
        a, b = self._a.flatten(1).float(), self._b.flatten(1).float()  # a convolution's too, but for its shape
        num_rows = max(1, _NUMBERS_AT_ONCE // a.shape[1])
        for some, rows, into in zip(*(torch.split(matrix, num_rows) for matrix in (weight, b, merged)), strict=True):
            into.copy_(some.float().flatten(1).addmm_(rows, a, alpha=self._scale).view_as(some))
        return merged


class _WithRows:
    """A table of a file, which reads with other rows in place of some."""

    def __init__(self, table: Any, tokens: Sequence[int], rows: Any) -> None:
        self._table, self._tokens, self._rows = table, tokens, rows

    def get_shape(self) -> list[int]:
        return list(self._table.get_shape())

    def __getitem__(self, where: Any) -> Any:
        import torch

        return self._table[...].float().index_copy(0, torch.tensor(self._tokens), self._rows.float())[where]
