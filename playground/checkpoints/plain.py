"""What transformers makes of a checkpoint's small files, where these are of the usual kind.

Its import alone takes most of a second. Whatever is unusual is left to its own classes.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import Any

# What transformers' classes take where nothing is said; each value also tells of which kind others are.
_USUAL: dict[str, dict[str, Any]] = {
    "vision_config": {
        "model_type": "florence_vision", "in_channels": 3, "depths": [1, 1, 9, 1], "patch_size": [7, 3, 3, 3],
        "patch_stride": [4, 2, 2, 2], "patch_padding": [3, 1, 1, 1], "patch_prenorm": [False, True, True, True],
        "embed_dim": [128, 256, 512, 1024], "num_heads": [4, 8, 16, 32], "num_groups": [4, 8, 16, 32],
        "window_size": 12, "mlp_ratio": 4.0, "qkv_bias": True, "activation_function": "gelu", "projection_dim": 1024,
        "max_temporal_embeddings": 100, "max_position_embeddings": 50,
    },
    "text_config": {
        "model_type": "bart", "vocab_size": 50265, "max_position_embeddings": 1024, "encoder_layers": 12,
        "encoder_ffn_dim": 4096, "encoder_attention_heads": 16, "decoder_layers": 12, "decoder_ffn_dim": 4096,
        "decoder_attention_heads": 16, "activation_function": "gelu", "d_model": 1024, "scale_embedding": False,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
        "tie_word_embeddings": True,
    },
}  # fmt: skip


_importing = threading.Lock()


def import_transformers() -> Any:
    """Import transformers, from whichever thread.

    It takes another module's place while it is imported: a thread that waits for that gets the one that has nothing.
    """
    with _importing:
        import transformers
    return transformers


class Config(SimpleNamespace):
    """A configuration by transformers' names; `said` is all that a file says."""

    def for_transformers(self) -> Any:
        """Return a Florence2Config. Raises for values that it does not take."""
        said = {**self.said, "tie_word_embeddings": self.tie_word_embeddings}
        return import_transformers().Florence2Config.from_dict(said)


def read_config(said: Mapping[str, Any]) -> Config:
    """Return what a configuration says. Raises as transformers does."""
    config = Config(said=said, tie_word_embeddings=said.get("tie_word_embeddings", True))
    parts: dict[str, Any] = {part: said.get(part) for part in _USUAL}
    if not all(_is_usual(own, usual) for own, usual in zip(parts.values(), _USUAL.values(), strict=True)):
        theirs = config.for_transformers()
        parts = {part: vars(getattr(theirs, part)) for part in parts}
    for part, own in parts.items():
        setattr(config, part, SimpleNamespace(**{name: own.get(name, usual) for name, usual in _USUAL[part].items()}))
    return config


def _is_usual(own: Any, usual: Mapping[str, Any]) -> bool:
    if not isinstance(own, dict) or own.get("model_type") != usual["model_type"]:
        return False
    return all(_is_like(own[name], value) for name, value in usual.items() if name in own)


def _is_like(value: Any, other: Any) -> bool:
    if isinstance(value, list) and isinstance(other, list):
        return all(type(one) is type(other[0]) for one in value)
    return type(value) is type(other)


def read_rules(said: Mapping[str, Any] | None, config: Config) -> "Rules":
    """Return what a generation config says, or without one what transformers makes of the model's own."""
    if said is None:
        of_model = import_transformers().GenerationConfig.from_model_config(config.for_transformers())
        return Rules(**of_model.to_diff_dict())
    return Rules(**said)


class Rules(SimpleNamespace):
    """A generation config, of which what is not said is open."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("_"):
            raise AttributeError(name)

    def to_diff_dict(self) -> dict[str, Any]:
        """Return what is said, as a GenerationConfig does."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def for_transformers(self) -> Any:
        """Return a GenerationConfig."""
        return import_transformers().GenerationConfig(**self.to_diff_dict())


class Tokenizer:
    """A tokenizer of the library `tokenizers`, asked as transformers' own, which is made for all that is not here."""

    def __init__(self, backend: Any, make: Callable[[], Any]) -> None:
        self._backend, self._make = backend, make

    @cached_property
    def for_transformers(self) -> Any:
        """The same as transformers has it."""
        return self._make()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.for_transformers, name)

    def __call__(
        self, text: str, *, add_special_tokens: bool = True, return_offsets_mapping: bool = False
    ) -> dict[str, list[Any]]:
        """Return the ids of a text, and on demand where in it each token stands."""
        read = self._backend.encode(text, add_special_tokens=add_special_tokens)
        return {"input_ids": read.ids} | ({"offset_mapping": read.offsets} if return_offsets_mapping else {})

    def __len__(self) -> int:
        return int(self._backend.get_vocab_size())

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """What was added to the vocabulary, by its ids."""
        return dict(self._backend.get_added_tokens_decoder())

    def get_vocab(self) -> dict[str, int]:
        """Return the id of each token."""
        return dict(self._backend.get_vocab())

    def convert_ids_to_tokens(self, ids: int | Iterable[int]) -> Any:
        """Return the token of an id, or of each of several."""
        return self._backend.id_to_token(ids) if isinstance(ids, int) else [*map(self._backend.id_to_token, ids)]

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> Any:
        """Return the id of a token, or of each of several."""
        id_of = self._backend.token_to_id
        return id_of(tokens) if isinstance(tokens, str) else [*map(id_of, tokens)]
