"""A Florence-2-base of the true size with random weights: for measuring time and memory where the real one is not.

Its shapes, its token ids and its generation rules are the published ones, so that a step costs what it costs there. Of
its vocabulary only the words of the prompts are: what it says is noise anyhow.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    Florence2Config,
    Florence2ForConditionalGeneration,
    GenerationConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

from playground.checkpoints.layout import ADDED_TOKENS, IMAGE_TOKEN
from playground.paths import CACHE
from playground.tasks import TASK_TOKENS, get_task
from playground.training.model import write_processor

_FOLDER = CACHE / "skeleton-base"
_LEFT_AFTER_SECONDS = 3600  # nobody writes for so long

# The numbers below: config.json, generation_config.json, preprocessor_config.json and tokenizer.json of
# huggingface.co/florence-community/Florence-2-base.
_VOCABULARY, _MASK, _IMAGE, _ROWS = 50_264, 50_264, 51_289, 51_328
_SIDE, _IMAGE_TOKENS, _POSITIONS = 768, 577, 1024
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def skeleton(folder: Path = _FOLDER, write: Callable[[Path], None] | None = None) -> Path:
    """Return the folder of the checkpoint, which is made at the first use (half a gigabyte, some seconds).

    Another one is made by `write`. It appears at once or not at all: several processes may ask for it, and any of them
    may be killed.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _delete_what_was_left(folder)
        unfinished = Path(tempfile.mkdtemp(prefix=_unfinished_prefix(folder), dir=folder.parent))
        try:
            (write or _write)(unfinished)
            unfinished.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _unfinished_prefix(folder: Path) -> str:
    return f"{folder.name}-unfinished-"


def _delete_what_was_left(folder: Path) -> None:
    """Delete what processes that were killed have left."""
    for unfinished in folder.parent.glob(f"{_unfinished_prefix(folder)}*"):
        if time.time() - unfinished.stat().st_mtime > _LEFT_AFTER_SECONDS:
            shutil.rmtree(unfinished, ignore_errors=True)


def _write(folder: Path) -> None:
    text = BartConfig(
        vocab_size=_ROWS, d_model=768, encoder_layers=6, decoder_layers=6, encoder_attention_heads=12,
        decoder_attention_heads=12, encoder_ffn_dim=3072, decoder_ffn_dim=3072, max_position_embeddings=_POSITIONS,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    )  # fmt: skip
    vision = Florence2VisionConfig(projection_dim=768)  # its other defaults are those of the base model
    config = Florence2Config(text_config=text.to_dict(), vision_config=vision.to_dict(), image_token_id=_IMAGE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Florence2ForConditionalGeneration(config).half()  # type: ignore[no-untyped-call]
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_bos_token_id=0,
        forced_eos_token_id=2, num_beams=3, no_repeat_ngram_size=3, early_stopping=True,
    )  # fmt: skip
    model.save_pretrained(folder)
    preprocessing = {"resample": 3, "image_mean": _MEAN, "image_std": _STD}  # 3: bicubic
    write_processor(folder, _tokenizer(), _SIDE, _IMAGE_TOKENS, **preprocessing)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer whose special tokens have the published ids and that knows the prompts' words."""
    characters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *characters])}
    merges = []
    for start, character in _prefixes():
        if start + character not in vocabulary:
            vocabulary[start + character] = len(vocabulary)
            merges.append((start, character))
    for index in range(len(vocabulary), _VOCABULARY):
        vocabulary[f"filler {index}"] = index
    vocabulary["<mask>"] = _MASK
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    added = [*ADDED_TOKENS, IMAGE_TOKEN]
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in added])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, model_max_length=_POSITIONS, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>", cls_token="<s>", sep_token="</s>", mask_token="<mask>",
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip


def _prefixes() -> list[tuple[str, str]]:
    """Return how each word of the prompts grows by a character: all but its last one, and that."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    words = [word for task in sorted(TASK_TOKENS) for word, _ in split(get_task(task).fill())]
    return [(word[:length], word[length]) for word in words for length in range(1, len(word))]
