"""The model while it learns: pictures to features, lessons to batches, batches to a loss.

Knows no steps, no files and nothing of how good the answers are.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from playground.checkpoints.loader import SMALL_MODEL, LoadedCheckpoint, cpu_multiplies_bfloat16
from playground.finetune.lora import put_adapter_on
from playground.finetune.teaching import Teaching
from playground.inference.threads import ALL_THREADS, computing_with
from playground.inference.vision import pixel_values

_FEWEST_IN_A_PART = 4  # lessons that are learned side by side
IGNORED = -100  # the label of what is no part of an answer: torch leaves it out of a loss


class TokenRows(NamedTuple):
    """Prompts and answers as token ids, a padded row for each lesson.

    `mask` is 0 where a prompt is padded, `labels` are IGNORED where an answer is. `decoder_inputs` are the tokens
    before each label: the start token, then the answer without its end.
    """

    prompts: torch.Tensor
    mask: torch.Tensor
    decoder_inputs: torch.Tensor
    labels: torch.Tensor


class LoraLearner:
    """A loaded checkpoint with an adapter that learns. Its model is taken: load it again for any other use."""

    def __init__(
        self, loaded: LoadedCheckpoint, teaching: Teaching, words: Mapping[int, torch.Tensor] | None = None
    ) -> None:
        """Freeze the model's own weights and put an adapter beside them, as the seed decides.

        `words` are tokens that it has yet to tell from others, and where each begins in the table of embeddings.
        """
        self.loaded = loaded
        self.device = torch.device(loaded.placement.device)
        self.learns_vision = teaching.vision
        model = loaded.model
        self.num_parameters = sum(weights.numel() for weights in model.parameters())
        if self.device.type == "cpu":  # the backward pass of the fused attention takes twice as long there
            model.set_attn_implementation("eager")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(teaching.seed)
            self.adapted = put_adapter_on(
                model, loaded.checkpoint, rank=teaching.rank, vision=teaching.vision, words=words
            )
        self._model = self.adapted.get_base_model().model
        self._head = self.adapted.get_base_model().lm_head
        self._text = self._model.language_model
        self._config = self._text.config
        vision = model.config.vision_config
        text = self._config
        self._drops = any(
            (text.dropout, text.attention_dropout, text.activation_dropout, text.encoder_layerdrop,
             text.decoder_layerdrop, vision.drop_path_rate)
        )  # fmt: skip
        self._tokenizer = loaded.tokenizer
        self._location_weight = teaching.location_weight
        self._soft_bins = _soft_bins(len(loaded.location_ids), teaching.location_blur).to(self.device)
        self.set_learning(is_learning=True)

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """The weights that learn."""
        return [weights for weights in self.adapted.parameters() if weights.requires_grad]

    @property
    def max_tokens(self) -> int:
        """How many tokens a prompt with its picture, or an answer, may have."""
        return int(self._config.max_position_embeddings)

    @property
    def image_side(self) -> int:
        """How many pixels the model sees of a picture's side."""
        return int(self.loaded.image_processor.size["width"])

    def threads(self) -> AbstractContextManager[None]:
        """Compute with as many threads as suit the model, as when it answers."""
        return computing_with(1 if self.num_parameters < SMALL_MODEL else ALL_THREADS)

    def parts_of(self, batch_size: int) -> int:
        """Return in how many parts a batch is best learned side by side, each in a thread of its own.

        Threads that share one product wait for one another, which in a small model is most of the time. What is dropped
        at random would depend on which thread comes first.
        """
        if self.device.type != "cpu" or self.num_parameters >= SMALL_MODEL or self._drops:
            return 1
        return max(1, min(ALL_THREADS, batch_size // _FEWEST_IN_A_PART))

    def set_learning(self, *, is_learning: bool) -> None:
        """Drop parts of the model at random, or not; never of a vision tower that does not learn."""
        self.adapted.train(is_learning)
        self._model.vision_tower.train(is_learning and self.learns_vision)
        self._model.multi_modal_projector.train(False)

    def num_tokens(self, text: str) -> int:
        """Return how many tokens a text has with its two ends."""
        return len(self._tokenizer(text)["input_ids"])

    def pixels(self, image: Any) -> torch.Tensor:
        """Return a picture as the vision tower takes it: 1 x 3 x side x side."""
        return pixel_values(image, self.loaded.image_processor)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the features of pictures, rows x positions x width; without a gradient where the tower is frozen."""
        with torch.set_grad_enabled(self.learns_vision and torch.is_grad_enabled()), self._autocast():
            features: torch.Tensor = self._model.get_image_features(pixels.to(self.device)).pooler_output
        return features

    def rows(self, prompts: Sequence[str], answers: Sequence[str]) -> TokenRows:
        """Return prompts and their answers as padded rows of token ids."""
        pad, start = int(self._config.pad_token_id), int(self._config.decoder_start_token_id)
        asked = [self._tokenizer(prompt)["input_ids"] for prompt in prompts]
        written = [self._tokenizer(answer)["input_ids"] for answer in answers]
        labels = _padded(written, IGNORED)
        inputs = torch.cat([torch.full((len(labels), 1), start), labels[:, :-1]], 1)
        mask = _padded([[1] * len(ids) for ids in asked], 0)
        return TokenRows(_padded(asked, pad), mask, inputs.masked_fill(inputs == IGNORED, pad), labels)

    def loss(self, features: torch.Tensor, rows: TokenRows) -> torch.Tensor:
        """Return the mean loss of a token of the answers to prompts about pictures with these features."""
        total, weight = self.summed_loss(features, rows)
        return total / weight

    def summed_loss(self, features: torch.Tensor, rows: TokenRows) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sum of the losses of all tokens, and what these count together."""
        prompts, prompt_mask, inputs, labels = (tensor.to(self.device) for tensor in rows)
        with self._autocast():
            embedded = self._text.get_input_embeddings()(prompts)
            seen = torch.cat([features.to(embedded.dtype), embedded], 1)
            mask = torch.cat([prompt_mask.new_ones(features.shape[:2]), prompt_mask], 1)
            encoded = self._text.encoder(inputs_embeds=seen, attention_mask=mask).last_hidden_state
            hidden = self._text.decoder(
                input_ids=inputs, encoder_hidden_states=encoded, encoder_attention_mask=mask, use_cache=False
            ).last_hidden_state
            kept = labels != IGNORED
            logits = self._head(hidden[kept])
        return self._losses(logits.float(), labels[kept])

    def _losses(self, logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logprobs = functional.log_softmax(logits, -1)
        losses = -logprobs.gather(1, targets[:, None])[:, 0]
        locations = self.loaded.location_ids
        is_location = (targets >= locations.start) & (targets < locations.stop)
        bins = logprobs[is_location, locations.start : locations.stop]
        soft = self._soft_bins[targets[is_location] - locations.start]
        losses = losses.masked_scatter(is_location, -(soft * bins).sum(-1))
        weights = torch.where(is_location, self._location_weight, 1.0)
        return (losses * weights).sum(), weights.sum()

    def _autocast(self) -> Any:
        """Multiply in bfloat16 where that is quicker: a small model where it learns, from several pictures at once."""
        kind = self.device.type
        is_native = torch.cuda.is_bf16_supported() if kind == "cuda" else kind == "cpu" and cpu_multiplies_bfloat16()
        if not is_native or (self.num_parameters < SMALL_MODEL and not self.adapted.training):
            return nullcontext()
        # What it would keep is used once, and is one for all threads.
        return torch.autocast(kind, torch.bfloat16, cache_enabled=False)


def _padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    tensors = [torch.tensor(row) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


def _soft_bins(count: int, blur: float | None) -> torch.Tensor:
    """Return for each bin the distribution that is learned in its place: a bell over its neighbors."""
    distance = (torch.arange(count)[:, None] - torch.arange(count)[None]).float()
    bell = torch.exp(-(distance**2) / (2 * blur**2)) if blur else (distance == 0).float()
    return bell / bell.sum(1, keepdim=True)
