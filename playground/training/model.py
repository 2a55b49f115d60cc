"""The architecture of the bundled checkpoint, Florence-2's own in small, and the folder that it is written to."""

import math
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BartConfig,
    CLIPImageProcessorPil,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    GenerationConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

from playground.checkpoints.layout import IMAGE_TOKEN, post_processing
from playground.locations import NUM_BINS, location_token
from playground.training.tokenizer import MAX_POSITIONS, token_id

IMAGE_SIDE = 160  # pixels on a side of the picture that the model sees
STRIDE = 16  # pixels on a side of an image token
GRID = IMAGE_SIDE // STRIDE
NUM_IMAGE_TOKENS = GRID * GRID + 1  # one for each cell, and their mean
WIDTH = 192
MEAN, STD = 0.45, 0.26  # of a channel of the scenes, roughly
_INIT_STD = 0.02  # of BART's embeddings
RESAMPLE = 2  # bilinear, in Pillow's numbers


def build_model(tokenizer: PreTrainedTokenizerFast) -> Florence2ForConditionalGeneration:
    """Return a model with random weights, of 5.8 million parameters."""
    vision = Florence2VisionConfig(
        depths=(1, 1, 3, 1), patch_stride=(4, 2, 2, 1), embed_dim=(32, 64, 128, WIDTH), num_heads=(2, 4, 4, 6),
        num_groups=(2, 4, 4, 6), window_size=GRID, projection_dim=WIDTH, drop_path_rate=0.0,
    )  # fmt: skip
    text = BartConfig(
        vocab_size=len(tokenizer), d_model=WIDTH, encoder_layers=2, decoder_layers=3, encoder_attention_heads=6,
        decoder_attention_heads=6, encoder_ffn_dim=4 * WIDTH, decoder_ffn_dim=4 * WIDTH,
        max_position_embeddings=MAX_POSITIONS, dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id, forced_eos_token_id=None,
    )  # fmt: skip
    image_token_id = token_id(tokenizer, IMAGE_TOKEN)
    config = Florence2Config(text_config=text.to_dict(), vision_config=vision.to_dict(), image_token_id=image_token_id)
    # Eager attention: on a CPU the backward pass of the fused one takes twice as long.
    config._attn_implementation = "eager"
    model = Florence2ForConditionalGeneration(config)
    model.tie_weights()
    _smooth_locations(model, tokenizer)
    return model


def _smooth_locations(model: Florence2ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    """Let the embeddings of neighboring locations start out alike: sinusoids (Vaswani et al., 2017, section 3.5)."""
    first = token_id(tokenizer, location_token(0))
    position = torch.arange(NUM_BINS) / NUM_BINS
    frequency = torch.exp(torch.linspace(0, math.log(250), WIDTH // 2))
    angle = 2 * math.pi * position[:, None] * frequency[None]
    waves = torch.cat([angle.sin(), angle.cos()], 1)
    with torch.no_grad():
        embedding = model.get_parameter("model.language_model.shared.weight")
        embedding[first : first + NUM_BINS] = waves * math.sqrt(2) * _INIT_STD


def write_checkpoint(
    model: Florence2ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Write weights in half precision, configuration, tokenizer and processor; other files in the folder stay."""
    folder.mkdir(parents=True, exist_ok=True)
    half = Florence2ForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id, max_new_tokens=MAX_POSITIONS - 2,
    )  # fmt: skip
    half.half().save_pretrained(folder)  # type: ignore[no-untyped-call]
    mean, std = (MEAN,) * 3, (STD,) * 3
    write_processor(folder, tokenizer, IMAGE_SIDE, NUM_IMAGE_TOKENS, resample=RESAMPLE, image_mean=mean, image_std=std)


def write_processor(
    folder: Path, tokenizer: PreTrainedTokenizerFast, image_side: int, num_image_tokens: int, **preprocessing: Any
) -> None:
    """Write the processor of a checkpoint for square pictures; `preprocessing` is what CLIPImageProcessor takes."""
    size = {"height": image_side, "width": image_side}
    images = CLIPImageProcessorPil(size=size, crop_size=size, do_center_crop=False, **preprocessing)
    images.image_seq_length = num_image_tokens  # type: ignore[attr-defined]
    Florence2Processor(images, tokenizer, post_processor_config=post_processing(())).save_pretrained(folder)
