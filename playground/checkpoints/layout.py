"""The two layouts of a Florence-2: that of Microsoft's own code, which most fine-tunes have, and transformers' own.

The weights are the same; names, configuration and vocabulary differ. Everything here is a table or a pure function of
names and numbers: no file is opened, and no library is needed. What the tables say was read in the code that Microsoft
published with its checkpoints (`configuration_florence2.py`, `modeling_florence2.py`, `processing_florence2.py`).
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from playground.locations import NUM_BINS, location_token

IMAGE_TOKEN = "<image>"

# What a Florence-2 adds to BART's vocabulary, in the order of the ids; Microsoft's code does so each time it starts.
ADDED_TOKENS = (
    "<od>", "</od>", "<ocr>", "</ocr>", *map(location_token, range(NUM_BINS)),
    "<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>", "<seg>", "</seg>",
    "<sep>", "<region_cap>", "</region_cap>", "<region_to_desciption>", "</region_to_desciption>", "<proposal>",
    "</proposal>", "<poly>", "</poly>", "<and>",
)  # fmt: skip

# What grounding ignores: the list in the published processing_florence2.py.
_PRONOUNS = (
    "it, i, me, mine, you, your, yours, he, him, his, she, her, hers, they, them, their, theirs, one, oneself, we, us, "
    "our, ours, its, myself, yourself, himself, herself, itself, ourselves, yourselves, themselves"
)
_POINTERS = "this, that, these, those, who, whom, whose, which, what"
_AMOUNTS = (
    "all, another, any, anybody, anyone, anything, each, everybody, everyone, everything, few, many, nobody, none, "
    "several, some, somebody, someone, something, each other, one another"
)
_REST = "the image, image, images, the, a, an, a group, other objects, lots, a set"
BANNED_PHRASES = frozenset(", ".join((_PRONOUNS, _POINTERS, _AMOUNTS, _REST)).split(", "))


def post_processing(banned_phrases: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return how transformers' own processor parses each kind of answer, as in the published processor_config.json."""
    return {
        "ocr": {"pattern": "(.+?)" + r"<loc_(\d+)>" * 8, "area_threshold": 0.0},
        "phrase_grounding": {"banned_grounding_tokens": sorted(banned_phrases)},
        "pure_text": {},
        "description_with_bboxes": {},
        "description_with_polygons": {},
        "polygons": {},
        "bboxes": {},
        "description_with_bboxes_or_polygons": {},
    }


class Layout(Enum):
    """Whose names the weights and the configuration have; the value is for people."""

    NATIVE = "transformers' own layout"
    ORIGINAL = "Microsoft's original layout"


def layout_of(config: Mapping[str, Any], names: Iterable[str]) -> Layout:
    """Return the layout by the configuration and the names of the tensors; the original one needs translation."""
    vision = _part(config, "vision_config")
    is_original = "dim_embed" in vision or vision.get("model_type") in ("davit", "")
    if is_original or any(native_name(name) != name for name in names):
        return Layout.ORIGINAL
    return Layout.NATIVE


# --- Weights

TRANSPOSED = "model.multi_modal_projector.image_projection.weight"  # a plain matrix in the original layout
EMBEDDING = "model.language_model.shared.weight"

# All of these are one table in a Florence-2 of either layout, and a file holds any of them, often two.
TIED_TO_EMBEDDING = (
    "lm_head.weight",
    "model.language_model.encoder.embed_tokens.weight",
    "model.language_model.decoder.embed_tokens.weight",
)
ZEROS = "language_model.final_logits_bias"  # which transformers' class leaves out
_UNUSED = ("vision_tower.head.", "vision_tower.norms.")  # Microsoft's code deletes them before it loads the weights

_PREFIXES = {
    "vision_tower.": "model.vision_tower.",
    "image_proj_norm.": "model.multi_modal_projector.image_proj_norm.",
    "image_pos_embed.": "model.multi_modal_projector.image_position_embed.",
    "visual_temporal_embed.": "model.multi_modal_projector.visual_temporal_embed.",
    "language_model.model.": "model.language_model.",
    "language_model.lm_head.": "lm_head.",
}
_INSIDE_TOWER = {
    ".fn.dw.": ".",
    ".window_attn.norm.": ".norm1.",
    ".channel_attn.norm.": ".norm1.",
    ".window_attn.fn.": ".window_attn.",
    ".channel_attn.fn.": ".channel_attn.",
    ".ffn.norm.": ".norm2.",
    ".ffn.fn.net.": ".ffn.",
}


def native_name(name: str) -> str:
    """Return the name of a tensor in transformers' own layout; one that has it already, or is unknown, stays."""
    if name == "image_projection":
        return TRANSPOSED
    for original, native in _PREFIXES.items():
        if name.startswith(original):
            renamed = native + name.removeprefix(original)
            return _inside_tower(renamed) if original == "vision_tower." else renamed
    return name


def _inside_tower(name: str) -> str:
    if name.startswith("model.vision_tower.convs."):
        return name.replace(".proj.", ".conv.")
    for original, native in _INSIDE_TOWER.items():
        name = name.replace(original, native)
    return name


def is_unused(name: str) -> bool:
    """Whether a tensor of the original layout takes no part in any answer."""
    return name == ZEROS or name.startswith(_UNUSED)


# --- Configuration

_VISION = {  # the defaults of Microsoft's class, those of the large model
    "patch_size": (7, 3, 3, 3),
    "patch_stride": (4, 2, 2, 2),
    "patch_padding": (3, 1, 1, 1),
    "patch_prenorm": (False, True, True, True),
    "num_heads": (8, 16, 32, 64),
    "num_groups": (8, 16, 32, 64),
    "depths": (1, 1, 9, 1),
    "window_size": 12,
    "projection_dim": 1024,
    "drop_path_rate": 0.1,
}
_DIM_EMBED = (256, 512, 1024, 2048)
_FEATURES = ["spatial_avg_pool", "temporal_avg_pool"]
_TEXT = (
    "activation_dropout", "activation_function", "attention_dropout", "bos_token_id", "classifier_dropout", "d_model",
    "decoder_attention_heads", "decoder_ffn_dim", "decoder_layerdrop", "decoder_layers", "decoder_start_token_id",
    "dropout", "encoder_attention_heads", "encoder_ffn_dim", "encoder_layerdrop", "encoder_layers", "eos_token_id",
    "init_std", "max_position_embeddings", "pad_token_id", "scale_embedding",
)  # fmt: skip


def native_config(config: Mapping[str, Any], *, num_rows: int, image_token_id: int) -> dict[str, Any]:
    """Return the configuration in transformers' own words; the table of embeddings says how many rows there are.

    Raises ValueError, naming the field, for a model that is built in another way.
    """
    vision, text = _part(config, "vision_config"), _part(config, "text_config")
    features = vision.get("image_feature_source", _FEATURES)
    if features != _FEATURES:
        raise ValueError(f"image_feature_source must be {_FEATURES}, but got {features}")
    return {
        "text_config": {name: text[name] for name in _TEXT if name in text}
        | {"model_type": "bart", "vocab_size": num_rows, "forced_eos_token_id": text.get("forced_eos_token_id", 2)},
        "vision_config": {name: vision.get(name, default) for name, default in _VISION.items()}
        | {
            "model_type": "florence_vision",
            "embed_dim": vision.get("dim_embed", vision.get("embed_dim", _DIM_EMBED)),
            "max_position_embeddings": _part(vision, "image_pos_embed").get("max_pos_embeddings", 50),
            "max_temporal_embeddings": _part(vision, "visual_temporal_embedding").get("max_temporal_embeddings", 100),
        },
        "image_token_id": image_token_id,
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
    }


_RULES = {  # of the published checkpoints
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_bos_token_id": 0,
    "forced_eos_token_id": 2,
    "num_beams": 3,
    "no_repeat_ngram_size": 3,
    "early_stopping": True,
}


def generation_rules(config: Mapping[str, Any], generation_config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how answers are generated: as the language model says, else as the file for it says, else as published.

    Microsoft's code asks the language model alone, whatever `generation_config.json` says.
    """
    text = _part(config, "text_config")
    return {name: text.get(name, generation_config.get(name, rule)) for name, rule in _RULES.items()}


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = config.get(name)
    return part if isinstance(part, Mapping) else {}
