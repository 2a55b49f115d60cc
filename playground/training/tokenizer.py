"""The tokenizer of the bundled checkpoint: byte-level, small, with Florence-2's special tokens."""

import random
import re
from collections.abc import Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from playground.checkpoints.layout import ADDED_TOKENS, IMAGE_TOKEN
from playground.grammar import CONTROL_TOKENS
from playground.scenes.examples import examples
from playground.scenes.scene import plan_scene

VOCABULARY = 768  # text tokens: 256 bytes, and enough merges for the words that are said about scenes
MAX_POSITIONS = 512  # of a prompt and of an answer

_CORPUS_SCENES = 1500
_LOCATION = re.compile(r"<loc_\d+>|<and>|<sep>|</?poly>")
_PRINTED = re.compile(r"[A-Z]{2,}|\d+")  # words on signs are spelled character by character, so that any can be read


def train_tokenizer() -> PreTrainedTokenizerFast:
    """Learn the merges from the prompts and answers of scenes; the same every time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    names = [*ADDED_TOKENS, IMAGE_TOKEN]
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
    start, end = CONTROL_TOKENS.index("<s>"), CONTROL_TOKENS.index("</s>")
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", end), ("<s>", start), trim_offsets=False, add_prefix_space=False
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
        model_max_length=MAX_POSITIONS,
        extra_special_tokens={"image_token": IMAGE_TOKEN},
    )  # fmt: skip


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """Return the id of a token. Raises ValueError for one that the vocabulary lacks."""
    found = tokenizer.get_vocab().get(token)
    if found is None:
        raise ValueError(f"token must be in the vocabulary, but got {token!r}.")
    return int(found)


def _corpus() -> Iterator[str]:
    for seed in range(_CORPUS_SCENES):
        scene = plan_scene(seed, resolution_wh=(32, 32))
        for example in examples(scene, rng=random.Random(seed)).values():
            for text in (example.prompt((32, 32)), example.answer((32, 32))):
                yield _PRINTED.sub(" ", _LOCATION.sub(" ", text))
